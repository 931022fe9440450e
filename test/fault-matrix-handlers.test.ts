// The fault matrix, rows 19 to 31 without 30: crash reporters and handlers of other code, forks and PID namespaces,
// other copies of the package, exit() and close() at the worst moment, and a fault in the write of a line. Tests
// without Node are in test/native: handing_on_test.cc (rows 23, 27, 29), exit_test.cc (25, 26), sending_fault_test.cc
// (31).

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

import { type ChildDeath, type ChildOptions, runChild } from './helpers/children.ts';
import { LIVES, variant } from './helpers/fault-variants.ts';
import { marksOf, outlineOf, type Plan, runFault } from './helpers/faults.ts';
import { HANG_MS } from './helpers/limits.ts';
import { printTable, row } from './helpers/matrix-table.ts';
import { makeFifo, Reader } from './helpers/sinks.ts';
import { slowWrites } from './helpers/slow-write.ts';
import { at, linesIn, linesOf, sumOf, temporaryFolder } from './helpers/workplace.ts';

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
      // If a signal does not always kill, a reporter that was installed before runs first, and the signal is only
      // counted.
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
    // Stock Node ends by another fault, because the kernel drops the signal of an abort() here.
    { how: 'js-abort', code: 134, marks: { panic_count: 1n }, incomparable: true },
    { how: 'throw', code: 1, marks: { panic_count: 1n } },
    // Our handler counts a signal that is sent, and then the kernel drops it, so the process survives.
    { how: 'kill', signal: 'SIGHUP', code: 0, marks: { sighup: 1n } },
    { how: 'kill', signal: 'SIGABRT', code: 0, marks: { panic_count: 1n } },
    { how: 'kill', signal: 'SIGSEGV', code: 0, marks: { sigsegv: 1n } },
  ] as const;
  for (const { how, code, marks, ...rest } of cases) {
    add(
      `when ${how}${'signal' in rest ? ` ${rest.signal}` : ''}, then the process exits with ${code}, with a last line`,
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
    // Code that still hands signals on to this handler must find it loaded.
    { how: 'js-abort', ends: 'SIGABRT', above: 'SIGABRT' },
    { how: 'divide', ends: 'SIGFPE', above: 'SIGFPE' },
    { how: 'raise:1', ends: 'SIGHUP', above: 'SIGHUP', terminates: true },
  ] as const;
  for (const { ends, ...plan } of cases) {
    const more = ['above' in plan && 'and a reporter hands on to what was there', 'terminates' in plan && 'terminated'].filter(Boolean);
    add(
      `when ${[plan.how, ...more].join(', ')}, then the process ends with ${ends}, as stock Node, and the only line is the worker's`,
      async () => {
        const sink = `${temporaryFolder()}/lines`;
        const run = (rest: object) => runChild('worker-only.mjs', [JSON.stringify({ ...plan, ...rest })]);
        const [death, stock] = await Promise.all([run({ sink }), run({ noCapture: true })]);
        expect(outlineOf(death)).toEqual(outlineOf(stock));
        expect(typeof ends === 'number' ? death.code : death.signal).toBe(ends);
        expect(death.stdout).toBe('above' in plan ? 'reported\n' : '');
        expect(linesOf(readFileSync(sink, 'utf8')).map(marksOf)).toEqual([{}]);
      },
    );
  }
});

type Step = readonly [name: string, ...args: unknown[]];

async function run(plan: { readonly signal?: NodeJS.Signals; readonly delayMs?: number }, steps: readonly Step[], options?: ChildOptions) {
  const sink = `${temporaryFolder()}/lines`;
  const death = await runChild('handlers.mjs', [JSON.stringify({ sink, ...plan, steps })], options);
  return { ...death, text: readFileSync(sink, 'utf8'), lines: linesIn(sink) };
}

row(23, 'a handler above ours that hands on, and captureSignals() again', (add) => {
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    add(`when ${signal} comes, then the handler is reached once, and the process dies of the signal, with a line`, async () => {
      const steps: Step[] = [
        ['open'],
        ['capture'],
        ['install', 'Above'],
        ['capture', { signals: [signal] }],
        ['add'],
        ['raise'],
        ['sleep', 300],
      ];
      const { signal: end, stdout, lines } = await run({ signal }, steps);
      expect(end).toBe(signal);
      expect(stdout).toBe('above\n');
      expect(lines.map((line) => at(line, 'vcpu.exit_io_out'))).toEqual([7n]);
    });
  }
  add('when an ignored signal comes a thousand times, then each is counted once, and the process lives', async () => {
    const raises = Array.from({ length: 1000 }, (): Step => ['raise']);
    const steps: Step[] = [['open'], ['capture'], ['install', 'Above'], ['capture', { signals: ['SIGPIPE'] }], ...raises];
    const { code, stdout } = await run({ signal: 'SIGPIPE' }, [...steps, ['sleep', 50], ['seen']]);
    expect(code).toBe(0);
    expect(stdout.endsWith('seen 1000\n')).toBe(true);
    expect(stdout.match(/above/g)).toHaveLength(1000);
  });
  for (const how of ['null', 'abort', 'illegal'] as const) {
    add(`when ${how} comes, then the handler is reached, and the process dies as without us, with one line`, async () => {
      const [signal, end] = { null: ['SIGSEGV', 'SIGSEGV'], abort: ['SIGABRT', 'SIGABRT'], illegal: ['SIGILL', 'SIGILL'] }[how] as [
        NodeJS.Signals,
        NodeJS.Signals,
      ];
      const steps: Step[] = [['open'], ['capture'], ['install', 'Above'], ['capture'], ['add'], ['die', how]];
      const death = await run({ signal }, steps);
      expect(death.signal).toBe(end);
      expect(death.stdout).toMatch(/^(above\n)+$/);
      expect(death.lines).toHaveLength(1);
    });
  }
});

/** A second copy of the built package, as in another node_modules folder. */
function secondCopy(): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const folder = `${temporaryFolder()}/node_modules/vmm-metrics`;
  // Packing moves the addon from `build` to `prebuilds`.
  const addon = existsSync(`${root}build/Release/vmm_metrics.node`) ? 'build/Release/vmm_metrics.node' : 'prebuilds';
  for (const part of ['package.json', 'dist/lib', addon]) cpSync(`${root}${part}`, `${folder}/${part}`, { recursive: true });
  return folder;
}

row(24, 'two copies of the package capture', (add) => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGSEGV', 'SIGABRT'] as const) {
    for (const again of [false, true]) {
      add(
        `when ${signal} comes${again ? ' after the first captured again' : ''}, then both have a last line, and the process dies of the signal`,
        async () => {
          const folder = temporaryFolder();
          const sinks = [`${folder}/a`, `${folder}/b`];
          const { signal: end } = await runChild('two-copies.mjs', [JSON.stringify({ other: secondCopy(), sinks, signal, again })]);
          expect(end).toBe(signal);
          for (const sink of sinks) expect(linesIn(sink).map((line) => [at(line, 'g.n'), at(line, 'g.seen')])).toEqual([[5n, 1n]]);
        },
      );
    }
  }
  for (const cut of [0, 1]) {
    add(
      `when the region file of the ${cut === 0 ? 'first' : 'second'} is cut short, then the process lives, and neither copy writes a last line`,
      async () => {
        const folder = temporaryFolder();
        const sinks = [`${folder}/a`, `${folder}/b`];
        const files = [`${folder}/ra`, `${folder}/rb`];
        const plan = { other: secondCopy(), sinks, files, signal: 'SIGBUS', cut };
        const { code, signal, stderr } = await runChild('two-copies.mjs', [JSON.stringify(plan)]);
        expect({ code, signal, stderr }).toMatchObject({ code: 0, signal: null });
        for (const [i, sink] of sinks.entries()) {
          const lines = linesIn(sink).map((line) => [at(line, 'g.n'), at(line, 'g.seen'), at(line, 'g.errors')]);
          expect(lines).toEqual([[5n, 0n, 0n], [6n, 0n, i === cut ? 1n : 0n], [0n, 0n, 0n]]); // biome-ignore format: one row
        }
      },
    );
  }
});

// V8 runs without threads of its own: an exit() that interrupts one of V8's locks hangs stock Node.
row(25, "exit() in a host's signal handler, in a loop that flushes", (add) => {
  for (const delayMs of [3, 10, 21, 33, 47]) {
    add(`when the signal comes after ${delayMs} ms, then the process ends with that code, and all lines are whole`, async () => {
      const steps: Step[] = [['open'], ['install', 'Exiter'], ['flushing', 'SIGUSR2']];
      const { code, signal, text } = await run({ signal: 'SIGUSR2', delayMs }, steps, { execArgv: ['--single-threaded', '--jitless'] });
      expect({ code, signal }).toEqual({ code: 7, signal: null });
      expect(text.endsWith('}\n')).toBe(true);
      expect(linesOf(text).length).toBeGreaterThan(0);
    });
  }
});

row(26, 'the last attachment closes while a last line waits for its reader', (add) => {
  add('when the pipe is read after the close, then the last line comes out, and the process dies of the fault', async () => {
    const fifo = makeFifo(`${temporaryFolder()}/fifo`);
    const steps: Step[] = [
      ['open'],
      ['capture', { limitMs: 10_000 }],
      ['fill'],
      ['add'],
      ['later', 'null'],
      ['sleep', 300],
      ['close'],
      ['say', 'closed'],
      ['sleep', HANG_MS],
    ];
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const reader = new Reader(fifo);
    const hears = (said: string) => {
      if (said.includes('closed')) timer = setInterval(() => (text += reader.text()), 5);
    };
    const death = await runChild('handlers.mjs', [JSON.stringify({ sink: fifo, steps })], { hears });
    clearInterval(timer);
    text += reader.text();
    reader.close();
    expect(death.signal).toBe('SIGSEGV');
    expect(text.endsWith('}\n')).toBe(true);
    expect(marksOf(linesOf(text).at(-1)!)).toEqual({ sigsegv: 1n });
    expect(sumOf(linesOf(text), 'vcpu.exit_io_out')).toBe(7n);
  });
});

row(27, "a host's handler that needs a thread's own stack", (add) => {
  for (const signal of ['SIGHUP', 'SIGPIPE'] as const) {
    add(`when ${signal} is captured and comes, then the handler runs as without capture`, async () => {
      const { code, stdout } = await run({ signal }, [['open'], ['install', 'Large'], ['capture'], ['raise'], ['sleep', 50], ['seen']]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'large\nseen 1\n' });
    });
  }
  add('when only a region file is open and SIGBUS comes, then the handler runs as without it', async () => {
    const file = `${temporaryFolder()}/r`;
    const { code, stdout } = await run({ signal: 'SIGBUS', file } as never, [['install', 'Large'], ['open'], ['raise'], ['sleep', 50]]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'large\n' });
  });
});

/** Freed memory is filled, so that each use of it fails. */
const perturbed = { before: 'export MALLOC_PERTURB_=170' };
const withoutStack = (stderr: string) => stderr.split('\n').filter((line) => !/^\s*(at |file:)|^$|^\s*\^/.test(line));

row(28, 'stores are closed while listeners of theirs are on their way', (add) => {
  add('when a host removes its listener and closes the stores in one turn, then the process goes on', async () => {
    expect(await runChild('close-in-use.mjs', ['listener'], perturbed)).toMatchObject({ code: 0, signal: null, stdout: 'alive\n' });
  });
  add("when a host's monitor closes the stores before ours sees the panic, then the process ends as stock Node does", async () => {
    const [captured, stock] = await Promise.all([
      runChild('close-in-use.mjs', ['monitor'], perturbed),
      runChild('close-in-use.mjs', ['stock'], perturbed),
    ]);
    expect(captured).toMatchObject({ code: 1, signal: null });
    expect(captured.code).toBe(stock.code);
    expect(withoutStack(captured.stderr)[1]).toBe(withoutStack(stock.stderr)[1]);
    expect(captured.stderr).toContain('Error: the host fails');
  });
  add('when the same happens in a worker, then its error and exit code are those of stock Node', async () => {
    expect(await runChild('close-in-use.mjs', ['worker'], perturbed)).toMatchObject({
      code: 0,
      signal: null,
      stdout: 'the host fails\n1\n',
    });
  });
});

row(31, 'a fault of the flushing thread inside its own write', (add) => {
  for (const by of ['main', 'thread'] as const) {
    for (const percent of [0, 50, 99, 100]) {
      add(
        `when ${by} has the fault after ${percent} % of the bytes, then no line is torn, and nothing is lost or written twice`,
        async () => {
          const steps: Step[] = [['open'], ['capture'], ['add', 5], ['flush'], ['add', 7], ['faulty', percent, by], ['sleep', 20_000]];
          const { signal, text, lines } = await run({}, steps, slowWrites);
          expect(signal).toBe('SIGSEGV');
          expect(text.endsWith('}\n')).toBe(true);
          expect(sumOf(lines, 'vcpu.exit_io_out')).toBe(12n);
          expect(lines.map((line) => Object.keys(marksOf(line)).length)).toEqual(percent === 0 ? [0, 1] : [0, 0, 1]);
        },
      );
    }
  }
});

printTable();
