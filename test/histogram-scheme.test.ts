// The buckets of histograms: their edges, and which bucket a value belongs to. The reference is exact arithmetic.

import { getMapping } from '@opentelemetry/sdk-metrics/build/src/aggregator/exponential-histogram/mapping/getMapping.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { bucketIndexOf, bucketOf } from '../lib/histogram/bucket-index.ts';
import { BUCKETS_MAX, edgesOf, GRID, type HistogramUnit, relativeErrorOf, type Scheme, schemeOf } from '../lib/histogram/scheme.ts';
import { exactBucket, isAtMost } from './helpers/exact-buckets.ts';
import { soakSeconds } from './helpers/soak.ts';

/** The largest range of each scale, for each grid. */
const schemes: Scheme[] = ([0, 1, 2, 3, 4, 5, 6, 7] as const).flatMap((scale) =>
  (['ns', 'count'] as const).flatMap((unit) => {
    const octaves = Math.min(44, Math.floor(BUCKETS_MAX / 2 ** scale) - 1);
    const least = unit === 'ns' ? -30 : -1;
    const most = 44 - Math.ceil(Math.log2(GRID[unit].perBase)) - 1;
    const last = Math.min(most, least + octaves);
    const low = { unit, scale, first: least * 2 ** scale, buckets: (last - least) * 2 ** scale + 1 };
    const high = { ...low, first: (most - (last - least)) * 2 ** scale };
    // At the lower end, several edges of fine scales lie between two whole numbers. No range ends there.
    return [low, high].filter((scheme) => edgesOf(scheme).at(-1) !== edgesOf(scheme).at(-2));
  }),
);

test.each(
  schemes,
)('given $buckets buckets of scale $scale from $first on, in $unit, when values lie on an edge or beside it, then each is in the right bucket', (scheme) => {
  const index = bucketIndexOf(scheme);
  const edges = edgesOf(scheme);
  expect(edges).toHaveLength(scheme.buckets);
  const wrong = [...edges].flatMap((edge, i) => {
    const isRight = isAtMost(BigInt(edge), scheme.first + i, scheme) && !isAtMost(BigInt(edge + 1), scheme.first + i, scheme);
    const near = [-2, -1, 0, 1, 2].map((by) => edge + by).filter((value) => value >= 0);
    const misplaced = near.filter((value) => bucketOf(index, value) !== exactBucket(scheme, BigInt(value)));
    return isRight ? misplaced : [`edge ${edge}`, ...misplaced];
  });
  expect(wrong).toEqual([]);
  expect(bucketOf(index, Number.MAX_SAFE_INTEGER)).toBe(scheme.buckets - 1);
  expect(bucketOf(index, 0)).toBe(exactBucket(scheme, 0n));
});

test('given random values, when they are sorted into buckets, then each is in the right bucket', () => {
  const value = fc.oneof(
    fc.nat(),
    fc.nat({ max: 5000 }),
    fc.maxSafeNat().map((n) => n % 2 ** 44),
  );
  fc.assert(
    fc.property(fc.constantFrom(...schemes), fc.array(value, { minLength: 20 }), (scheme, values) => {
      for (const one of values) expect(bucketOf(bucketIndexOf(scheme), one)).toBe(exactBucket(scheme, BigInt(one)));
    }),
    { numRuns: soakSeconds > 0 ? 20_000 : 300 },
  );
});

test.each([0, 1, 2, 3, 4, 5])('given scale %i, when OpenTelemetry sorts the same values, then both name the same bucket', (scale) => {
  const mapping = getMapping(scale);
  for (const scheme of schemes.filter((one) => one.scale === scale)) {
    const index = bucketIndexOf(scheme);
    const { perBase } = GRID[scheme.unit];
    const edges = edgesOf(scheme);
    const values = [...edges.slice(0, -1)]
      .flatMap((edge) => [edge, edge + 1])
      .concat(Array.from({ length: 5000 }, (_, i) => (i * 7919 * i) % edges.at(-1)!));
    const differing = values.filter((value) => {
      const bucket = bucketOf(index, value);
      // OpenTelemetry's logarithms are not exact.
      const isNearEdge = Math.abs(value / perBase / 2 ** ((scheme.first + bucket) / 2 ** scale) - 1) < 1e-13;
      return bucket > 0 && !isNearEdge && mapping.mapToIndex(value / perBase) !== scheme.first + bucket - 1;
    });
    expect(differing).toEqual([]);
  }
});

describe('given options of a histogram', () => {
  test.each<{ unit: HistogramUnit; scheme: Omit<Scheme, 'unit'> }>([
    { unit: 'us', scheme: { scale: 3, first: -187, buckets: 268 } },
    { unit: 'ns', scheme: { scale: 3, first: -187, buckets: 268 } },
    { unit: 'ms', scheme: { scale: 3, first: -187, buckets: 268 } },
    { unit: 'bytes', scheme: { scale: 3, first: -1, buckets: 242 } },
    { unit: 'count', scheme: { scale: 3, first: -1, buckets: 242 } },
  ])('when only the unit $unit is given, then the range and the error are the usual ones', ({ unit, scheme }) => {
    expect(schemeOf(unit)).toEqual({ unit, ...scheme });
    expect(relativeErrorOf(scheme.scale)).toBeLessThan(0.05);
  });

  test('when the range begins and ends on an edge, then both are inside, and the value below is in the zero bucket', () => {
    const scheme = schemeOf('bytes', { min: 64, max: 1 << 20 });
    expect(scheme).toEqual({ unit: 'bytes', scale: 3, first: 47, buckets: 14 * 8 + 2 });
    const index = bucketIndexOf(scheme);
    const at = (value: number) => bucketOf(index, value);
    expect([at(0), at(58), at(59), at(64), at(1 << 20), at(1e9)]).toEqual([0, 0, 1, 1, scheme.buckets - 1, scheme.buckets - 1]);
  });

  test.each([
    0.4, 0.3, 0.1, 0.05, 0.03, 0.011,
  ])('when a relative error of %f is asked for, then the scale is the coarsest that keeps it', (relativeError) => {
    const { scale } = schemeOf('count', { relativeError, max: 1000 });
    expect(relativeErrorOf(scale)).toBeLessThanOrEqual(relativeError);
    if (scale > 0) expect(relativeErrorOf(scale - 1)).toBeGreaterThan(relativeError);
  });

  test.each([
    {
      options: { relativeError: 0.01 },
      message:
        /needs \d+ buckets, and a histogram has room for 508; 0\.0433 fits into this range, or with this relative error a max of [\d.]+ us/,
    },
    { options: { relativeError: 1e-9 }, message: /relative error of 1e-9 from 0\.1 to 1000000000 us needs more than \d+ buckets/ },
    { options: { min: 5, max: 5 }, message: /min must be less than max; got min 5 and max 5 us/ },
    { options: { max: 2e10 }, message: /max must be less than 17592186044\.416 us; got 20000000000/ },
  ])('when $options cannot be had, then the error says what fits', ({ options, message }) => {
    expect(() => schemeOf('us', options)).toThrow(message);
  });

  test('when an error says what fits, then it fits', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<HistogramUnit>('us', 'ns', 'bytes'),
        fc.double({ min: 0.001, max: 0.4, noNaN: true }),
        fc.integer({ min: 1, max: 100 }),
        (unit, relativeError, min) => {
          try {
            schemeOf(unit, { relativeError, min });
          } catch (error) {
            const [, fitting, max] = /; ([\d.]+) fits into this range, or with this relative error a max of ([\d.e+]+) /.exec(
              (error as Error).message,
            )!;
            expect(schemeOf(unit, { relativeError: Number(fitting), min }).buckets).toBeLessThanOrEqual(BUCKETS_MAX);
            if (Number(max) > min)
              expect(schemeOf(unit, { relativeError, min, max: Number(max) }).buckets).toBeLessThanOrEqual(BUCKETS_MAX);
          }
        },
      ),
    );
  });
});
