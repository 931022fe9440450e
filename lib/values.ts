// The values of all metrics as plain data, nested as the schema. Pure: callers pass in what was read.

import type { NativeDevice } from './binding.ts';
import {
  type DeviceGroupLayout,
  LATENCY_COUNT,
  LATENCY_MAX,
  LATENCY_MIN,
  LATENCY_SUM,
  type Layout,
  type MetricLayout,
  minimumOf,
} from './layout.ts';
import { ObjectMaker } from './object-makers.ts';
import type { Fields, GroupDef, LatencyDef, MetricDef, PerDeviceDef, SchemaShape, TimestampDef } from './schema.ts';

/** The parts of a latency metric since the store was opened, in microseconds; 0 before the first duration. */
export interface LatencyValue {
  /**
   * How many durations there were; `sum_us / count` is their mean. The line does not contain the count. It is always 0
   * in a region file of version 1 or 2, which has no counts.
   */
  readonly count: bigint;
  readonly min_us: bigint;
  readonly max_us: bigint;
  readonly sum_us: bigint;
}

export type ValueOf<D extends MetricDef> = D extends LatencyDef ? LatencyValue : bigint;
export type FieldValues<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** The values of each device of a kind, and of all devices together. */
export interface DeviceValues<F extends Fields> {
  readonly devices: { readonly [id: string]: FieldValues<F> };
  /** Counts include those of removed devices. */
  readonly aggregate: FieldValues<F>;
}

/**
 * A metrics snapshot: plain values, read once, nested as the schema. Where the compiler does not know the schema, a
 * group has the type of a plain group or of a group of devices.
 */
export type MetricsSnapshot<S extends SchemaShape> = {
  readonly [K in keyof S as S[K] extends TimestampDef ? never : K]: S[K] extends GroupDef<infer F>
    ? FieldValues<F>
    : S[K] extends PerDeviceDef<infer F>
      ? DeviceValues<F>
      : FieldValues<Fields> | DeviceValues<Fields>;
};

/** The devices of a group, and its removed devices: either each of them, or all as one device. */
export type DevicesOf = (group: DeviceGroupLayout) => readonly NativeDevice[];

/** The devices of a native snapshot, in the order of their totals. All removed devices of a group are one device. */
export function devicesIn(layout: Layout, ids: readonly (readonly string[])[]): DevicesOf {
  let next = layout.cellKinds.length;
  const devices = layout.devices.map(({ group, cellKinds }) => {
    const placed = (id: string, removed: boolean): NativeDevice => {
      const firstCell = next;
      next += cellKinds.length;
      return { id, firstCell, removed };
    };
    return [placed('', true), ...ids[group]!.map((id) => placed(id, false))];
  });
  return ({ group }) => devices[group]!;
}

/**
 * The values, nested as the schema. `totals` contains the sum of each cell. `devicesOf` returns the devices of a group.
 */
export function valuesOf(layout: Layout, totals: BigUint64Array, devicesOf: DevicesOf): object {
  const values: Record<string, unknown> = {};
  for (const entry of layout.entries) {
    if (entry.kind === 'group') values[entry.key] = fieldsOf(entry.metrics, (metric) => valueAt(layout, metric, totals, 0));
    if (entry.kind === 'perDevice') values[entry.key] = deviceValuesOf(layout, entry, totals, devicesOf(entry));
  }
  return values;
}

function deviceValuesOf(
  layout: Layout,
  group: DeviceGroupLayout,
  totals: BigUint64Array,
  all: readonly NativeDevice[],
): DeviceValues<Fields> {
  // Devices that were made after the totals were read are left out.
  const read = all.filter(({ firstCell }) => firstCell + group.cellKinds.length <= totals.length);
  const living = read.filter(({ removed }) => !removed);
  // Without a prototype: a device may be called `__proto__`.
  const devices: Record<string, FieldValues<Fields>> = Object.create(null);
  for (const { id, firstCell } of living) devices[id] = fieldsOf(group.metrics, (metric) => valueAt(layout, metric, totals, firstCell));

  const sum = (of: readonly NativeDevice[], cell: number) =>
    of.reduce((total, { firstCell }) => BigInt.asUintN(64, total + totals[firstCell + cell]!), 0n);
  const largest = (cell: number) => living.map(({ firstCell }) => totals[firstCell + cell]!).reduce((a, b) => (b > a ? b : a), 0n);
  const smallest = (cell: number) => living.map(({ firstCell }) => totals[firstCell + cell]!).reduce((a, b) => (b < a ? b : a));
  const aggregate = fieldsOf(group.metrics, ({ def, cell }) => {
    if (def.kind === 'inc') return sum(read, cell);
    if (def.kind === 'latency') {
      const max_us = largest(cell + LATENCY_MAX);
      const extremes =
        group.latencyAggregate === 'zero' ? { min_us: 0n, max_us: 0n } : { min_us: minimumOf(largest(cell + LATENCY_MIN), max_us), max_us };
      return { count: countIn(layout, (part) => sum(read, cell + part)), ...extremes, sum_us: sum(read, cell + LATENCY_SUM) };
    }
    if (def.aggregate === 'max') return largest(cell);
    if (def.aggregate === 'min') return living.length === 0 ? 0n : smallest(cell);
    return sum(living, cell);
  });
  return { devices, aggregate };
}

function countIn({ latencyCells }: Layout, at: (part: number) => bigint): bigint {
  return latencyCells === 'counted' ? at(LATENCY_COUNT) : 0n;
}

function valueAt(layout: Layout, { def, cell }: MetricLayout, totals: BigUint64Array, firstCell: number): bigint | LatencyValue {
  if (def.kind !== 'latency') return totals[firstCell + cell]!;
  const at = (offset: number) => totals[firstCell + cell + offset]!;
  return {
    count: countIn(layout, at),
    min_us: minimumOf(at(LATENCY_MIN), at(LATENCY_MAX)),
    max_us: at(LATENCY_MAX),
    sum_us: at(LATENCY_SUM),
  };
}

const makers = new WeakMap<readonly MetricLayout[], ObjectMaker<MetricLayout>>();

function fieldsOf(metrics: readonly MetricLayout[], value: (metric: MetricLayout) => bigint | LatencyValue): FieldValues<Fields> {
  let maker = makers.get(metrics);
  if (maker === undefined) {
    maker = new ObjectMaker(metrics, ({ name }) => name);
    makers.set(metrics, maker);
  }
  return maker.make(value) as FieldValues<Fields>;
}
