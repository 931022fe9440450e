// The periodic flush writes lines on its own thread, whatever the event loop does.

import { describe, expect, test } from 'vitest';

import { drained, expectAllOut, misses, openStore } from './helpers/exits.ts';
import { HANG_MS } from './helpers/limits.ts';
import { makeFifo, reading, runSinkChild } from './helpers/sinks.ts';
import { linesIn, sumOf, temporaryFolder } from './helpers/workplace.ts';

describe('periodic flush', () => {
  const sleepHard = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

  /** Waits until the file has `count` lines. The event loop is blocked meanwhile. */
  const awaitLines = (path: string, count: number) => {
    for (let waitedMs = 0; waitedMs < HANG_MS && linesIn(path).length < count; waitedMs += 5) sleepHard(5);
    expect(linesIn(path).length).toBeGreaterThanOrEqual(count);
  };

  test('given an interval of 10 ms, when the event loop is blocked, then lines are written, and none too soon', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.init(path);
    metrics.app.vcpu.exit_io_in.add(7);
    const begin = performance.now();
    metrics.startPeriodicFlush({ intervalMs: 10 });
    awaitLines(path, 15);
    const lines = linesIn(path);
    expect(lines.length).toBeLessThanOrEqual((performance.now() - begin) / 10);
    expect(sumOf(lines, 'vcpu.exit_io_in')).toBe(7n);
    const times = lines.map((line) => Number(line['utc_timestamp_ms']));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('given no init(), when time passes, then no flush counts as missed, and lines are written after init()', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.startPeriodicFlush({ intervalMs: 5 });
    sleepHard(50);
    metrics.init(path);
    awaitLines(path, 4);
    const lines = linesIn(path);
    expect(misses(lines)).toBe(0n);
  });

  test('given a long interval, when the flush is started again with a short interval, then lines are written at the short interval', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.init(path);
    metrics.startPeriodicFlush({ intervalMs: 3_600_000 });
    sleepHard(30); // until the thread waits
    metrics.startPeriodicFlush({ intervalMs: 10 });
    awaitLines(path, 4);
    metrics.startPeriodicFlush({ intervalMs: 3_600_000 });
    const before = linesIn(path).length;
    sleepHard(100);
    expect(linesIn(path).length - before).toBeLessThanOrEqual(1);
  });

  test('given a full pipe, when time passes and a reader opens it, then each missed flush is counted and nothing is lost', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = openStore();
    metrics.init(path);
    metrics.app.vcpu.exit_io_in.add(7);
    metrics.startPeriodicFlush({ intervalMs: 2 });
    const missesSoFar = () => Number(metrics.app.logger.missed_metrics_count.count());
    for (let waitedMs = 0; waitedMs < HANG_MS && missesSoFar() <= 3; waitedMs += 5) sleepHard(5);
    metrics.startPeriodicFlush({ intervalMs: 3_600_000 });
    // One flush may still be running.
    for (let missed = -1; missed !== missesSoFar(); sleepHard(50)) missed = missesSoFar();
    const missed = missesSoFar();
    expect(missed).toBeGreaterThan(3);
    const { text, failures } = drained(reading(path), metrics);
    expectAllOut(text, metrics, missed + failures);
  });

  test('given a process that does nothing more, when its periodic flush runs, then the process ends by itself', async () => {
    const path = `${temporaryFolder()}/lines`;
    const { code, signal } = await runSinkChild('periodic', path);
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(linesIn(path).length).toBeGreaterThan(2);
  });
});
