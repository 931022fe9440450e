// A worker that counts when the gate opens, and sends how many nanoseconds of processor time the counting took.

import { parentPort, workerData } from 'node:worker_threads';

import { addon } from '../addon.ts';
import { opened } from '../store.ts';

const { gate, times } = workerData as { gate: Int32Array; times: number };
const metric = (await opened()).app.vcpu.exit_io_in;
const count = (n: number) => {
  for (let i = 0; i < n; i++) metric.inc();
};
count(200_000); // until it is compiled
parentPort?.postMessage('ready');
Atomics.wait(gate, 0, 0);
const beganNs = addon.threadCpuNs();
count(times);
parentPort?.postMessage(addon.threadCpuNs() - beganNs);
