// The fault matrix: every way to die, and every way not to, each in a process of its own, against the same process
// without capture where that dies too. Each row was seen to fail with its protection removed.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

import { type ChildDeath, runChild } from './helpers/children.ts';
import { type Case, checkFault, marksOf, outlineOf, type Plan, runFault, someLoad, type Where } from './helpers/faults.ts';
import { checkKilled, killed } from './helpers/kills.ts';
import { HANG_MS } from './helpers/limits.ts';
import { type AddVariant, printTable, row } from './helpers/matrix-table.ts';
import { makeFifo, Reader } from './helpers/sinks.ts';
import { at, linesIn, linesOf, temporaryFolder } from './helpers/workplace.ts';

type Fatal = Pick<Case, 'ends' | 'marks'>;
const SEGV: Fatal = { ends: 'SIGSEGV', marks: { sigsegv: 1n } };
const BUS: Fatal = { ends: 'SIGBUS', marks: { sigbus: 1n } };
const ILL: Fatal = { ends: 'SIGILL', marks: { sigill: 1n } };
const FPE: Fatal = { ends: 'SIGFPE', marks: {} };
const SYS: Fatal = { ends: 'SIGSYS', marks: { num_faults: 1n } };
const ABRT: Fatal = { ends: 'SIGABRT', marks: { panic_count: 1n } };
/** Nothing is counted; the one line is that of an orderly end. */
const LIVES: Fatal = { ends: 0, marks: {} };

const EVERYWHERE: readonly Where[] = ['main', 'worker', 'thread', 'pool', 'attached'];

function variant(add: AddVariant, one: Case): void {
  const { how, where, signal, load } = one.plan;
  const name = one.name ?? `${how}${signal ? ` ${signal}` : ''}${where ? `, ${where}` : ''}`;
  const lines = one.marks === null ? 'without a line' : 'and a line';
  const end = one.ends === 0 ? 'it lives, and the line of its end has no mark' : `it ends with ${one.ends}, ${lines}`;
  add(`when ${name}${load ? ', while all count and lines go out' : ''}, then ${end}`, () => checkFault(one));
}

/** On each thread, at rest and under load. */
function onThreads(add: AddVariant, how: string, end: Fatal, wheres: readonly Where[], run?: Case['run']): void {
  for (const where of wheres) {
    variant(add, { plan: { how, where }, ...end, ...(run && { run }) });
    variant(add, { plan: { how, where, load: someLoad }, ...end, ...(run && { run }) });
  }
}

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
    // A filter that kills leaves nothing to capture.
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

/** For the fixture's `writing` and `together`: a disk that is slow when asked to be. */
const slowWrites = { before: `export LD_PRELOAD='${fileURLToPath(new URL('./addon/build/Release/slow_write.node', import.meta.url))}'` };

row(12, 'eight threads crash at once', (add) => {
  const same = Array.from({ length: 8 }, () => 'null');
  const mixed = ['null', 'illegal', 'divide', 'truncated', 'abort', 'seccomp', 'double-free', 'terminate'];
  const ends = new Map([SEGV, BUS, ILL, FPE, SYS, ABRT].map((end) => [end.ends, end.marks]));
  for (let round = 1; round <= 3; round++) {
    for (const [what, hows] of [
      ['the same way', same],
      ['in different ways', mixed],
    ] as const) {
      add(`when all die ${what} (${round}), then there is one line, with the mark of the signal it dies by`, async () => {
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
  add('when throw with --abort-on-uncaught-exception, then it dies of that, with one line', async () => {
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
    add(`when ${how} raises ${signal} and ${stands}, then it is counted, and the process lives`, () =>
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
  add('when the hard limit follows a soft one that was ignored, then the first is counted, and the second kills', async () => {
    const sink = `${temporaryFolder()}/lines`;
    const death = await runFault({ how: 'cpu-limit', where: 'thread', signal: 'SIGXCPU', before: 'ignored', flushMs: 20, sink });
    expect(death).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(marksOf(linesIn(sink).at(-1)!)).toEqual({ sigxcpu: 1n });
  });
});

/** One line, with all that one that got nowhere was to have, and that it was missed. */
function expectPendingIn(path: string): void {
  const values = linesIn(path).map((line) => [at(line, 'vcpu.exit_io_out'), at(line, 'logger.missed_metrics_count')]);
  expect(values).toEqual([[7n, 1n]]);
}

const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'vmm-metrics', '/mnt']).status === 0;

row(16, 'SIGKILL under full load, with a region file', (add) => {
  for (const sink of ['file', 'pipe', 'none'] as const) {
    add(`when it comes at some moment, lines to ${sink}, then the region has every acknowledged increment, and says killed`, async () => {
      checkKilled(await killed(sink, Math.random() * 80));
    });
  }
  // By its own hand in the middle of the write of a line, or right after it.
  const [midst, end] = [
    [0, constants.signals.SIGKILL],
    [-1, constants.signals.SIGKILL],
  ];
  const worst = [
    { name: 'in the midst of a line', sink: 'file', at: midst, settled: 'pending', lines: 0 },
    { name: 'between the last byte of a line and its commit', sink: 'file', at: end, settled: 'out', lines: 1 },
    { name: 'there, with a pipe, of which nobody can tell', sink: 'pipe', at: end, settled: 'unknown', lines: 1 },
  ] as const;
  for (const { name, sink, at: write, settled, lines } of worst) {
    add(`when it comes ${name}, then that line counts as ${settled}`, async () => {
      const death = await killed(sink, undefined, write);
      expect(death.reading.lineInFlight).toBe(settled);
      expect(death.lines).toHaveLength(lines);
      checkKilled(death);
    });
  }
});

row(17, 'region file cut short, or its disk full', (add) => {
  const cut = async (steps: readonly string[], more: object = {}) => {
    const folder = temporaryFolder();
    const [file, sink] = [`${folder}/r`, `${folder}/lines`];
    const death = await runChild('region.mjs', [JSON.stringify({ file, sink, steps, ...more })]);
    return { ...death, lines: linesIn(sink).map((line) => [at(line, 'vcpu.exit_io_in'), at(line, 'logger.metrics_fails')]) };
  };
  for (const bytes of [0, 100, 8192, 8192 + 37 * 4096]) {
    add(
      `when it is cut to ${bytes} bytes while main counts, then it lives, deltas are right, and the next line says so, once`,
      async () => {
        const { code, signal, stdout, lines } = await cut(['open', 'write', 'truncate', 'add', 'print', 'write', 'add', 'write', 'close'], {
          bytes,
        });
        expect({ code, signal }).toEqual({ code: 0, signal: null });
        expect(stdout).toMatch(/^\d+ pending 3 /);
        expect(lines).toEqual([[5n, 0n], [3n, 1n], [3n, 0n], [0n, 0n]]); // biome-ignore format: one row
      },
    );
  }
  add('when it is cut while a worker counts, then its counts from then on are in the line', async () => {
    const { code, lines } = await cut(['open', 'write', 'worker', 'write', 'close'], { bytes: 0 });
    expect(code).toBe(0);
    expect(lines.at(1)![0]).toBeGreaterThanOrEqual(1000n);
    expect(lines.at(1)![0]).toBeLessThanOrEqual(1002n);
  });
  const deaths = [
    { die: 'segv', ends: 'SIGSEGV', name: 'inside the handler of a SIGSEGV' },
    { die: 'bus', ends: 'SIGBUS', name: "inside the handler of the host's own SIGBUS" },
    { die: 'killBus', ends: 'SIGBUS', name: 'inside the handler of a SIGBUS that was sent' },
  ] as const;
  for (const { die, ends, name } of deaths) {
    add(`when it is found cut ${name}, then it ends with ${ends}, and a line that says both`, async () => {
      const { lines, code, signal } = await cut(['open', 'capture', 'write', 'truncate', die, 'wait']);
      expect({ code, signal }).toEqual({ code: null, signal: ends });
      expect(lines).toEqual([[5n, 0n], [0n, 1n]]); // biome-ignore format: one row
    });
  }
});

row(18, 'sink full, reader gone, disk full, file limit reached, path removed', (add) => {
  const sinks: { what: string; error: string; impossible?: string; make(folder: string): [Plan: object, run?: Case['run']] }[] = [
    { what: 'a full device', error: 'ENOSPC', make: () => [{ sink: '/dev/full' }] },
    { what: 'a pipe that is full', error: 'EAGAIN', make: (folder) => [{ sink: makeFifo(`${folder}/fifo`) }] },
    {
      what: 'a pipe whose reader has gone',
      error: 'EPIPE',
      make: (folder) => {
        const fifo = makeFifo(`${folder}/fifo`);
        return [{ sinkFd: 9 }, { before: `: <'${fifo}' & exec 9>'${fifo}'; wait` }];
      },
    },
    {
      what: 'a file at the limit on file sizes',
      error: 'EFBIG',
      make: (folder) => {
        writeFileSync(`${folder}/lines`, `${' '.repeat(4095)}\n`);
        return [{ sink: `${folder}/lines` }, { before: 'ulimit -f 8' }];
      },
    },
    {
      what: 'a file on a full disk',
      error: 'ENOSPC',
      ...(!canMount && { impossible: 'no file system can be mounted here' }),
      make: (folder) => {
        const mount = 'mount -t tmpfs -o size=16k vmm-metrics "$0" && exec "$@"';
        return [{ sink: `${folder}/lines` }, { prefix: ['unshare', '--mount', 'sh', '-c', mount, folder] }];
      },
    },
    {
      what: 'a path that is removed',
      error: 'ENOENT',
      make: (folder) => {
        mkdirSync(`${folder}/gone`);
        return [{ sink: `${folder}/gone/lines`, removes: `${folder}/gone` }];
      },
    },
  ];
  for (const { what, error, impossible, make } of sinks) {
    add(
      `given ${what}, when flushed, then it is missed and counted, and the process lives`,
      async () => {
        const [plan, run] = make(temporaryFolder());
        const death = await runFault({ how: 'nothing', fills: true, tells: true, ...plan }, run);
        expect(death).toMatchObject({ code: 0, signal: null, stdout: `${error}\nalive with 7, missed 1, seen \n` });
      },
      impossible,
    );
    for (const [how, end] of [
      ['null', SEGV],
      ['js-abort', ABRT],
    ] as const) {
      add(
        `given ${what}, when ${how}, then it dies by ${end.ends}`,
        async () => {
          const [plan, run] = make(temporaryFolder());
          const death = await runFault({ how, fills: true, ...plan }, run);
          expect(death).toMatchObject({ code: null, signal: end.ends });
        },
        impossible,
      );
    }
  }
  add('given a path that was removed, when it is there again, then the next line has what was pending, and the misses', async () => {
    const folder = `${temporaryFolder()}/gone`;
    mkdirSync(folder);
    const plan = { how: 'nothing', sink: `${folder}/lines`, removes: folder, fills: true, mends: `mkdir '${folder}'` };
    expect(await runFault(plan)).toMatchObject({ code: 0, stdout: 'ENOENT\n' });
    expectPendingIn(`${folder}/lines`);
  });
  add('given a device that was full, when there is another, then the next line has what was pending, and the misses', async () => {
    const [link, file] = ['link', 'lines'].map((name) => `${temporaryFolder()}/${name}`) as [string, string];
    symlinkSync('/dev/full', link);
    const plan = { how: 'nothing', sink: link, fills: true, mends: `ln -sfn '${file}' '${link}'` };
    expect(await runFault(plan)).toMatchObject({ code: 0, stdout: 'ENOSPC\n' });
    expectPendingIn(file);
  });
});

row(19, 'another crash reporter, before or after', (add) => {
  const faults = [
    { how: 'null', ends: 'SIGSEGV', marks: { sigsegv: 1n } },
    { how: 'illegal', ends: 'SIGILL', marks: { sigill: 1n } },
    { how: 'truncated', ends: 'SIGBUS', marks: { sigbus: 1n } },
    { how: 'divide', ends: 'SIGFPE', marks: {} },
    { how: 'js-abort', ends: 'SIGABRT', marks: { panic_count: 1n } },
    { how: 'seccomp', ends: 'SIGSYS', marks: { num_faults: 1n } },
    { how: 'kill', ends: 'SIGSEGV', marks: { sigsegv: 1n } },
    { how: `raise:${constants.signals.SIGTRAP}`, ends: 'SIGTRAP', marks: {} },
    { how: 'kill', ends: 'SIGHUP', marks: { sighup: 1n } },
  ] as const;
  for (const { how, ends, marks } of faults) {
    for (const place of ['before', 'after'] as const) {
      // A reporter that came before us for a signal that does not always kill is only counted before.
      if (ends === 'SIGHUP' && place === 'before') continue;
      const plan: Plan = { how, signal: ends, [place]: 'reporter' };
      variant(add, { name: `${how} (${ends}), with a reporter installed ${place}`, plan, ends, marks, said: 'reported\n' });
    }
  }
});

row(20, 'crash in a forked child', (add) => {
  for (const [inChild, signal] of [
    ['null', 11],
    ['abort', 6],
    ['illegal', 4],
    ['raise:15', 15],
  ] as const) {
    for (const where of ['main', 'worker'] as const) {
      const said = `child died by ${signal}\n`;
      variant(add, { name: `${inChild} in the child, forked by ${where}`, plan: { how: 'fork', inChild, where }, ...LIVES, said });
    }
  }
});

row(21, 'init process of a PID namespace', (add) => {
  const prefix = ['unshare', '--pid', '--fork', '--mount-proc'];
  const impossible = spawnSync(prefix[0]!, [...prefix.slice(1), 'true']).status === 0 ? undefined : 'no PID namespace can be made here';
  const status = ({ code, signal }: ChildDeath) => (signal === null ? code : 128 + constants.signals[signal]);
  const cases = [
    { how: 'null', code: 139, marks: { sigsegv: 1n } },
    { how: 'overflow', code: 139, marks: { sigsegv: 1n } },
    { how: 'illegal', code: 132, marks: { sigill: 1n } },
    { how: 'truncated', code: 135, marks: { sigbus: 1n } },
    { how: 'seccomp', code: 159, marks: { num_faults: 1n } },
    // Stock Node ends by another fault, since the kernel drops the signal of an abort() here.
    { how: 'js-abort', code: 134, marks: { panic_count: 1n }, incomparable: true },
    { how: 'throw', code: 1, marks: { panic_count: 1n } },
    // The kernel drops what is sent, and so the process lives; it is counted.
    { how: 'kill', signal: 'SIGHUP', code: 0, marks: { sighup: 1n } },
    { how: 'kill', signal: 'SIGABRT', code: 0, marks: { panic_count: 1n } },
    { how: 'kill', signal: 'SIGSEGV', code: 0, marks: { sigsegv: 1n } },
  ] as const;
  for (const { how, code, marks, ...rest } of cases) {
    add(
      `when ${how}${'signal' in rest ? ` ${rest.signal}` : ''}, then it exits with ${code}, and a line`,
      async () => {
        const sink = `${temporaryFolder()}/lines`;
        const plan = { how, ...('signal' in rest && { signal: rest.signal }) };
        const [death, stock] = await Promise.all([
          runFault({ ...plan, sink }, { prefix }),
          runFault({ ...plan, sink: `${sink}2`, noCapture: true }, { prefix }),
        ]);
        expect(status(death)).toBe(code);
        if (!('incomparable' in rest)) expect(status(stock)).toBe(code);
        expect(linesIn(sink).map(marksOf)).toEqual([marks]);
      },
      impossible,
    );
  }
});

row(22, 'addon loaded by a worker alone, which has ended', (add) => {
  const cases = [
    { how: 'null', ends: 'SIGSEGV' },
    { how: 'js-abort', ends: 'SIGABRT' },
    { how: 'illegal', ends: 'SIGILL', where: 'thread' },
    { how: 'throw', ends: 1 },
    { how: 'null', ends: 'SIGSEGV', terminates: true },
    // Somebody who still hands on to our handler must find it.
    { how: 'js-abort', ends: 'SIGABRT', above: 'SIGABRT' },
    { how: 'divide', ends: 'SIGFPE', above: 'SIGFPE' },
    { how: 'raise:1', ends: 'SIGHUP', above: 'SIGHUP', terminates: true },
  ] as const;
  for (const { ends, ...plan } of cases) {
    const more = ['above' in plan && 'and a reporter hands on to what was there', 'terminates' in plan && 'terminated'].filter(Boolean);
    add(`when ${[plan.how, ...more].join(', ')}, then it ends with ${ends}, as stock Node, and no line but the worker's own`, async () => {
      const sink = `${temporaryFolder()}/lines`;
      const run = (rest: object) => runChild('worker-only.mjs', [JSON.stringify({ ...plan, ...rest })]);
      const [death, stock] = await Promise.all([run({ sink }), run({ noCapture: true })]);
      expect(outlineOf(death)).toEqual(outlineOf(stock));
      expect(typeof ends === 'number' ? death.code : death.signal).toBe(ends);
      expect(death.stdout).toBe('above' in plan ? 'reported\n' : '');
      expect(linesOf(readFileSync(sink, 'utf8')).map(marksOf)).toEqual([{}]);
    });
  }
});

row(30, 'native stack overflow, thread that gave one of its two claims back', (add) => onThreads(add, 'overflow', SEGV, ['claimed-twice']));

printTable();
