// Any scenario: a schema, an identity, a sink, and the steps of threads with the store.

import fc from 'fast-check';
import { group, histogram, inc, latency, type MetricDef, type SchemaShape, store, utcTimestampMs } from 'vmm-metrics';

import { deviceId, someDevices, someFields, someIdentity, text } from './any-schema.ts';
import { CHANGES, type Change, type SinkKind } from './flaky-sink.ts';
import { type Identity, MAX } from './model.ts';

/** Chooses one of the things that exist when the step runs. */
const some = fc.nat({ max: 1000 });

const value: fc.Arbitrary<bigint | number> = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 20 }) },
  { weight: 1, arbitrary: fc.maxSafeNat() },
  { weight: 2, arbitrary: fc.bigInt({ min: 0n, max: MAX }) },
  { weight: 2, arbitrary: fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2n ** 53n + 1n, 2n ** 63n, MAX - 1n, MAX) },
);

const metricDef = (isDevice: boolean): fc.Arbitrary<MetricDef> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(inc('counted')) },
    {
      weight: 2,
      arbitrary: isDevice
        ? fc.constantFrom(undefined, 'sum', 'min', 'max').map((aggregate) => store('set', aggregate && { aggregate }))
        : fc.constant(store('set')),
    },
    { weight: 2, arbitrary: fc.constantFrom(latency('timed'), latency('timed', { histogram: true })) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(histogram('sized', { unit: 'bytes', max: 5000 }), histogram('timed', { unit: 'ms', relativeError: 0.2 })),
    },
  );

const metricName = fc.constantFrom('a', 'b', 'count', 'Z9', '_', 'toString', 'hasOwnProperty', 'length', 'then');

const fields = (isDevice: boolean) => someFields(metricName, metricDef(isDevice), 70);
const groupEntry = fields(false).map((of) => group(of));
const devicesEntry = someDevices(fields(true));

/**
 * Keys and ids that are often alike: the key of a device, such as `g_x_y`, may also be the key of another group or of a
 * device there.
 */
const entries: fc.Arbitrary<[string, SchemaShape[string]][]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.uniqueArray(
      fc.tuple(fc.constantFrom('g', 'g_x', 'g_x_y', 'dev', '_', 'toString'), fc.oneof(groupEntry, devicesEntry, devicesEntry)),
      { selector: ([key]) => key, minLength: 1, maxLength: 4 },
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.tuple(fc.constant('g'), devicesEntry), fc.tuple(fc.constant('g_x'), devicesEntry)) },
);

const ids = fc.oneof(
  { weight: 3, arbitrary: fc.uniqueArray(deviceId, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant(['x', 'y', 'x_y']) },
);

const shape: fc.Arbitrary<SchemaShape> = fc
  .record({
    entries,
    timestamp: fc.option(fc.tuple(fc.constantFrom('utc_timestamp_ms', 'time', 'id2'), fc.nat({ max: 4 }))),
    missed: fc.option(fc.constantFrom(inc('lines', { onMissedFlush: true }), store('lines', { onMissedFlush: true }))),
  })
  .map(({ entries, timestamp, missed }) => {
    const all = [...entries];
    if (timestamp !== null) all.splice(timestamp[1], 0, [timestamp[0], utcTimestampMs()]);
    if (missed !== null) all.push(['logger', group({ missed })]);
    return Object.fromEntries(all);
  });

const identity = someIdentity(
  fc.oneof(fc.constantFrom('customer', '10', '9', '__proto__', '\u{ffff}', '\u{1f600}'), text),
  // Long texts make lines that a pipe takes in parts.
  fc.oneof(
    text,
    fc.integer({ min: 4000, max: 9000 }).map((length) => 'v'.repeat(length)),
  ),
);

export type Step =
  | { readonly do: 'bump'; readonly thread: 0 | 1; readonly holder: number; readonly field: number; readonly value: bigint | number }
  | { readonly do: 'bump all'; readonly thread: 0 | 1; readonly holder: number; readonly value: bigint | number }
  | { readonly do: 'alloc' | 'remove'; readonly thread: 0 | 1; readonly group: number; readonly id: number }
  | { readonly do: 'write' | 'snapshot'; readonly thread: 0 | 1 }
  | { readonly do: 'read'; readonly bytes: number }
  | { readonly do: 'change'; readonly change: Change; readonly amount: number }
  | { readonly do: 'check' };

const thread = fc.constantFrom(0 as const, 1 as const);
const constant = <const T extends string>(what: T) => fc.constant(what);

const change = fc.oneof({ weight: 1, arbitrary: fc.constantFrom(...CHANGES) }, { weight: 1, arbitrary: fc.constant('fill' as const) });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: constant('bump'), thread, holder: some, field: some, value }) },
  { weight: 2, arbitrary: fc.record({ do: constant('bump all'), thread, holder: some, value }) },
  { weight: 3, arbitrary: fc.record({ do: constant('alloc'), thread, group: some, id: some }) },
  { weight: 2, arbitrary: fc.record({ do: constant('remove'), thread, group: some, id: some }) },
  { weight: 8, arbitrary: fc.record({ do: constant('write'), thread }) },
  { weight: 1, arbitrary: fc.record({ do: constant('snapshot'), thread }) },
  { weight: 3, arbitrary: fc.record({ do: constant('read'), bytes: fc.nat({ max: 20_000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: constant('change'), change, amount: some }) },
  { weight: 2, arbitrary: fc.record({ do: constant('check') }) },
);

export interface Scenario {
  readonly shape: SchemaShape;
  readonly identity: Identity;
  readonly ids: readonly string[];
  readonly sink: SinkKind;
  readonly hasSecondThread: boolean;
  /** The step before which init() is called. */
  readonly initAt: number;
  readonly steps: readonly Step[];
}

export const scenario: fc.Arbitrary<Scenario> = fc.record({
  shape,
  identity,
  ids,
  sink: fc.constantFrom<SinkKind>('file', 'fifo', 'link', 'descriptor'),
  hasSecondThread: fc.boolean(),
  initAt: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 10 }) }),
  steps: fc.array(step, { maxLength: 120, size: 'max' }),
});
