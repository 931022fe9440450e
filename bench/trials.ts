// What is measured. A trial is set up once in a process of its own, and then run again and again, turn about with the
// yardstick.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { type IncMetric, Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { outOfBoundsLoad } from './wasm.ts';

export interface Trial {
  readonly name: string;
  /** Nanoseconds of one operation, over `times` of them. */
  readonly prepare: () => (times: number) => number | Promise<number>;
  readonly times: number;
  /** How often it is run in one process. Default: 9. */
  readonly turns?: number;
  /** What the figure is a multiple of. */
  readonly unit: 'xadd' | 'times one' | 'times as long' | 'bytes';
  /** The trial that this one's figure is a ratio to. Left out, the figure is what `prepare` gives. */
  readonly against?: string;
  /** The figure to hold, and from which side. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

const open = () => Metrics.open(firecracker, { name: 'bench' });

// Each loop stands in its trial, over its own locals: as a closure handed to a timer it would measure the closure.
const now = process.hrtime.bigint;
const each = (began: bigint, times: number) => Number(now() - began) / times;

function incMetrics(count: number, metrics = open()): IncMetric[] {
  const groups = Object.values(metrics.app as object) as object[];
  return groups
    .flatMap((group) => Object.values(group))
    .filter((metric): metric is IncMetric => 'inc' in metric)
    .slice(0, count);
}

function writing(withDevices: boolean): (times: number) => number {
  const metrics = open();
  metrics.init('/dev/null');
  if (withDevices) {
    for (let i = 0; i < 8; i++) {
      metrics.app.block.alloc(`drive${i}`);
      metrics.app.net.alloc(`eth${i}`);
    }
    for (let i = 0; i < 19; i++) metrics.app.pmem.alloc(`pmem${i}`);
  }
  return (times) => {
    const began = now();
    for (let i = 0; i < times; i++) metrics.write();
    return each(began, times);
  };
}

function trapping(isCaptured: boolean): (times: number) => number {
  const metrics = open();
  metrics.init('/dev/null');
  if (isCaptured) metrics.captureSignals();
  const load = outOfBoundsLoad();
  return (times) => {
    let errors = 0;
    const began = now();
    for (let i = 0; i < times; i++) {
      try {
        load();
      } catch {
        errors++;
      }
    }
    const ns = each(began, times);
    if (errors !== times) throw new Error(`${times} traps gave ${errors} errors`);
    return ns;
  };
}

/**
 * How much longer the same increments take while another process reads the region in a loop than while it is stopped.
 */
function beingRead(): (times: number) => Promise<number> {
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vmm-metrics-bench-'));
  const file = join(directory, 'region');
  const metrics = incMetrics(64, Metrics.open(firecracker, { name: 'bench', file }));
  const script = fileURLToPath(new URL('./region-reader.js', import.meta.url));
  const reader = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => {
    reader.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  const reading = new Promise((resolve) => reader.stdout.once('data', resolve)).then(() => {
    reader.stdout.destroy();
    reader.unref(); // from here on nothing waits for it
  });
  const count = (times: number) => {
    const began = now();
    for (let i = 0; i < times; i++) metrics[i & 63]!.inc();
    return each(began, times);
  };
  return async (times) => {
    await reading;
    const ratios: number[] = [];
    for (let i = 0; i < 5; i++) {
      reader.kill('SIGSTOP');
      const alone = count(times);
      reader.kill('SIGCONT');
      ratios.push(count(times) / alone);
    }
    return ratios.sort((a, b) => a - b)[2]!;
  };
}

export const trials: readonly Trial[] = [
  {
    name: 'inc() over 64 metrics',
    unit: 'xadd',
    times: 2_000_000,
    atMost: 0.5,
    prepare: () => {
      const metrics = incMetrics(64);
      return (times) => {
        const began = now();
        for (let i = 0; i < times; i++) metrics[i & 63]!.inc();
        return each(began, times);
      };
    },
  },
  {
    name: 'inc() of one metric',
    unit: 'xadd',
    times: 2_000_000,
    atMost: 1.0,
    prepare: () => {
      const [metric] = incMetrics(1);
      return (times) => {
        const began = now();
        for (let i = 0; i < times; i++) metric!.inc();
        return each(began, times);
      };
    },
  },
  {
    name: 'add(n) over 64 metrics',
    unit: 'xadd',
    times: 2_000_000,
    prepare: () => {
      const metrics = incMetrics(64);
      return (times) => {
        const began = now();
        for (let i = 0; i < times; i++) metrics[i & 63]!.add(i);
        return each(began, times);
      };
    },
  },
  {
    name: 'a latency record, start and end',
    unit: 'xadd',
    times: 500_000,
    atMost: 14,
    prepare: () => {
      const metric = open().app.vcpu.exit_io_in_agg;
      return (times) => {
        const began = now();
        for (let i = 0; i < times; i++) {
          const record = metric.record();
          record[Symbol.dispose]();
        }
        return each(began, times);
      };
    },
  },
  { name: 'write() to /dev/null, no devices', unit: 'xadd', times: 5000, atMost: 900, prepare: () => writing(false) },
  { name: 'write() to /dev/null, 8 block + 8 net + 19 pmem', unit: 'xadd', times: 2000, atMost: 2500, prepare: () => writing(true) },
  {
    name: 'heap allocated by an inc()',
    unit: 'bytes',
    times: 5_000_000,
    atMost: 0.01,
    prepare: () => {
      const metrics = incMetrics(64);
      return (times) => {
        const before = process.memoryUsage().heapUsed;
        for (let i = 0; i < times; i++) metrics[i & 63]!.inc();
        return Math.max(0, process.memoryUsage().heapUsed - before - 2000) / times; // the calls of memoryUsage() themselves allocate
      };
    },
  },
  { name: 'a WebAssembly trap, without capture', unit: 'xadd', times: 5000, prepare: () => trapping(false) },
  {
    name: 'a WebAssembly trap, captured, against without',
    unit: 'times as long',
    against: 'a WebAssembly trap, without capture',
    times: 5000,
    atMost: 1.1,
    prepare: () => trapping(true),
  },
  {
    name: 'inc() beside a reader of the region in a loop',
    unit: 'times as long',
    times: 20_000_000,
    atMost: 1.05,
    turns: 3,
    prepare: beingRead,
  },
  {
    name: 'two workers on one metric, against one',
    unit: 'times one',
    times: 20_000_000,
    turns: 3,
    atLeast: 1.8,
    prepare: () => {
      open();
      return async (times) => (2 * (await together(1, times))) / (await together(2, times));
    },
  },
];

/** How long so many workers take, each for its own count, all on one metric. */
async function together(workers: number, times: number): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const running = Array.from(
    { length: workers },
    () => new Worker(new URL('./counter.js', import.meta.url), { workerData: { gate, times } }),
  );
  await Promise.all(running.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  const done = Promise.all(running.map((worker) => new Promise<number>((resolve) => worker.once('message', resolve))));
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  return Math.max(...(await done));
}
