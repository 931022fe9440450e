// Any store, as a model after random steps, and the layout of its region in the file.

import fc from 'fast-check';
import { group, histogram, inc, latency, type MetricDef, type PerDeviceDef, type SchemaShape, store, utcTimestampMs } from 'vmm-metrics';

import { deviceId, someDevices, someFields, someIdentity, text } from './any-schema.ts';
import { type Holder, type Identity, isLetGo, MAX, Model, NOTHING, type Picture, u64 } from './model.ts';
import type { RegionOptions } from './region-writer.ts';

export type Step =
  | { readonly do: 'bump'; readonly holder: number; readonly field: number; readonly value: bigint }
  | { readonly do: 'alloc' | 'remove'; readonly group: number; readonly id: string }
  | { readonly do: 'flush' };

export interface AnyStore {
  readonly shape: SchemaShape;
  readonly identity: Identity;
  readonly steps: readonly Step[];
}

const value = fc.oneof(
  fc.bigInt({ min: 0n, max: 20n }),
  fc.bigInt({ min: 0n, max: MAX }),
  fc.constantFrom(0n, 2n ** 53n + 1n, 2n ** 63n, MAX - 1n, MAX),
);

const metric = (isDevice: boolean): fc.Arbitrary<MetricDef> =>
  fc.constantFrom<MetricDef[]>(
    inc('counted', { unit: 'bytes' }),
    store('set'),
    latency('timed'),
    latency('timed', { histogram: { relativeError: 0.3 } }),
    histogram('sized', { unit: 'bytes', max: 5000 }),
    ...(isDevice ? (['sum', 'min', 'max'] as const).map((aggregate) => store('set', { aggregate })) : []),
  );

const fields = (isDevice: boolean) => someFields(fc.constantFrom('a', 'b', 'count', 'toString', 'then'), metric(isDevice), 200);

const shape: fc.Arbitrary<SchemaShape> = fc
  .record({
    entries: fc.uniqueArray(
      fc.tuple(
        fc.constantFrom('g', 'g_x', 'dev', '_', 'toString'),
        fc.oneof(
          fields(false).map((of) => group(of)),
          someDevices(fields(true)),
        ),
      ),
      { selector: ([key]) => key, minLength: 1, maxLength: 4 },
    ),
    timestamp: fc.option(fc.nat({ max: 4 })),
  })
  .map(({ entries, timestamp }) => {
    const all: [string, SchemaShape[string]][] = [...entries];
    if (timestamp !== null) all.splice(timestamp, 0, ['utc_timestamp_ms', utcTimestampMs()]);
    return Object.fromEntries(all);
  });

const identity = someIdentity(fc.oneof(fc.constantFrom('10', '__proto__', '\u{ffff}'), text), text);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('bump' as const), holder: fc.nat({ max: 100 }), field: fc.nat({ max: 1000 }), value }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('alloc' as const), group: fc.nat({ max: 5 }), id: deviceId }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('remove' as const), group: fc.nat({ max: 5 }), id: fc.constantFrom('x', 'y', '10') }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'flush' as const }) },
);

export const anyStore: fc.Arbitrary<AnyStore> = fc.record({ shape, identity, steps: fc.array(step, { maxLength: 60, size: 'max' }) });

/** The effects of steps on a store. */
export interface StoreHands {
  bump(holder: Model['holders'][number], field: string, value: bigint): void;
  alloc(holder: Model['holders'][number]): void;
  remove(key: string, id: string): void;
  flush(): void;
}

/** The model after the steps, and the picture that counts as flushed. `hands` does the same steps on another store. */
export function lived({ shape, identity, steps }: AnyStore, hands?: StoreHands): { model: Model; before: Picture } {
  const model = new Model(shape, identity);
  const groups = Object.entries(shape).flatMap(([key, def]) => (def.kind === 'perDevice' ? [key] : []));
  let before = NOTHING;
  const removed: Holder[] = [];
  for (const step of steps) {
    if (step.do === 'bump') {
      const holder = model.holders[step.holder % model.holders.length];
      if (holder === undefined) continue;
      // In a group without an aggregate, no line shows adds through a released accessor.
      if (isLetGo(holder, removed) && !(holder.def as PerDeviceDef).aggregate) continue;
      const names = Object.keys(holder.def.fields);
      const name = names[step.field % names.length]!;
      holder.bump(name, step.value);
      hands?.bump(holder, name, step.value);
    } else if (step.do === 'flush') {
      before = model.picture();
      hands?.flush();
    } else {
      const key = groups[step.group % groups.length];
      if (key === undefined) continue;
      const there = model.living(key, step.id);
      if (step.do === 'alloc') {
        const holder = model.alloc(key, step.id);
        if (holder !== undefined && there === undefined) hands?.alloc(holder);
      } else if (model.remove(key, step.id)) {
        removed.push(there!);
        hands?.remove(key, step.id);
      }
    }
  }
  return { model, before };
}

export const anyPlacing: fc.Arbitrary<RegionOptions> = fc
  .record({
    granuleBytes: fc.constantFrom(4096, 4096, 4096, 16_384),
    shards: fc.constantFrom(1, 2, 3, 17, 128),
    bank: fc.constantFrom(0 as const, 1 as const, 2 as const),
    lines: fc.bigInt({ min: 0n, max: 2n ** 40n }),
    state: fc.constantFrom(1, 2),
    parts: fc.array(fc.bigInt({ min: 0n, max: MAX }), { maxLength: 5 }),
    version: fc.constantFrom(1 as const, 2 as const, 3 as const),
    retiredEpoch: fc.oneof(fc.bigInt({ min: 0n, max: 5n }), fc.constantFrom(2n ** 29n - 1n, 2n ** 29n, 2n ** 40n + 1n)),
    fates: fc.array(fc.constantFrom('no' as const, 'yes' as const, 'now' as const, 'soon' as const), { minLength: 1, maxLength: 5 }),
  })
  .map(({ parts, fates, ...options }) => ({
    ...options,
    retired: (_holder: unknown, number: number) => fates[number % fates.length]!,
    // Random parts, and the rest of the sum in shard 0.
    spread: (value: bigint, shards: number) => {
      const rest = Array.from({ length: shards - 1 }, (_, i) => parts[i] ?? 0n);
      return [u64(value - rest.reduce((sum, part) => sum + part, 0n)), ...rest];
    },
  }));
