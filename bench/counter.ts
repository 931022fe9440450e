// A worker that counts when the gate opens, and says how long it took in milliseconds.

import { parentPort, workerData } from 'node:worker_threads';

import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

const { gate, times } = workerData as { gate: Int32Array; times: number };
const metric = Metrics.open(firecracker, { name: 'bench' }).app.vcpu.exit_io_in;
const count = (n: number) => {
  for (let i = 0; i < n; i++) metric.inc();
};
count(200_000); // until it is compiled
parentPort?.postMessage('ready');
Atomics.wait(gate, 0, 0);
const began = performance.now();
count(times);
parentPort?.postMessage(performance.now() - began);
