// The three ways in which a thread writes. All give the same values.

import { describe, expect, test } from 'vitest';

import { accessorOf } from '../lib/accessors/accessors.ts';
import type { IncMetric } from '../lib/accessors/inc.ts';
import type { LatencyMetric } from '../lib/accessors/latency.ts';
import type { StoreMetric } from '../lib/accessors/store.ts';
import { LATENCY_COUNT, layoutOf, staticMetrics } from '../lib/layout.ts';
import { defineSchema, group, inc, latency, store } from '../lib/schema.ts';
import { closed } from './helpers/errors.ts';
import { cellsFor } from './helpers/write-modes.ts';

const schema = defineSchema({ g: group({ n: inc('n'), level: store('level'), time: latency('time') }) });
const layout = layoutOf(schema);

describe.each(['own', 'shared', 'native'] as const)('given a thread that writes in the way "%s"', (mode) => {
  const cells = cellsFor(mode, `accessors-${mode}`, schema, layout);
  const placed = staticMetrics(layout);
  const [n, level, time] = placed.map((metric) => accessorOf(cells, metric, metric.cell)) as [IncMetric, StoreMetric, LatencyMetric];

  test('when it writes, then the values are exact', () => {
    expect(cells.mode).toBe(mode);
    n.inc();
    n.add(4_000_000_000);
    n.add(2 ** 53 - 1);
    n.add(2n ** 63n);
    expect(n.count()).toBe(BigInt.asUintN(64, 1n + 4_000_000_000n + 2n ** 53n - 1n + 2n ** 63n));
    expect(n.fetchDiff()).toBe(n.count());
    for (const value of [2n ** 64n - 1n, 0, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 5, -0]) {
      level.store(value);
      expect(level.fetch()).toBe(BigInt(value));
      expect(cells.attachment.total(placed[1]!.cell)).toBe(BigInt(value));
    }
    for (const us of [7, 2n ** 40n, 3, 2 ** 35, 2 ** 30, 2 ** 31 + 1, 5]) time.observe(us);
    expect(time.min_us.fetch()).toBe(3n);
    expect(time.max_us.fetch()).toBe(2n ** 40n);
    expect(time.sum_us.count()).toBe(16n + 2n ** 30n + 2n ** 31n + 2n ** 35n + 2n ** 40n);
    expect(cells.attachment.total(placed[2]!.cell + LATENCY_COUNT)).toBe(7n);
  });

  test('when a value is invalid, then nothing changes', () => {
    const before = [n.count(), level.fetch(), time.sum_us.count()];
    for (const value of [-1, 1.5, Number.NaN, 2n ** 64n, '3', null] as never[]) {
      expect(() => n.add(value)).toThrow();
      expect(() => level.store(value)).toThrow();
      if (value !== 1.5) expect(() => time.observe(value)).toThrow(); // a fraction is rounded
    }
    expect([n.count(), level.fetch(), time.sum_us.count()]).toEqual(before);
  });

  test('when it is closed, then writes do nothing and reads throw', () => {
    cells.close();
    n.inc();
    n.add(2);
    level.store(1);
    time.observe(1);
    expect(() => n.count()).toThrow(closed);
    expect(() => level.fetch()).toThrow(closed);
  });
});
