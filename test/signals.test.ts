// Capture, apart from the deaths in fault-matrix.test.ts: signals with and without a marker in the schema, options,
// listeners that are added later, and processes that survive.

import { existsSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { runChild } from './helpers/children.ts';
import { descriptorsOf } from './helpers/descriptors.ts';
import { at, closing, freshName, linesOf, temporaryFolder } from './helpers/workplace.ts';

interface Plan {
  readonly signal: NodeJS.Signals;
  readonly send?: 'kill' | 'null' | 'divide' | 'breakpoint';
  readonly before?: 'mender' | 'ignored' | 'listener';
  readonly after?: 'reporter' | 'listener' | 'visitor' | 'ignored';
  readonly [option: string]: unknown;
}

/** The death with capture, the lines that were written, and the death without capture. */
async function compare(plan: Plan) {
  const sink = `${temporaryFolder()}/lines`;
  const run = (more: object) => runChild('signals.mjs', [JSON.stringify({ sink, ...plan, ...more })]);
  const [captured, stock] = await Promise.all([run({}), run({ noCapture: true })]);
  const text = existsSync(sink) ? readFileSync(sink, 'utf8') : '';
  expect(text === '' || text.endsWith('}\n'), 'no line is torn').toBe(true);
  return { captured, stock, lines: linesOf(text) };
}

describe('given a signal that kills', () => {
  test.each([
    { signal: 'SIGXCPU' },
    { signal: 'SIGUSR2' },
    { signal: 'SIGALRM' },
    { signal: 'SIGTERM' }, // Node's own handler for it runs once, and raises it again
    { signal: 'SIGINT' },
    { signal: 'SIGTRAP', send: 'breakpoint' },
    { signal: 'SIGTRAP', send: 'breakpoint', before: 'ignored' }, // a forced signal kills although it is ignored
    { signal: 'SIGSEGV', send: 'null', before: 'ignored' },
    { signal: 'SIGFPE', send: 'divide' },
    { signal: 'SIGTRAP', send: 'breakpoint', after: 'reporter' },
  ] as Plan[])('when %o, then one line is written, the process dies as without capture, and other reporters are called', async (plan) => {
    const { captured, stock, lines } = await compare(plan);
    expect(captured).toEqual(stock);
    expect(captured.signal).toBe(plan.signal);
    expect(captured.stdout).toBe(plan.after === 'reporter' ? 'reported\n' : '');
    expect(lines).toHaveLength(1);
    expect(at(lines[0]!, 'g.seen')).toBe(1n);
    expect(at(lines[0]!, 'g.n')).toBe(3n);
  });
});

describe('given a fatal signal without a marker in the schema', () => {
  test.each([
    'SIGTERM',
    'SIGINT',
    'SIGHUP',
    'SIGFPE',
    'SIGSYS',
    'SIGTRAP',
  ] as const)('when it is %s, then one line is written, and the process dies as without capture', async (signal) => {
    const { captured, stock, lines } = await compare({ signal, unmarked: true });
    expect(captured).toEqual(stock);
    expect(captured.signal).toBe(signal);
    expect(lines.map((line) => at(line, 'g.n'))).toEqual([3n]);
  });

  test('when the host installs a listener later, then the listener is called, and there is no warning', async () => {
    const { captured } = await compare({ signal: 'SIGTERM', unmarked: true, after: 'listener' });
    expect(captured.stdout).toBe('listener\nseen 0 errors 0 n 3 write true\nfunction\n');
  });

  test('when it is ignored, as SIGHUP under nohup, then it stays ignored', async () => {
    const { captured } = await compare({ signal: 'SIGHUP', unmarked: true, before: 'ignored' });
    expect(captured.stdout).toBe('seen 0 errors 0 n 3 write true\nignored\n');
  });

  test('when it is another signal, then it is not captured', async () => {
    const { captured, stock, lines } = await compare({ signal: 'SIGALRM', unmarked: true });
    expect(captured).toEqual(stock);
    expect(lines).toEqual([]);
  });
});

describe('given a signal that does not kill', () => {
  test.each([
    { signal: 'SIGSEGV', before: 'ignored' }, // sent by kill, so it is ignored
    { signal: 'SIGCHLD' },
    { signal: 'SIGWINCH' },
  ] as Plan[])('when %o, then the signal is counted, and nothing else happens', async (plan) => {
    const { captured, stock, lines } = await compare(plan);
    expect(captured).toMatchObject({ code: 0, signal: null });
    expect(stock).toMatchObject({ code: 0, signal: null });
    expect(captured.stdout).toMatch(/^seen 1 errors 0 n 3 write true/);
    expect(at(lines[0]!, 'g.seen')).toBe(1n);
  });

  test('when the option ignored is leave, then an ignored signal stays ignored', async () => {
    const { captured } = await compare({ signal: 'SIGPIPE', options: { ignored: 'leave' } });
    expect(captured.stdout).toBe('seen 0 errors 0 n 3 write true\nignored\n');
  });

  test('when the option signals names other signals, then this signal is not captured', async () => {
    const { captured, stock, lines } = await compare({ signal: 'SIGHUP', options: { signals: ['SIGSEGV'] } });
    expect(captured).toEqual(stock);
    expect(lines).toEqual([]);
  });

  test('when a listener was added before, then it is called, and the signal is counted', async () => {
    const { captured } = await compare({ signal: 'SIGHUP', before: 'listener' });
    expect(captured).toMatchObject({ code: 0, signal: null });
    expect(captured.stdout).toMatch(/^listener\nseen 1 errors 0/);
  });

  test('when a listener is added later, then it is called, the signal is counted, and no warning or error is reported', async () => {
    const { captured } = await compare({ signal: 'SIGHUP', after: 'listener', recapture: true });
    expect(captured.stdout).toMatch(/^listener\nseen 1 errors 0 n 3 write true\nfunction\nlistener\nseen 2n function\n/);
  });

  test.each([
    'SIGTERM',
    'SIGINT',
    'SIGHUP',
  ] as const)('when a listener for %s is added and removed, then the signal is counted, and kills the process', async (signal) => {
    const { captured, stock, lines } = await compare({ signal, after: 'visitor' });
    expect(captured).toEqual(stock);
    expect(captured.signal).toBe(signal);
    expect(lines.map((line) => at(line, 'g.seen'))).toEqual([1n]);
    expect(lines.map((line) => at(line, 'g.errors'))).toEqual([0n]);
  });

  test('when native code replaces the handler and does not hand signals on, then the next flush counts an error', async () => {
    const { captured, lines } = await compare({ signal: 'SIGHUP', after: 'ignored' });
    expect(captured.stdout).toMatch(/^seen 0 errors 0 n 3 write true\n/);
    expect(lines.map((line) => at(line, 'g.errors'))).toEqual([1n]);
  });
});

describe('given a process that survives a captured signal', () => {
  test.each([
    { signal: 'SIGFPE', send: 'divide', before: 'mender' },
    { signal: 'SIGTRAP', before: 'listener' },
  ] as Plan[])('when %o, then after a while it flushes and captures signals as before', async (plan) => {
    const { captured, lines } = await compare({ ...plan, twice: 2200 });
    const [first, second] = captured.stdout.split('\n').filter((line) => line.startsWith('seen'));
    expect(first).toMatch(/^seen 1 errors 0 n 5 write true/);
    expect(second).toMatch(/^seen 2 errors 0 n 5 write ECANCELED/);
    expect(lines.map((line) => at(line, 'g.n'))).toEqual([3n, 2n, 0n]);
    expect(lines.map((line) => at(line, 'g.seen'))).toEqual([1n, 0n, 1n]);
  });
});

test('given workers that call the addon, when they are terminated in the middle of calls, then the process lives, and no attachment is left', async () => {
  const name = freshName();
  const metrics = closing(Metrics.open(firecracker, { name }));
  for (let i = 0; i < 8; i++) metrics.app.pmem.alloc(`d${i}`);
  for (let round = 0; round < 25; round++) {
    const started = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL('./fixtures/calls.mjs', import.meta.url), { workerData: { name, started } });
    while (Atomics.load(started, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, round % 5));
    await worker.terminate();
  }
  metrics.close();
  // The last attachment is gone, so another schema may use the name.
  const { defineSchema, group, inc } = await import('vmm-metrics');
  closing(Metrics.open(defineSchema({ other: group({ n: inc('n') }) }), { name }));
});

test('given an open store, when it is closed, then its descriptors are closed too', async () => {
  const open = () => readFileSync('/proc/self/maps', 'utf8').match(/vmm-metrics/g)?.length ?? 0;
  const descriptors = () => descriptorsOf(/vmm-metrics|lines/).length;
  const before = [open(), descriptors()];
  const path = `${temporaryFolder()}/lines`;
  for (let i = 0; i < 30; i++) {
    const metrics = Metrics.open(firecracker, { name: freshName() });
    metrics.init(path);
    metrics.app.vcpu.exit_io_in.inc();
    metrics.close();
  }
  expect([open(), descriptors()]).toEqual(before);
});
