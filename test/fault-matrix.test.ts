// The fault matrix: every way to die, and every way to survive, each in its own process. Where the process also dies
// without capture, both deaths are compared. Each row was seen to fail with its protection removed.
//
// This file has the rows of faults and signals. fault-matrix-sinks has the rows of region files and sinks,
// fault-matrix-handlers those of handlers and processes, and fault-matrix-restarts the row of restarts.

import { expect } from 'vitest';

import { ABRT, BUS, EVERYWHERE, FPE, ILL, LIVES, onThreads, SEGV, SYS, variant } from './helpers/fault-variants.ts';
import { checkFault, marksOf, outlineOf, type Plan, runFault, someLoad } from './helpers/faults.ts';
import { HANG_MS } from './helpers/limits.ts';
import { printTable, row } from './helpers/matrix-table.ts';
import { makeFifo, Reader } from './helpers/sinks.ts';
import { slowWrites } from './helpers/slow-write.ts';
import { at, linesIn, linesOf, temporaryFolder } from './helpers/workplace.ts';

const withoutTrapHandler = { execArgv: ['--disable-wasm-trap-handler'] };

row(1, 'null pointer in native code, main', (add) => onThreads(add, 'null', SEGV, ['main']));

row(2, 'null pointer in native code, other threads', (add) => onThreads(add, 'null', SEGV, ['worker', 'thread', 'pool', 'attached']));

row(3, 'native stack overflow, where there is an alternate stack', (add) =>
  onThreads(add, 'overflow', SEGV, ['main', 'worker', 'attached']),
);

row(4, 'native stack overflow, thread without an alternate stack', (add) =>
  onThreads(add, 'overflow', { ends: 'SIGSEGV', marks: null }, ['thread', 'pool']),
);

row(5, 'WebAssembly out of bounds, 1000 times', (add) => {
  for (const where of ['main', 'worker'] as const) variant(add, { plan: { how: 'wasm', where }, ...LIVES, said: /^1000\n/ });
});

row(6, 'WebAssembly traps, then a real crash', (add) => {
  for (const where of ['main', 'worker'] as const) {
    variant(add, { name: `null after traps, ${where}`, plan: { how: 'null', where, wasmFirst: true }, ...SEGV });
  }
});

row(7, 'rows 1, 3, 5 and 6 without the WebAssembly trap handler', (add) => {
  const run = withoutTrapHandler;
  onThreads(add, 'null', SEGV, ['main'], run);
  for (const where of ['main', 'worker', 'attached'] as const) variant(add, { plan: { how: 'overflow', where }, ...SEGV, run });
  for (const where of ['main', 'worker'] as const) variant(add, { plan: { how: 'wasm', where }, ...LIVES, said: /^1000\n/, run });
  variant(add, { name: 'null after traps', plan: { how: 'null', wasmFirst: true }, ...SEGV, run });
});

row(8, 'JavaScript stack overflow; worker over its heap limit', (add) => {
  for (const where of ['main', 'worker'] as const) variant(add, { plan: { how: 'js-overflow', where }, ...LIVES, said: /^RangeError\n/ });
  variant(add, {
    plan: { how: 'hoard', where: 'worker', limits: { maxOldGenerationSizeMb: 20 } },
    ...LIVES,
    said: 'worker: ERR_WORKER_OUT_OF_MEMORY\nworker exit 1\n',
  });
});

row(9, 'heap limit of the main thread, abort, terminate, double free', (add) => {
  variant(add, { plan: { how: 'hoard' }, ...ABRT, run: { execArgv: ['--max-old-space-size=30'] } });
  onThreads(add, 'js-abort', ABRT, ['main']);
  for (const where of EVERYWHERE) variant(add, { plan: { how: 'abort', where }, ...ABRT });
  onThreads(add, 'terminate', ABRT, ['main', 'thread']);
  onThreads(add, 'double-free', ABRT, ['main', 'thread']);
});

row(10, 'illegal instruction, division by zero, truncated mapping, seccomp', (add) => {
  onThreads(add, 'illegal', ILL, EVERYWHERE);
  for (const where of EVERYWHERE) variant(add, { plan: { how: 'truncated', where }, ...BUS });
  for (const where of ['main', 'worker', 'thread'] as const) {
    variant(add, { plan: { how: 'divide', where }, ...FPE });
    variant(add, { plan: { how: 'seccomp', where }, ...SYS });
    variant(add, { plan: { how: 'seccomp', where, load: someLoad }, ...SYS });
    // If the filter kills the process, no signal can be captured.
    variant(add, { plan: { how: 'seccomp-kill', where }, ends: 'SIGSYS', marks: null });
  }
});

row(11, 'a fatal signal that is sent', (add) => {
  for (const end of [SEGV, BUS, ILL, FPE, SYS, ABRT]) {
    const signal = end.ends as NodeJS.Signals;
    variant(add, { name: `kill -${signal} comes from outside`, plan: { how: 'kill-outside', signal }, ...end });
    variant(add, { plan: { how: 'kill', signal, where: 'worker' }, ...end });
  }
  for (const [slot, what] of ['main', 'worker', 'thread'].entries()) {
    for (const end of [SEGV, BUS]) {
      const load = { ...someLoad, target: slot, delayUs: 500 };
      variant(add, { name: `${what} is sent ${end.ends}`, plan: { how: 'shot', signal: end.ends as NodeJS.Signals, load }, ...end });
    }
  }
});

row(12, 'eight threads crash at once', (add) => {
  const same = Array.from({ length: 8 }, () => 'null');
  const mixed = ['null', 'illegal', 'divide', 'truncated', 'abort', 'seccomp', 'double-free', 'terminate'];
  const ends = new Map([SEGV, BUS, ILL, FPE, SYS, ABRT].map((end) => [end.ends, end.marks]));
  for (let round = 1; round <= 3; round++) {
    for (const [what, hows] of [
      ['the same way', same],
      ['in different ways', mixed],
    ] as const) {
      add(`when all die ${what} (${round}), then there is one line, with the mark of the signal that killed the process`, async () => {
        const sink = `${temporaryFolder()}/lines`;
        const death = await runFault({ how: 'together', hows, sink }, slowWrites);
        if (hows === same) expect(death.signal).toBe('SIGSEGV');
        const lines = linesIn(sink);
        expect(lines.map(marksOf)).toEqual([ends.get(death.signal!)]);
        expect(at(lines[0]!, 'vcpu.exit_io_out')).toBe(7n);
      });
    }
  }
});

row(13, 'crash between the first byte of a line and its commit', (add) => {
  const run = slowWrites;
  for (const where of ['main', 'thread', 'pool', 'attached'] as const) {
    for (const [how, end] of [
      ['null', SEGV],
      ['abort', ABRT],
    ] as const) {
      variant(add, {
        name: `${how}, ${where}, and another thread writes`,
        plan: { how, where, writing: { ms: 200 } },
        run,
        ...end,
      });
    }
  }
  for (const end of [SEGV, BUS, SYS, ABRT]) {
    const signal = end.ends as NodeJS.Signals;
    variant(add, {
      name: `${signal} meets the writing thread`,
      plan: { how: 'nothing', writing: { ms: 50, signal } },
      run,
      ...end,
    });
  }
  add('when a line is half in a pipe, then its other half and the last line follow, and nothing is lost or doubled', async () => {
    const sink = makeFifo(`${temporaryFolder()}/fifo`);
    const reader = new Reader(sink);
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const death = await runFault(
      { how: 'null', sink, fills: true },
      { hears: () => (timer ??= setInterval(() => (text += reader.text()), 5)) },
    );
    clearInterval(timer);
    text += reader.text();
    reader.close();
    expect(death).toMatchObject({ signal: 'SIGSEGV', stdout: 'EAGAIN\n' });
    expect(text.endsWith('}\n')).toBe(true);
    const lines = linesOf(text);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.map((line) => at(line, 'vcpu.exit_io_out')).filter((n) => n !== 0n)).toEqual([7n]);
    expect(marksOf(lines.at(-1)!)).toEqual({ sigsegv: 1n });
    expect(at(lines.at(-1)!, 'logger.missed_metrics_count')).toBe(1n);
  });
  add('when the disk hangs, then the process dies all the same', async () => {
    const sink = `${temporaryFolder()}/lines`;
    const death = await runFault({ how: 'null', sink, writing: { ms: 2 * HANG_MS } }, run);
    expect(death).toMatchObject({ code: null, signal: 'SIGSEGV' });
  });
});

row(14, 'uncaught exception, unhandled rejection', (add) => {
  const PANIC = { ends: 1, marks: { panic_count: 1n } };
  for (const how of ['throw', 'reject']) {
    variant(add, { plan: { how, where: 'main' }, ...PANIC });
    variant(add, { plan: { how, where: 'main', load: someLoad }, ...PANIC, lines: 2 });
    const said = 'worker: out of luck\nworker exit 1\n';
    variant(add, { name: `${how}, worker, heard by its maker`, plan: { how, where: 'worker' }, ends: 0, marks: { panic_count: 1n }, said });
    variant(add, { name: `${how}, worker, and nobody hears it`, plan: { how, where: 'worker', deaf: true }, ...PANIC, lines: 2 });
    variant(add, { name: `${how}, and the host handles it`, plan: { how, handled: true }, ...LIVES });
  }
  const trap = { execArgv: ['--abort-on-uncaught-exception'] };
  add('when throw with --abort-on-uncaught-exception, then the process dies as stock Node, with one line', async () => {
    const sink = `${temporaryFolder()}/lines`;
    const [death, stock] = await Promise.all([
      runFault({ how: 'throw', sink }, trap),
      runFault({ how: 'throw', sink: `${sink}2`, noCapture: true }, trap),
    ]);
    expect(outlineOf(death)).toEqual(outlineOf(stock));
    expect(linesIn(sink).map((line) => at(line, 'vcpu.exit_io_out'))).toEqual([7n]);
  });
});

row(15, 'SIGHUP, SIGPIPE, SIGXFSZ, SIGXCPU', (add) => {
  variant(add, { plan: { how: 'kill', signal: 'SIGHUP' }, ends: 'SIGHUP', marks: { sighup: 1n } });
  const cases = [
    {
      how: 'kill',
      signal: 'SIGHUP',
      before: 'listener',
      said: 'listener\nalive after 0 lines\nalive with 7, missed 0, seen sighup 1\n',
      mark: 'sighup',
    },
    {
      how: 'kill',
      signal: 'SIGHUP',
      before: 'ignored',
      said: 'alive after 0 lines\nalive with 7, missed 0, seen sighup 1\n',
      mark: 'sighup',
    },
    { how: 'broken-pipe', signal: 'SIGPIPE', said: 'alive after 0 lines\nalive with 7, missed 0, seen sigpipe 1\n', mark: 'sigpipe' },
    { how: 'file-limit', signal: 'SIGXFSZ', said: 'alive after 0 lines\nalive with 7, missed 0, seen sigxfsz 1\n', mark: 'sigxfsz' },
  ] as const;
  for (const { how, signal, said, mark, ...rest } of cases) {
    const plan: Plan = { how, signal, tells: 'lines', ...rest };
    const stands = 'before' in rest ? (rest.before === 'listener' ? 'a listener is there' : 'it is ignored') : 'Node ignores it';
    add(`when ${how} raises ${signal} and ${stands}, then the signal is counted, and the process lives`, () =>
      checkFault({ plan, ends: 0, marks: { [mark]: 1n }, said }),
    );
  }
  for (const [how, signal, mark] of [
    ['broken-pipe', 'SIGPIPE', 'sigpipe'],
    ['file-limit', 'SIGXFSZ', 'sigxfsz'],
  ] as const) {
    for (const where of ['main', 'thread'] as const) {
      const name = `${how}, ${where}, where the host wants ${signal} to kill`;
      variant(add, { name, plan: { how, where, signal, before: 'default' }, ends: signal, marks: { [mark]: 1n } });
    }
  }
  variant(add, { name: 'the soft limit on CPU time is reached', plan: { how: 'cpu-limit' }, ends: 'SIGXCPU', marks: { sigxcpu: 1n } });
  add('when the hard limit follows an ignored soft limit, then the soft one is counted, and the hard one kills', async () => {
    const sink = `${temporaryFolder()}/lines`;
    const death = await runFault({ how: 'cpu-limit', where: 'thread', signal: 'SIGXCPU', before: 'ignored', flushMs: 20, sink });
    expect(death).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(marksOf(linesIn(sink).at(-1)!)).toEqual({ sigxcpu: 1n });
  });
});

row(30, 'native stack overflow, thread that gave one of its two claims back', (add) => onThreads(add, 'overflow', SEGV, ['claimed-twice']));

printTable();
