// Histograms from end to end: every way to write, native threads, and a process that is killed.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, type HistogramValue, histogram, latency, Metrics, readRegion } from 'vmm-metrics';

import { accessorOf } from '../lib/accessors/accessors.ts';
import type { HistogramMetric, LatencyHistogramMetric } from '../lib/accessors/histogram.ts';
import { bucketIndexOf, bucketOf } from '../lib/histogram/bucket-index.ts';
import { schemeOf } from '../lib/histogram/scheme.ts';
import { layoutOf, staticMetrics } from '../lib/layout.ts';
import * as here from '../lib/schema.ts';
import { runChild } from './helpers/children.ts';
import { randomFrom } from './helpers/random.ts';
import { soakSeconds } from './helpers/soak.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';
import { cellsFor } from './helpers/write-modes.ts';

interface Addon {
  attach(external: unknown, fingerprint: bigint): string;
  detach(): string;
  find(path: string, kind: number): string;
  bucketsOf(path: string, values: BigUint64Array): string;
  measure(path: string, value: number, how: 'own' | 'shared' | 'ns'): string;
}
const addon = createRequire(import.meta.url)('./addon/build/Release/vmm_test.node') as Addon;

const schema = here.defineSchema({
  g: here.group({
    time: here.latency('time', { histogram: true }),
    size: here.histogram('size', { unit: 'bytes' }),
    boot: here.histogram('boot', { unit: 'ms' }),
  }),
});
const layout = layoutOf(schema);

describe.each(['own', 'shared', 'native'] as const)('given a thread that writes in the way "%s"', (mode) => {
  const open = () => {
    const cells = cellsFor(mode, freshName(), schema, layout);
    const [time, size, boot] = staticMetrics(layout).map((metric) => accessorOf(cells, metric, metric.cell)) as unknown as [
      LatencyHistogramMetric,
      HistogramMetric,
      HistogramMetric,
    ];
    return { cells, time, size, boot };
  };

  test('when it measures, then count, sum, extremes and buckets are exact, and a fraction is rounded', () => {
    const { time, size, cells } = open();
    for (const value of [5, 5n, 4.6, 4096, 2 ** 40, 2n ** 63n, 0]) {
      time.observe(value);
      size.observe(value);
    }
    for (const metric of [time, size]) {
      const value = metric.read();
      expect([value.count, value.sum, value.min, value.max]).toEqual([7n, 15n + 4096n + 2n ** 40n + 2n ** 63n, 0n, 2n ** 63n]);
      expect(value.zeroCount).toBe(1n);
      expect(value.buckets().reduce((sum, { count }) => sum + count, 0n)).toBe(7n);
      expect(value.buckets().map(({ count }) => count)).toEqual([1n, 3n, 1n, 2n]);
    }
    expect(time.sum_us.count()).toBe(time.read().sum);
    expect(time.max_us.fetch()).toBe(2n ** 63n);
    for (const bad of [-1, -0.1, Number.NaN, Number.POSITIVE_INFINITY, 2n ** 64n, '3'] as never[]) {
      expect(() => size.observe(bad)).toThrow();
      expect(() => time.observe(bad)).toThrow();
    }
    expect([size.read().count, time.read().count]).toEqual([7n, 7n]);
    cells.close();
  });

  test('when it times, then the buckets have the nanoseconds, and sizes cannot be timed', () => {
    const { time, size, boot, cells } = open();
    for (const metric of [time, boot]) {
      const record = metric.record();
      record.lap();
      record.end();
      record.end();
      const { count, max } = metric.read();
      expect(count).toBe(2n);
      const highest = metric.read().quantile(1);
      expect(highest).toBeGreaterThan(0);
      expect(highest).toBeLessThan(Number(max) + 1);
    }
    expect(() => size.record()).toThrow(TypeError);
    cells.close();
  });
});

test('given native code, when it measures through the header, then JavaScript reads the same, and no other kind is found', () => {
  const schema = defineSchema({
    g: group({ t: latency('t', { histogram: true }), s: histogram('s', { unit: 'bytes' }), plain: latency('p') }),
  });
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  expect(addon.attach(metrics.native, 0n)).toBe('ok');
  for (const how of ['own', 'shared'] as const)
    for (const value of [3, 70_000]) for (const path of ['g.t', 'g.s']) expect(addon.measure(path, value, how)).toBe('ok');
  expect(addon.measure('g.t', 2_345_678, 'ns')).toBe('ok');
  const s: HistogramValue = metrics.app.g.s.read();
  expect([s.count, s.sum, s.min, s.max]).toEqual([4n, 140_006n, 3n, 70_000n]);
  const t = metrics.snapshot().g.t;
  expect([t.count, t.histogram.count, t.sum_us, t.min_us, t.max_us]).toEqual([5n, 5n, 142_352n, 3n, 70_000n]);
  expect(Math.abs(t.histogram.quantile(0.5) / 2345.678 - 1)).toBeLessThan(0.0434);
  expect(addon.measure('g.plain', 1, 'own')).toMatch(/another kind/);
  expect(addon.find('g.t', 2)).toMatch(/another kind/);
  addon.detach();
});

test.each([
  { unit: 'us', relativeError: 0.05 },
  { unit: 'bytes', relativeError: 0.2 },
  { unit: 'ns', relativeError: 0.03, max: 1e9 },
] as const)('given random values, when native code finds their buckets with %j, then they are those that JavaScript finds', (options) => {
  const metrics = closing(Metrics.open(defineSchema({ g: group({ h: histogram('h', options) }) }), { name: freshName() }));
  expect(addon.attach(metrics.native, 0n)).toBe('ok');
  const index = bucketIndexOf(schemeOf(options.unit, options));
  const random = randomFrom(7);
  const count = soakSeconds > 0 ? 10_000_000 : 300_000;
  const values = BigUint64Array.from({ length: count }, (_, i) => BigInt(i < 5000 ? i : Math.floor(2 ** (44 * random()))));
  const expected = Uint32Array.from(values, (value) => bucketOf(index, Number(value)));
  expect(addon.bucketsOf('g.h', values)).toBe('ok');
  expect(values.findIndex((bucket, i) => Number(bucket) !== expected[i])).toBe(-1);
  addon.detach();
});

test('given 8 workers and 4 native threads that measure, when the process is killed, then each count is the sum of its buckets, and has what was acknowledged', async () => {
  const folder = temporaryFolder();
  const plan = { file: `${folder}/region`, ledger: `${folder}/ledger`, workers: 8, native: 4 };
  writeFileSync(plan.ledger, Buffer.alloc(4096));
  const { signal } = await runChild('histogram-kill.mjs', [JSON.stringify(plan)]);
  expect(signal).toBe('SIGKILL');
  const words = readFileSync(plan.ledger);
  const acknowledged = (slot: number) => BigInt(words.readUInt32LE(slot * 64));
  const { state, values } = await readRegion(plan.file);
  expect(state).toBe('killed');
  const g = values['g'] as unknown as Record<string, HistogramValue | { count: bigint; histogram: HistogramValue }>;
  const counts = Array.from({ length: 9 }, (_, slot) => {
    const value = g[slot === 0 ? 'native' : `w${slot - 1}`]!;
    const one = 'histogram' in value ? value.histogram : value;
    expect(value.count).toBe(one.count);
    expect(one.buckets().reduce((sum, { count }) => sum + count, 0n)).toBe(one.count);
    const threads = slot === 0 ? 4n : 1n;
    expect(one.count).toBeGreaterThanOrEqual(acknowledged(slot));
    expect(one.count).toBeLessThanOrEqual(acknowledged(slot) + threads);
    return one.count;
  });
  expect(counts.every((count) => count > 0n)).toBe(true);
});
