// A first part of the ways to die; each in a process of its own, each against the same death without capture.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { runChild } from './helpers/children.ts';
import { at, linesOf, temporaryFolder } from './helpers/workplace.ts';

interface Plan {
  readonly how: string;
  readonly where?: 'main' | 'worker' | 'thread' | 'pool' | 'attached';
  readonly signal?: string;
  readonly [option: string]: unknown;
}

async function die(plan: Plan, execArgv: readonly string[] = []) {
  const sink = `${temporaryFolder()}/lines`;
  const death = await runChild('crash.mjs', [JSON.stringify({ sink, ...plan })], { execArgv });
  const text = readFileSync(sink, 'utf8');
  expect(text === '' || text.endsWith('}\n'), 'no line is torn').toBe(true);
  return { death, lines: linesOf(text) };
}

/** The numbers of a line that say how it ended. */
function marks(line: Record<string, unknown>): Record<string, bigint> {
  const all = {
    ...(line['signals'] as Record<string, bigint>),
    panic_count: at(line, 'vmm.panic_count') as bigint,
    num_faults: at(line, 'seccomp.num_faults') as bigint,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0n));
}

const wheres = ['main', 'worker', 'thread', 'pool', 'attached'] as const;
const everywhere = (how: string, signal: string, set: string) => wheres.map((where) => ({ how, where, signal, set }));

describe('given captured signals', () => {
  test.each([
    ...everywhere('null', 'SIGSEGV', 'sigsegv'),
    { how: 'overflow', where: 'main', signal: 'SIGSEGV', set: 'sigsegv' },
    { how: 'overflow', where: 'worker', signal: 'SIGSEGV', set: 'sigsegv' },
    { how: 'overflow', where: 'attached', signal: 'SIGSEGV', set: 'sigsegv' },
    ...everywhere('truncated', 'SIGBUS', 'sigbus'),
    ...everywhere('illegal', 'SIGILL', 'sigill'),
    ...everywhere('abort', 'SIGABRT', 'panic_count'),
    { how: 'js-abort', where: 'main', signal: 'SIGABRT', set: 'panic_count' },
    { how: 'terminate', where: 'thread', signal: 'SIGABRT', set: 'panic_count' },
    { how: 'double-free', where: 'main', signal: 'SIGABRT', set: 'panic_count' },
  ] as const)('when $how happens on $where, then one line with $set, and death by $signal', async ({ how, where, signal, set }) => {
    const { death, lines } = await die({ how, where });
    expect(death).toMatchObject({ code: null, signal });
    expect(lines).toHaveLength(1);
    expect(marks(lines[0]!)).toEqual({ [set]: 1n });
    expect(at(lines[0]!, 'vcpu.exit_io_out')).toBe(7n);
    if (where === 'worker') expect(at(lines[0]!, 'vcpu.exit_io_in')).toBe(5n);
  });

  test('when the process divides by zero, then a line without a mark, and death by SIGFPE', async () => {
    const { death, lines } = await die({ how: 'divide', where: 'thread' });
    expect(death).toMatchObject({ code: null, signal: 'SIGFPE' });
    expect(lines.map(marks)).toEqual([{}]);
  });

  test.each(['SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGABRT'] as const)('when %s is sent, then one line, and death by it', async (signal) => {
    const { death, lines } = await die({ how: 'kill', signal });
    expect(death).toMatchObject({ code: null, signal });
    expect(lines).toHaveLength(1);
    expect(Object.values(marks(lines[0]!))).toEqual([1n]);
  });

  test('when the heap limit of the main thread is reached, then a line, and death by SIGABRT', async () => {
    const { death, lines } = await die({ how: 'heap-limit' }, ['--max-old-space-size=30']);
    expect(death).toMatchObject({ code: null, signal: 'SIGABRT' });
    expect(lines.map(marks)).toEqual([{ panic_count: 1n }]);
  });

  test('when a foreign thread without an alternate stack overflows, then it dies as it would have, without a line', async () => {
    const { death, lines } = await die({ how: 'overflow', where: 'thread' });
    expect(death).toMatchObject({ code: null, signal: 'SIGSEGV' });
    expect(lines).toEqual([]);
  });

  test.each([
    { execArgv: [] },
    { execArgv: ['--disable-wasm-trap-handler'] },
  ])('when WebAssembly goes out of bounds with $execArgv, then RuntimeErrors, nothing counted, and no death', async ({ execArgv }) => {
    for (const where of ['main', 'worker'] as const) {
      const { death, lines } = await die({ how: 'wasm', where }, execArgv);
      expect(death).toMatchObject({ code: 0, signal: null });
      expect(death.stdout).toContain('1000');
      // The last line is that of the end of the process; it says nothing of a signal.
      expect(lines.map(marks)).toEqual([{}]);
    }
  });

  test.each([
    { execArgv: [] },
    { execArgv: ['--disable-wasm-trap-handler'] },
  ])('when a real crash follows WebAssembly traps with $execArgv, then one line, counted once', async ({ execArgv }) => {
    const { death, lines } = await die({ how: 'null', wasmFirst: true }, execArgv);
    expect(death).toMatchObject({ code: null, signal: 'SIGSEGV' });
    expect(lines.map(marks)).toEqual([{ sigsegv: 1n }]);
  });

  test('when the stack of JavaScript overflows, then a RangeError and nothing counted', async () => {
    const { death, lines } = await die({ how: 'js-overflow' });
    expect(death).toMatchObject({ code: 0, signal: null, stdout: 'RangeError\n' });
    expect(lines.map(marks)).toEqual([{}]);
  });

  test('when the sink is full, then it still dies by its signal, within a second', async () => {
    const began = Date.now();
    const death = await runChild('crash.mjs', [JSON.stringify({ sink: '/dev/full', how: 'null', where: 'main' })]);
    expect(death).toMatchObject({ code: null, signal: 'SIGSEGV' });
    expect(Date.now() - began).toBeLessThan(3000);
  });
});

describe('given captured panics', () => {
  test.each([
    { how: 'throw', origin: 'uncaught exception' },
    { how: 'reject', origin: 'unhandled rejection' },
  ])('when there is an $origin, then one line, and the message and exit code of stock Node', async ({ how }) => {
    const { death, lines } = await die({ how });
    const { death: stock } = await die({ how, noCapture: true });
    expect(death).toEqual(stock);
    expect(death.stderr).toContain('out of luck');
    expect(lines.map(marks)).toEqual([{ panic_count: 1n }]);
    expect(at(lines[0]!, 'vcpu.exit_io_out')).toBe(7n);
  });

  test('when a worker throws, then a line with its values, and the worker alone ends', async () => {
    const { death, lines } = await die({ how: 'throw', where: 'worker' });
    expect(death).toMatchObject({ code: 0, signal: null, stdout: 'worker: out of luck\nworker exit 1\n' });
    expect(lines.map(marks)).toEqual([{ panic_count: 1n }]);
    expect(at(lines[0]!, 'vcpu.exit_io_in')).toBe(5n);
  });

  test('when the host handles the exception, then it is no panic', async () => {
    const { death, lines } = await die({ how: 'throw', handled: true });
    expect(death).toMatchObject({ code: 0, signal: null });
    expect(lines.map(marks)).toEqual([{}]);
  });
});
