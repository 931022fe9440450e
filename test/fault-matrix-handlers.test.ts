// The fault matrix, rows 23 to 31: other people's handlers, other copies of the package, exit() and close() at the
// worst moment, and a fault in the very write of a line. What needs no Node is in test/native: handing_on_test.cc (rows
// 23, 27, 29), exit_test.cc (25, 26), sending_fault_test.cc (31).

import { cpSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

import { type ChildOptions, runChild } from './helpers/children.ts';
import { marksOf } from './helpers/faults.ts';
import { HANG_MS } from './helpers/limits.ts';
import { printTable, row } from './helpers/matrix-table.ts';
import { makeFifo, Reader } from './helpers/sinks.ts';
import { at, linesIn, linesOf, temporaryFolder } from './helpers/workplace.ts';

type Step = readonly [name: string, ...args: unknown[]];

async function run(plan: { readonly signal?: NodeJS.Signals; readonly delayMs?: number }, steps: readonly Step[], options?: ChildOptions) {
  const sink = `${temporaryFolder()}/lines`;
  const death = await runChild('handlers.mjs', [JSON.stringify({ sink, ...plan, steps })], options);
  return { ...death, text: readFileSync(sink, 'utf8'), lines: linesIn(sink) };
}

const count = (lines: readonly Record<string, unknown>[]) =>
  lines.reduce((sum, line) => sum + (at(line, 'vcpu.exit_io_out') as bigint), 0n);

row(23, 'a handler above ours that hands on, and captureSignals() again', (add) => {
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    add(`when ${signal} comes, then the handler is reached once, and it dies of it, with a line`, async () => {
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
  add('when a signal comes that is ignored, a thousand times, then each is counted once, and it lives', async () => {
    const raises = Array.from({ length: 1000 }, (): Step => ['raise']);
    const steps: Step[] = [['open'], ['capture'], ['install', 'Above'], ['capture', { signals: ['SIGPIPE'] }], ...raises];
    const { code, stdout } = await run({ signal: 'SIGPIPE' }, [...steps, ['sleep', 50], ['seen']]);
    expect(code).toBe(0);
    expect(stdout.endsWith('seen 1000\n')).toBe(true);
    expect(stdout.match(/above/g)).toHaveLength(1000);
  });
  for (const how of ['null', 'abort', 'illegal'] as const) {
    add(`when ${how} comes, then the handler is reached, and it dies as it would, with one line`, async () => {
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

/** A second copy of the built package, as another place of node_modules has it. */
function secondCopy(): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const folder = `${temporaryFolder()}/node_modules/vmm-metrics`;
  // What packs the package takes the addon from `build` to `prebuilds`.
  const addon = existsSync(`${root}build/Release/vmm_metrics.node`) ? 'build/Release/vmm_metrics.node' : 'prebuilds';
  for (const part of ['package.json', 'dist/lib', addon]) cpSync(`${root}${part}`, `${folder}/${part}`, { recursive: true });
  return folder;
}

row(24, 'two copies of the package capture', (add) => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGSEGV', 'SIGABRT'] as const) {
    for (const again of [false, true]) {
      add(
        `when ${signal} comes${again ? ' after the first captured again' : ''}, then both have a last line, and it dies of it`,
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
      `when the region file of the ${cut === 0 ? 'first' : 'second'} is cut short, then it lives, and neither has a line of a death`,
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

// Without threads of V8's own: an exit() that interrupts one of its locks hangs stock Node.
row(25, "exit() in a host's signal handler, in a loop that flushes", (add) => {
  for (const delayMs of [3, 10, 21, 33, 47]) {
    add(`when it comes after ${delayMs} ms, then it ends with its code, and all lines are whole`, async () => {
      const steps: Step[] = [['open'], ['install', 'Exiter'], ['flushing', 'SIGUSR2']];
      const { code, signal, text } = await run({ signal: 'SIGUSR2', delayMs }, steps, { execArgv: ['--single-threaded', '--jitless'] });
      expect({ code, signal }).toEqual({ code: 7, signal: null });
      expect(text.endsWith('}\n')).toBe(true);
      expect(linesOf(text).length).toBeGreaterThan(0);
    });
  }
});

row(26, 'the last attachment closes while a last line waits for its reader', (add) => {
  add('when the pipe is read after that, then the line comes out, and it dies of the fault', async () => {
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
    expect(count(linesOf(text))).toBe(7n);
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

/** Freed memory is filled, so that what uses it fails each time. */
const perturbed = { before: 'export MALLOC_PERTURB_=170' };
const withoutStack = (stderr: string) => stderr.split('\n').filter((line) => !/^\s*(at |file:)|^$|^\s*\^/.test(line));

row(28, 'stores are closed while listeners of theirs are on their way', (add) => {
  add('when a host takes its listener off and closes them in one turn, then the process goes on', async () => {
    expect(await runChild('close-in-use.mjs', ['listener'], perturbed)).toMatchObject({ code: 0, signal: null, stdout: 'alive\n' });
  });
  add("when a host's monitor closes them before ours sees the panic, then the process ends as stock Node does", async () => {
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

const preload = fileURLToPath(new URL('./addon/build/Release/slow_write.node', import.meta.url));

row(31, 'a fault of the flushing thread inside its own write', (add) => {
  for (const by of ['main', 'thread'] as const) {
    for (const percent of [0, 50, 99, 100]) {
      add(`when ${by} has it after ${percent} % of the bytes, then no line is torn, and nothing lost or said twice`, async () => {
        const steps: Step[] = [['open'], ['capture'], ['add', 5], ['flush'], ['add', 7], ['faulty', percent, by], ['sleep', 20_000]];
        const { signal, text, lines } = await run({}, steps, { before: `export LD_PRELOAD='${preload}'` });
        expect(signal).toBe('SIGSEGV');
        expect(text.endsWith('}\n')).toBe(true);
        expect(count(lines)).toBe(12n);
        expect(lines.map((line) => Object.keys(marksOf(line)).length)).toEqual(percent === 0 ? [0, 1] : [0, 0, 1]);
      });
    }
  }
});

printTable();
