// What does an increment cost while another thread increments the same metric, or another process reads it? This needs
// two idle processors: otherwise the two threads or processes hardly run at the same moment, and the figures look
// better than they are.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { addon } from '../addon.ts';
import { median } from '../statistics.ts';
import { attached, counters, folderInMemory, opened } from '../store.ts';
import { trialSubject } from '../trial.ts';

/**
 * Several workers add to one metric at the same time, each `times` times. Returns the longest processor time of a
 * worker.
 */
async function together(workers: number, times: number): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const running = Array.from(
    { length: workers },
    () => new Worker(new URL('../children/counter.js', import.meta.url), { workerData: { gate, times } }),
  );
  await Promise.all(running.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  const done = Promise.all(running.map((worker) => new Promise<number>((resolve) => worker.once('message', resolve))));
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  return Math.max(...(await done));
}

/**
 * How much longer increments take while another process reads the region in a loop. The reference is the same
 * increments while that process is stopped.
 */
async function beingRead() {
  const file = join(folderInMemory(), 'region');
  const metrics = counters(await opened(file), 64).map(({ metric }) => metric);
  const script = fileURLToPath(new URL('../children/region-reader.js', import.meta.url));
  const reader = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => reader.kill('SIGKILL'));
  await new Promise((resolve) => reader.stdout.once('data', resolve));
  reader.kill('SIGSTOP');
  reader.stdout.destroy();
  reader.unref(); // from now on nothing waits for the reader
  const count = (times: number) => {
    const beganNs = addon.threadCpuNs();
    for (let i = 0; i < times; i++) metrics[i & 63]!.inc();
    return addon.threadCpuNs() - beganNs;
  };
  return (times: number) => {
    const ratios: number[] = [];
    for (let i = 0; i < 5; i++) {
      const alone = count(times);
      reader.kill('SIGCONT');
      ratios.push(count(times) / alone);
      reader.kill('SIGSTOP');
    }
    return median(ratios);
  };
}

export const subject = trialSubject('contention', import.meta.url, [
  {
    name: 'two workers on one metric, against one',
    unit: 'times',
    times: 20_000_000,
    bound: { atLeast: 1.8 },
    prepare: async () => {
      await opened();
      return async (times) => (2 * (await together(1, times))) / (await together(2, times));
    },
  },
  {
    name: 'two native threads on one metric, against one',
    unit: 'times',
    times: 20_000_000,
    bound: { atLeast: 1.9 },
    prepare: async () => {
      const metrics = await opened();
      const { path } = counters(metrics, 1)[0]!;
      const native = attached(metrics);
      return (times) => (2 * native.together(path, 1, times)) / native.together(path, 2, times);
    },
  },
  { name: 'inc() beside a reader of the region in a loop', unit: 'times', times: 20_000_000, bound: { atMost: 1.05 }, prepare: beingRead },
]);
