// What a histogram has counted: quantiles, buckets, sums and differences.

import { describe, expect, test } from 'vitest';

import { bucketIndexOf, bucketOf } from '../lib/histogram/bucket-index.ts';
import { GRID, relativeErrorOf, type Scheme, schemeOf } from '../lib/histogram/scheme.ts';
import { HistogramValue } from '../lib/histogram/value.ts';
import { randomFrom } from './helpers/random.ts';
import { soakSeconds } from './helpers/soak.ts';

/** What a histogram has counted after these values, which are in the units of the grid: nanoseconds for times. */
function counted(scheme: Scheme, values: Iterable<number>): HistogramValue {
  const index = bucketIndexOf(scheme);
  const counts = new BigUint64Array(scheme.buckets);
  let [sum, min, max] = [0n, 2n ** 64n, 0n];
  for (const value of values) {
    const whole = BigInt(Math.floor(value / GRID[scheme.unit].perUnit));
    sum += whole;
    if (whole < min) min = whole;
    if (whole > max) max = whole;
    const bucket = bucketOf(index, value);
    counts[bucket] = counts[bucket]! + 1n;
  }
  return new HistogramValue(scheme, { sum, min, max, counts });
}

function normals(count: number): Float64Array {
  const random = randomFrom(1);
  return Float64Array.from({ length: count }, () => {
    const [a, b] = [1 - random(), random()];
    return Math.sqrt(-2 * Math.log(a)) * Math.cos(2 * Math.PI * b);
  });
}

const COUNT = soakSeconds > 0 ? 10_000_000 : 200_000;
const QUANTILES = [0, 0.0001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1];

const DISTRIBUTIONS: Record<string, () => Float64Array> = {
  lognormal: () => normals(COUNT).map((normal) => Math.max(100, Math.round(20_000 * Math.exp(1.2 * normal)))),
  bimodal: () => normals(COUNT).map((normal, i) => Math.round(i % 10 === 0 ? 5e6 + 4e5 * normal : 2500 + 100 * normal)),
  constant: () => new Float64Array(COUNT).fill(12_345),
};

describe.each(Object.keys(DISTRIBUTIONS))(`given ${COUNT} values that are %s`, (name) => {
  test.each([
    { unit: 'ns', relativeError: 0.05 },
    { unit: 'us', relativeError: 0.05 },
    { unit: 'us', relativeError: 0.2 },
    { unit: 'bytes', relativeError: 0.03 },
  ] as const)('when quantiles are asked for in $unit with an error of $relativeError, then each is that close to the exact one, and no more extreme than any value', ({
    unit,
    relativeError,
  }) => {
    const values = DISTRIBUTIONS[name]!();
    const scheme = schemeOf(unit, { relativeError, max: 1e8 });
    const histogram = counted(scheme, values);
    expect(histogram.count).toBe(BigInt(COUNT));
    const sorted = values.sort();
    for (const q of QUANTILES) {
      const exact = sorted[Math.max(1, Math.ceil(q * COUNT)) - 1]! / GRID[unit].perUnit;
      const found = histogram.quantile(q);
      expect(Math.abs(found - exact) / exact, `quantile ${q}: ${found} for ${exact}`).toBeLessThanOrEqual(relativeErrorOf(scheme.scale));
      expect(found).toBeGreaterThanOrEqual(Number(histogram.min));
      expect(found).toBeLessThan(Number(histogram.max) + 1);
    }
  });
}, 300_000);

const us = schemeOf('us');

test('given durations of less than a microsecond, when a quantile is asked for, then it is a fraction within the error', () => {
  const histogram = counted(
    us,
    Array.from({ length: 1000 }, () => 300),
  );
  expect([histogram.min, histogram.max, histogram.sum]).toEqual([0n, 0n, 0n]);
  expect(Math.abs(histogram.quantile(0.5) - 0.3)).toBeLessThan(0.3 * 0.0434);
  expect(counted(us, [40]).quantile(1)).toBeLessThan(0.1);
});

test('given durations near the maximum, when quantiles are asked for, then none is above it, except where a microsecond is much', () => {
  for (const unit of ['us', 'ms'] as const) {
    const { perUnit } = GRID[unit];
    const upTo = (count: number) =>
      counted(
        schemeOf(unit),
        Array.from({ length: count }, (_, i) => (i + 1) * perUnit),
      );
    for (const max of [23, 100, 1000]) {
      for (const q of [0.5, 0.9, 0.99, 1]) expect(upTo(max).quantile(q)).toBeLessThanOrEqual(max);
    }
    expect(counted(schemeOf(unit), [1000 * perUnit]).quantile(0.99)).toBe(1000);
    const longer = counted(schemeOf(unit), [1.9 * perUnit]);
    expect([longer.max, Math.abs(longer.quantile(1) - 1.9) < 1.9 * 0.0434]).toEqual([1n, true]);
  }
});

test('given values above the range, when quantiles are asked for, then they are no larger than the maximum', () => {
  const histogram = counted(schemeOf('bytes', { max: 1000 }), [5000, 6000, 7000]);
  expect(histogram.quantile(1)).toBeLessThanOrEqual(7000);
  expect(histogram.quantile(0)).toBeGreaterThanOrEqual(5000);
});

test('given small whole numbers, when quantiles are asked for, then they are exact', () => {
  const histogram = counted(schemeOf('count'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(Array.from({ length: 11 }, (_, i) => histogram.quantile((i + 1) / 11))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

describe('given a histogram without values', () => {
  const empty = counted(us, []);
  test('when it is read, then all is 0, and quantiles and mean are NaN', () => {
    expect({ ...empty }).toEqual({
      count: 0n,
      sum: 0n,
      min: 0n,
      max: 0n,
      unit: 'us',
      scale: 3,
      zeroThreshold: 2 ** (-187 / 8),
      zeroCount: 0n,
      offset: 0,
      bucketCounts: [],
    });
    expect([empty.quantile(0.5), empty.mean]).toEqual([Number.NaN, Number.NaN]);
    expect(empty.buckets()).toEqual([]);
    expect(empty.plus(empty)).toEqual(empty);
    expect(empty.since(empty)).toEqual(empty);
  });
});

describe('given a histogram with values', () => {
  const first = [0, 2 ** 20, 2 ** 20, 3 * 2 ** 20];
  const bytes = schemeOf('bytes');
  const earlier = counted(bytes, first);
  const later = counted(bytes, [...first, 1, 5 * 2 ** 20]);

  test('when its buckets are read, then each that is not empty has its edges, and they add up to the count', () => {
    const buckets = earlier.buckets();
    expect(buckets).toEqual([
      { above: 0, upTo: 2 ** -0.125, count: 1n },
      { above: 2 ** 19.875, upTo: 2 ** 20, count: 2n },
      { above: 2 ** 21.5, upTo: 2 ** 21.625, count: 1n },
    ]);
    expect(earlier.zeroCount).toBe(1n);
    expect(earlier.offset).toBe(159);
    expect(earlier.bucketCounts).toHaveLength(14);
    expect(buckets.reduce((sum, { count }) => sum + count, 0n)).toBe(earlier.count);
  });

  test('when an earlier value is taken away, then the rest has what came later, with the extremes of its buckets', () => {
    const rest = later.since(earlier);
    expect([rest.count, rest.sum, rest.min, rest.max]).toEqual([2n, 1n + 5n * 2n ** 20n, 1n, 5n * 2n ** 20n]);
    expect(later.since(later).count).toBe(0n);
    expect(() => earlier.since(later)).toThrow(RangeError);
    expect(() => later.since(counted(us, []))).toThrow(/different buckets/);
    expect(() => later.since({} as never)).toThrow(TypeError);
  });

  test('when another value is added, then all values are there, as if one histogram had counted them', () => {
    expect(earlier.plus(counted(bytes, [1, 5 * 2 ** 20]))).toEqual(later);
    expect(earlier.plus(counted(bytes, []))).toEqual(earlier);
    expect(() => earlier.plus(counted(schemeOf('bytes', { max: 1000 }), []))).toThrow(/different buckets/);
  });

  test('when somebody tries to change it, then it stays as it was', () => {
    expect(Object.isFrozen(earlier)).toBe(true);
    expect(Object.isFrozen(earlier.bucketCounts)).toBe(true);
  });

  test.each([-0.1, 1.1, Number.NaN])('when the quantile %f is asked for, then a RangeError names it', (q) => {
    expect(() => earlier.quantile(q)).toThrow(new RangeError(`quantile(): q must be from 0 to 1; got ${q}`));
    expect(() => earlier.quantile('0.5' as never)).toThrow(TypeError);
  });
});

test('given buckets that were read at another moment than the extremes, when a quantile is asked for, then both fit together', () => {
  const counts = counted(schemeOf('bytes'), [1000, 5000]).bucketCounts;
  expect(counts.length).toBeGreaterThan(2);
  const scheme = schemeOf('bytes');
  const all = new BigUint64Array(scheme.buckets);
  for (const value of [1000, 5000]) all[bucketOf(bucketIndexOf(scheme), value)] = 1n;
  const histogram = new HistogramValue(scheme, { sum: 6000n, min: 4000n, max: 4100n, counts: all });
  expect(histogram.quantile(0)).toBeLessThan(1050);
  expect(histogram.quantile(1)).toBeGreaterThan(4700);
  expect(histogram.min <= histogram.max).toBe(true);
});
