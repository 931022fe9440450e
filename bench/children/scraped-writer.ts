// A process that increments 64 metrics of its region in turn without pause: scraped-writer.js FILE. After each slice of
// some milliseconds it notes the moment and what an increment took. For each message it sends its notes since the last.

import { addon } from '../addon.ts';
import { counters, opened, plugDevices } from '../store.ts';

const SLICE_MS = 5;
const METRICS = 64;
const WARM = 20_000_000;

/** A slice: when it ended, in milliseconds of the clock that all processes share, and nanoseconds of an increment. */
export type Slice = readonly [endMs: number, ns: number];

const metrics = await opened(process.argv[2]);
plugDevices(metrics);
const counted = counters(metrics, METRICS).map(({ metric }) => metric);
function count(times: number): void {
  for (let i = 0; i < times; i++) counted[i & (METRICS - 1)]!.inc();
}
count(WARM);
const beganMs = performance.now();
count(WARM);
const times = Math.ceil((WARM * SLICE_MS) / (performance.now() - beganMs));

let slices: Slice[] = [];
process.on('disconnect', () => process.exit());
process.on('message', () => {
  process.send!(slices);
  slices = [];
});
process.send!('ready');
const slice = () => {
  const beganNs = addon.threadCpuNs();
  count(times);
  const ns = (addon.threadCpuNs() - beganNs) / times;
  slices.push([Number(process.hrtime.bigint()) / 1e6, ns]);
  setImmediate(slice);
};
slice();
