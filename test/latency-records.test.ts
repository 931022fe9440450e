// Latency records over a clock that the tests set.

import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';

import type { LatencyMetric } from '../lib/accessors/latency.ts';
import { layoutOf, staticMetrics } from '../lib/layout.ts';
import { defineSchema, group, latency } from '../lib/schema.ts';
import { cellsFor } from './helpers/write-modes.ts';

let nowNs = 0n;
const clock = vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => nowNs);
afterAll(() => clock.mockRestore());

// The records keep the clock that they found when they were loaded.
const { accessorOf } = await import('../lib/accessors/accessors.ts');

const schema = defineSchema({ g: group({ time: latency('time') }) });
const layout = layoutOf(schema);

const aDuration = fc.oneof(
  fc.bigInt(0n, 3_000n),
  fc.bigInt(0n, 2n ** 41n),
  fc.constantFrom(0n, 999n, 1000n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 50n),
);
/** Often one microsecond beyond an extreme. */
const aCloseDuration = fc.bigInt(0n, 12n).map((n) => n * 500n);
/** Where the clock's lower half is about to overflow, is negative as a signed number, or is small. */
const aStart = fc.oneof(
  fc.bigInt(0n, 2n ** 55n),
  fc.constantFrom(0n, 2n ** 31n - 500n, 2n ** 32n - 500n, 5n * 2n ** 32n - 1n, 5n * 2n ** 32n),
);

function sumOf(values: readonly bigint[]): bigint {
  return values.reduce((a, b) => a + b, 0n);
}

function valuesOf(time: LatencyMetric) {
  return { min: time.min_us.fetch(), max: time.max_us.fetch(), sum: time.sum_us.count() };
}

describe.each(['own', 'shared', 'native'] as const)('given a thread that writes in the way "%s"', (mode) => {
  let stores = 0;
  /** A latency in a store of its own. */
  function latencyMetric() {
    const cells = cellsFor(mode, `records-${mode}-${stores++}`, schema, layout);
    const [metric] = staticMetrics(layout) as [ReturnType<typeof staticMetrics>[number]];
    return { time: accessorOf(cells, metric, metric.cell) as LatencyMetric, close: () => cells.close() };
  }

  test.each([
    { what: 'any', duration: aDuration },
    { what: 'close', duration: aCloseDuration },
  ])('when records measure $what durations, then the sum and the extremes are theirs, in whole microseconds', ({ duration }) => {
    const aRecord = fc.record({ startNs: aStart, laps: fc.array(duration, { maxLength: 4 }), last: duration, isUsing: fc.boolean() });
    fc.assert(
      fc.property(fc.array(aRecord, { minLength: 1, maxLength: 20 }), (records) => {
        const { time, close } = latencyMetric();
        for (const { startNs, laps, last, isUsing } of records) {
          nowNs = startNs;
          const record = time.record();
          for (const ns of laps) {
            nowNs += ns;
            record.lap();
          }
          nowNs += last;
          if (isUsing) record[Symbol.dispose]();
          else record.end();
        }
        const all = records.flatMap(({ laps, last }) => [...laps, last]);
        const extremesUs = all.map((ns) => ns / 1000n).sort((a, b) => (a < b ? -1 : 1));
        expect(valuesOf(time)).toEqual({ min: extremesUs[0], max: extremesUs.at(-1), sum: sumOf(all) / 1000n });
        close();
      }),
      { numRuns: 50 },
    );
  });

  test('when a record has ended, then end(), lap() and a disposal change nothing', () => {
    const { time, close } = latencyMetric();
    nowNs = 2n ** 40n;
    const record = time.record();
    nowNs += 7_500n;
    record.end();
    const values = valuesOf(time);
    expect(values).toEqual({ min: 7n, max: 7n, sum: 7n });
    for (const step of [1_000n, 2n ** 33n]) {
      nowNs += step;
      record.end();
      record.lap();
      record[Symbol.dispose]();
      expect(valuesOf(time)).toEqual(values);
    }
    close();
  });

  test('when a record laps after close(), then the lap does nothing', () => {
    const { time, close } = latencyMetric();
    const record = time.record();
    close();
    nowNs += 5_000n;
    record.lap();
    record.end();
  });
});
