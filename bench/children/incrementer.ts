// A worker that increments one metric after another, in a loop, until it is told to stop. After each round it sends how
// long an increment took, by the clock and in processor time. Processor time leaves out other processes.

import { parentPort, workerData } from 'node:worker_threads';

import { type IncMetric, Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { addon } from '../addon.ts';

const ROUNDS = 2_000_000;

/** `stop` is shared with the parent, which sets it to end this worker. */
const { stop, fields } = workerData as { stop: Int32Array; fields: string[] };
const { vcpu } = Metrics.open(firecracker, { name: 'bench-profiling' }).app;
const metrics = fields.map((field) => vcpu[field as keyof typeof vcpu] as IncMetric);

function increment(rounds: number): void {
  for (let i = 0; i < rounds; i++) for (const metric of metrics) metric.inc();
}

increment(200_000); // until it is compiled
while (Atomics.load(stop, 0) === 0) {
  const began = performance.now();
  const beganNs = addon.threadCpuNs();
  increment(ROUNDS);
  const increments = ROUNDS * metrics.length;
  parentPort?.postMessage({
    ns: ((performance.now() - began) * 1e6) / increments,
    processorNs: (addon.threadCpuNs() - beganNs) / increments,
  });
}
