// Runs core.mjs on a runtime, and compares what each case leaves with what it must leave.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual, styleText } from 'node:util';

const PROGRAM = resolve(import.meta.dirname, 'core.mjs');
/** Far more than a case takes on an emulated processor. */
const LIMIT_MS = 240_000;

/** Counts on both sides of 2^52, 2^53 and 2^64, where a count in a double ends and where a counter wraps. */
const LARGE = ['4503599627370498', '4503603922337797', '9007199254740997', '9007199254741002', '9232379236109516814', '12'];

/** What a death by a signal leaves: the line, and the way the process died. */
const byCrash = (step, signal) => ({
  run: [step],
  leaves: { lines: [{ exits: 3, reads: 1, marked: [signal.toLowerCase()] }], signal },
});

/** By name: the cases that are run one after the other in one folder, and what they leave. */
export const CASES = {
  counts: {
    run: ['counts'],
    leaves: { said: { exits: 2 ** 40 + 42, diff: 2 ** 40 + 42, depth: 7, min: 3, max: 5, inSnapshot: 2 ** 40 + 42 } },
  },
  'large counts': { run: ['large'], leaves: { said: LARGE } },
  lines: {
    run: ['lines'],
    leaves: { said: { first: true, second: true }, lines: [{ exits: 2 }, { exits: 5, depth: 9 }, { exits: 1, depth: 9 }] },
  },
  'periodic flush': { run: ['periodic'], leaves: { said: { enough: true } } },
  devices: {
    run: ['devices'],
    leaves: {
      said: { same: true, removed: [true, false] },
      lines: [
        { devices: { rootfs: 2, data: 3 }, reads: 5 },
        { devices: { rootfs: 1 }, reads: 1 },
      ],
    },
  },
  workers: { run: ['workers'], leaves: { said: { exits: 300_007 } } },
  'region and reader': { run: ['die:SIGKILL', 'reader'], leaves: { said: { state: 'killed', exits: 3, pending: 1, line: 3 } } },
  profile: { run: ['profile'], leaves: { said: { rows: true, last: '20' } } },
  errors: {
    run: ['errors'],
    leaves: { said: ['ERR_METRICS_OPEN', 'RangeError', 'TypeError', 'ERR_METRICS_LAYOUT_MISMATCH'] },
  },
  'last line at the end': { run: ['die:end'], leaves: { lines: [{ exits: 3, reads: 1 }], code: 0 } },
  'last line at exit()': { run: ['die:exit'], leaves: { lines: [{ exits: 3, reads: 1 }], code: 7 } },
  'last line at an uncaught error': { run: ['die:throw'], leaves: { lines: [{ exits: 3, reads: 1, marked: ['panics'] }], code: 1 } },
  'last line at an unhandled rejection': { run: ['die:reject'], leaves: { lines: [{ exits: 3, reads: 1, marked: ['panics'] }], code: 1 } },
  'last line at a null pointer': { ...byCrash('die:native null', 'SIGSEGV'), needs: 'addon' },
  'last line at a cut mapping': { ...byCrash('die:native truncated', 'SIGBUS'), needs: 'addon' },
  'last line at abort(3)': { ...byCrash('die:native abort', 'SIGABRT'), needs: 'addon' },
  'last line at process.abort()': byCrash('die:abort', 'SIGABRT'),
  'last line at a sent SIGSEGV': byCrash('die:SIGSEGV', 'SIGSEGV'),
  'last line at a sent SIGBUS': byCrash('die:SIGBUS', 'SIGBUS'),
  'last line at a sent SIGABRT': byCrash('die:SIGABRT', 'SIGABRT'),
  'last line at a sent SIGTERM': byCrash('die:SIGTERM', 'SIGTERM'),
};

/**
 * Runs the cases. `command` starts the runtime: a program and its arguments. `testAddon` is the addon that dies for
 * real; without it, its cases are skipped. `differences` are the cases that are known to end otherwise, each with
 * `leaves` and the reason.
 * @returns How many cases passed, differed as known, were skipped, and failed.
 */
export async function checkCore({ title, command, env = {}, packageFolder, testAddon, differences = {} }) {
  const counts = { passed: 0, differed: 0, skipped: 0, failed: 0 };
  console.log(`\n== ${title}`);
  for (const [name, { run, leaves, needs }] of Object.entries(CASES)) {
    if (needs === 'addon' && testAddon === undefined) {
      counts.skipped++;
      console.log(`  skipped  ${name}: there is no test addon for this platform`);
      continue;
    }
    const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-everywhere-'));
    const known = differences[name];
    const expected = known?.leaves ?? leaves;
    try {
      let end;
      for (const step of run)
        end = await ended(command, [step, folder, packageFolder, ...(testAddon === undefined ? [] : [testAddon])], env);
      const found = leftBy(end, folder, expected);
      if (!isDeepStrictEqual(found, expected)) {
        counts.failed++;
        console.log(styleText('red', `  failed   ${name}`));
        console.log(`    must leave ${JSON.stringify(expected)}\n    left       ${JSON.stringify(found)}`);
        if (end.stderr !== '') console.log(`    ${end.stderr.trim().split('\n').slice(-8).join('\n    ')}`);
      } else if (known !== undefined) {
        counts.differed++;
        console.log(styleText('yellow', `  differs  ${name}: ${known.reason}`));
      } else {
        counts.passed++;
        console.log(`  passed   ${name}`);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return counts;
}

/** Runs one case of core.mjs. Core dumps are off. */
export function ended([program, ...args], plan, env) {
  return new Promise((done, failed) => {
    const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', program, ...args, PROGRAM, ...plan];
    const child = spawn('/bin/sh', shell, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const end = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) {
      child[stream].setEncoding('utf8').on('data', (text) => {
        end[stream] += text;
      });
    }
    // A case that dies by a signal of another process says when it is ready.
    const signal = /^die:(SIG\w+)$/.exec(plan[0])?.[1];
    if (signal !== undefined) child.stdout.once('data', () => child.kill(signal));
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    child.on('error', failed);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      // A shell, and an emulator, may report a signal as an exit code.
      done({ ...end, code, signal });
    });
  });
}

/** What a case left, as far as `expected` names it. */
function leftBy(end, folder, expected) {
  const left = {};
  if ('said' in expected) left.said = parsed(end.stdout.trim().split('\n').at(-1));
  if ('lines' in expected) left.lines = linesIn(join(folder, 'lines')).map((line, i) => picture(line, expected.lines[i] ?? {}));
  if ('code' in expected) left.code = end.code;
  if ('signal' in expected) left.signal = end.signal;
  return left;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function linesIn(file) {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  return text.split('\n').slice(0, -1).map(parsed);
}

/** The parts of a line that the expected line names. */
function picture(line, expected) {
  const { signals, vcpu } = line;
  const parts = {
    exits: () => vcpu.exits,
    depth: () => vcpu.depth,
    reads: () => line.disk.reads,
    devices: () =>
      Object.fromEntries(
        Object.entries(line)
          .filter(([key]) => key.startsWith('disk_'))
          .map(([key, { reads }]) => [key.slice('disk_'.length), reads]),
      ),
    marked: () => Object.keys(signals).filter((key) => signals[key] !== 0),
  };
  return Object.fromEntries(Object.keys(expected).map((key) => [key, parts[key]()]));
}
