// Random parts of schemas, device ids and identities, for tests that play random stores.

import fc from 'fast-check';
import { type Fields, type MetricDef, type PerDeviceDef, perDevice } from 'vmm-metrics';

import type { Identity } from './model.ts';

export const text = fc.string({ unit: 'binary', maxLength: 12 });

export const deviceId = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('drv0', 'a', 'x', 'x_y', 'y', 'A', '10', '9') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      // In UTF-16 the second one sorts before the first, in UTF-8 after the first.
      '\u{ffff}',
      '\u{1f600}',
      '\u{feff}',
      'é',
      '"',
      '\\',
      '\n\u001f',
      '\u007f',
      '\u2028',
      ' ',
      '__proto__',
      'toString',
    ),
  },
  // The longest ids, before and after they are escaped for the line.
  { weight: 1, arbitrary: fc.constantFrom('\u0001'.repeat(255), 'z'.repeat(255), `${'\u0001'.repeat(254)}b`) },
  { weight: 1, arbitrary: text.filter((id) => id !== '' && !id.includes('\0')) },
);

/** A few metrics of those names. Now and then there are up to `timesMax` times as many, which need several chunks. */
export const someFields = (name: fc.Arbitrary<string>, metric: fc.Arbitrary<MetricDef>, timesMax: number): fc.Arbitrary<Fields> =>
  fc
    .record({
      named: fc.uniqueArray(fc.tuple(name, metric), { selector: ([key]) => key, minLength: 1, maxLength: 4 }),
      times: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: timesMax }) }),
    })
    .map(({ named, times }) =>
      Object.fromEntries(
        Array.from({ length: times }, (_, i) => named.map(([key, def]) => [i === 0 ? key : `${key}_${i}`, def] as const)).flat(),
      ),
    );

/** A group of devices with such metrics, and any of its options. */
export const someDevices = (fields: fc.Arbitrary<Fields>): fc.Arbitrary<PerDeviceDef> =>
  fc
    .tuple(
      fields,
      fc.record({ aggregate: fc.boolean(), latencyAggregate: fc.constantFrom('extremum' as const, 'zero' as const) }, { requiredKeys: [] }),
    )
    .map(([of, options]) => perDevice(of, options));

/** An identity whose properties have such keys and values. */
export const someIdentity = (key: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<Identity> =>
  fc.record(
    {
      id: text,
      properties: fc
        .uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 3 })
        .map((pairs) => Object.fromEntries(pairs)),
    },
    { requiredKeys: [] },
  );
