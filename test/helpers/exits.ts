// Exits: a store of Firecracker's schema that counts one exit before each line, so that the lines can be compared with
// the counts.

import { expect } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { failureOf } from './errors.ts';
import type { Reader } from './sinks.ts';
import { at, closing, freshName, type Line, linesOf, sumOf } from './workplace.ts';

export const openStore = () => closing(Metrics.open(firecracker, { name: freshName() }));
export type Store = ReturnType<typeof openStore>;

/** Counts one exit and writes a line. Returns whether the line is out. Any error but a failed write fails the test. */
export function writeOne(metrics: Store): boolean {
  metrics.app.vcpu.exit_io_in.inc();
  const failure = failureOf(() => metrics.write());
  if (failure !== undefined) expect(failure.code).toBe('ERR_METRICS_WRITE');
  return failure === undefined;
}

/** Writes `count` lines. Returns the number of lines that failed. */
export function writeMany(metrics: Store, count: number): number {
  return Array.from({ length: count }, () => writeOne(metrics)).filter((out) => !out).length;
}

export const exits = (lines: Line[]) => lines.map((line) => Number(at(line, 'vcpu.exit_io_in')));
export const misses = (lines: Line[]) => sumOf(lines, 'logger.missed_metrics_count');

/** Checks that every line is out: the deltas and the misses in `text` are complete. */
export function expectAllOut(text: string, metrics: Store, failures: number): void {
  expect(text.endsWith('\n')).toBe(true);
  const lines = linesOf(text);
  expect(sumOf(lines, 'vcpu.exit_io_in')).toBe(metrics.app.vcpu.exit_io_in.count());
  expect(metrics.app.vcpu.exit_io_in.fetchDiff()).toBe(0n);
  expect(misses(lines)).toBe(BigInt(failures));
}

/** Reads and writes in turn until a line is out and everything is read. */
export function drained(reader: Reader, metrics: Store): { text: string; failures: number } {
  let text = reader.text();
  let failures = 0;
  while (!writeOne(metrics)) {
    failures++;
    text += reader.text();
    expect(failures).toBeLessThan(10);
  }
  return { text: text + reader.text(), failures };
}
