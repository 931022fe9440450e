// The pauses of `npm run demo -- --tour`, and how it ends early. demo.test.ts runs it from start to end.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import { node, runProgram } from './helpers/children.ts';
import { HANG_MS } from './helpers/limits.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const main = fileURLToPath(new URL('../dist/examples/kvm-vmm/main.js', import.meta.url));
const tour = [main, '--tour', '--simulate', '--seconds', '0.2'];

/** The numbers of the steps that have begun. */
const stepsOf = (text: string) => [...text.matchAll(/^== (\d) of 5: /gm)].map(([, step]) => Number(step));

/** The environment of a demo that ends with code 7 at once if it gets this option. */
function failingAt(option: string): NodeJS.ProcessEnv {
  const file = `${temporaryFolder()}/fails.cjs`;
  writeFileSync(file, `if (process.argv.includes('${option}')) process.exit(7);`);
  return { ...process.env, NODE_OPTIONS: `--require=${file}` };
}

/** Runs the tour in a terminal. `type` gets all output so far, and returns what to type now. */
function inTerminal(args: readonly string[], env: NodeJS.ProcessEnv, type: (text: string) => string | undefined) {
  const spawnInTerminal = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
  return new Promise<{ code: number | null; text: string }>((resolve, reject) => {
    const child = spawn('python3', ['-c', spawnInTerminal, node, ...args], { env, timeout: HANG_MS, killSignal: 'SIGKILL' });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const typed = type(text);
      if (typed !== undefined) child.stdin.write(typed);
    });
    child.on('error', reject).on('close', (code) => resolve({ code, text }));
  });
}

/** Types `keys` once, as soon as the tour asks for Enter. */
function whenAsked(keys: string) {
  let isTyped = false;
  return (text: string) => {
    if (isTyped || !text.includes('Press Enter')) return undefined;
    isTyped = true;
    return keys;
  };
}

describe('given the tour of the demo', () => {
  test('when a step fails in a terminal, then the tour had waited for Enter before it, and ends with its exit code', async () => {
    let stepsWhenAsked: unknown;
    const enter = whenAsked('\n');
    const { code, text } = await inTerminal(tour, failingAt('--crash'), (soFar) => {
      const typed = enter(soFar);
      if (typed !== undefined) stepsWhenAsked = stepsOf(soFar);
      return typed;
    });
    expect(stepsWhenAsked).toEqual([1]);
    expect(stepsOf(text)).toEqual([1, 2]);
    expect(code).toBe(7);
  });

  test('when the input ends at a pause, then the tour ends without an error', async () => {
    const { code, text } = await inTerminal(tour, process.env, whenAsked('\x04'));
    expect(stepsOf(text)).toEqual([1]);
    expect(code).toBe(0);
  });

  test('when it runs with --yes in a terminal, then it does not wait', async () => {
    const { code, text } = await inTerminal([...tour, '--yes'], failingAt('--crash'), whenAsked('\x04'));
    expect(stepsOf(text)).toEqual([1, 2]);
    expect(text).not.toContain('Press Enter');
    expect(code).toBe(7);
  });

  test('when --yes is given without --tour, then nothing runs, and the message says why', async () => {
    const { code, stdout, stderr } = await runProgram(node, [main, '--yes']);
    expect([code, stdout, stderr]).toEqual([2, '', 'kvm-vmm: --yes can only be used with --tour\n']);
  });
});
