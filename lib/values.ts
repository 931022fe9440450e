// The values of all metrics as plain data, nested as the schema. Pure: callers pass in what was read.

import { combineDevices } from './aggregate.ts';
import type { NativeDevice } from './binding.ts';
import type { Scheme } from './histogram/scheme.ts';
import { HistogramValue } from './histogram/value.ts';
import {
  type DeviceGroupLayout,
  FIRST_BUCKET,
  LATENCY_COUNT,
  LATENCY_MAX,
  LATENCY_MIN,
  LATENCY_SUM,
  type Layout,
  type MetricLayout,
  minimumOf,
} from './layout.ts';
import { ObjectMaker } from './object-makers.ts';
import type {
  Fields,
  GroupDef,
  HistogramDef,
  LatencyDef,
  LatencyHistogramDef,
  MetricDef,
  PerDeviceDef,
  SchemaShape,
  TimestampDef,
} from './schema.ts';

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
  /**
   * The distribution, if the schema asks for one. Its count and `count` are the same. The pending values of a region
   * file do not have it, because no line does.
   */
  readonly histogram?: HistogramValue;
}

export interface LatencyHistogramValue extends LatencyValue {
  readonly histogram: HistogramValue;
}

/** The value that a snapshot has of a metric. */
export type ValueOf<D extends MetricDef> = D extends HistogramDef
  ? HistogramValue
  : D extends LatencyHistogramDef
    ? LatencyHistogramValue
    : D extends LatencyDef
      ? LatencyValue
      : bigint;
/** The values of the metrics of a group, by name. */
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
  readonly [K in keyof S as NonNullable<S[K]> extends TimestampDef ? never : K]: NonNullable<S[K]> extends GroupDef<infer F>
    ? FieldValues<F>
    : NonNullable<S[K]> extends PerDeviceDef<infer F>
      ? DeviceValues<F>
      : FieldValues<Fields> | DeviceValues<Fields>;
};

/** The devices of a group, and its removed devices: either each of them, or all as one device. */
export type DevicesOf = (group: DeviceGroupLayout) => readonly NativeDevice[];

/**
 * For each group, the devices of a native snapshot, in the order of their totals. All removed devices of a group are
 * one device.
 */
export function devicesIn(layout: Layout, ids: readonly (readonly string[])[]): readonly (readonly NativeDevice[])[] {
  let next = layout.cellKinds.length;
  return layout.devices.map(({ group, cellKinds }) => {
    const placed = (id: string, removed: boolean): NativeDevice => {
      const firstCell = next;
      next += cellKinds.length;
      return { id, firstCell, removed };
    };
    return [placed('', true), ...ids[group]!.map((id) => placed(id, false))];
  });
}

/**
 * The values, nested as the schema. `totals` contains the sum of each cell. `devicesOf` returns the devices of a group.
 */
export function valuesOf(layout: Layout, totals: BigUint64Array, devicesOf: DevicesOf, what: 'totals' | 'pending' = 'totals'): object {
  const form = { latencyCells: layout.latencyCells, what };
  const values: Record<string, unknown> = {};
  for (const entry of layout.entries) {
    if (entry.kind === 'group') values[entry.key] = fieldsOf(entry.metrics, (metric) => valueAt(form, metric, totals, 0));
    if (entry.kind === 'perDevice') values[entry.key] = deviceValuesOf(form, entry, totals, devicesOf(entry));
  }
  return values;
}

/** How the cells of a latency become its value. */
type Form = Pick<Layout, 'latencyCells'> & { readonly what: 'totals' | 'pending' };

function deviceValuesOf(form: Form, group: DeviceGroupLayout, totals: BigUint64Array, all: readonly NativeDevice[]): DeviceValues<Fields> {
  // Devices that were made after the totals were read are left out.
  const read = all.filter(({ firstCell }) => firstCell + group.cellKinds.length <= totals.length);
  // Without a prototype: a device may be called `__proto__`.
  const devices: Record<string, FieldValues<Fields>> = Object.create(null);
  for (const { id, removed, firstCell } of read) {
    if (!removed) devices[id] = fieldsOf(group.metrics, (metric) => valueAt(form, metric, totals, firstCell));
  }
  const combined = new BigUint64Array(group.cellKinds.length);
  combineDevices(totals, group, read, combined, 0);
  const hasNoExtremes = ({ kind }: MetricDef) => kind === 'latency' && group.latencyAggregate === 'zero';
  const aggregate = fieldsOf(group.metrics, (metric) => {
    const value = valueAt(form, metric, combined, 0);
    return hasNoExtremes(metric.def) ? { ...(value as LatencyValue), min_us: 0n, max_us: 0n } : value;
  });
  return { devices, aggregate };
}

/** What a histogram has counted. `at` gives its cells. */
export function histogramOf(
  scheme: Scheme,
  extremes: Pick<HistogramValue, 'min' | 'max' | 'sum'>,
  at: (part: number) => bigint,
): HistogramValue {
  return new HistogramValue(scheme, { ...extremes, counts: Array.from({ length: scheme.buckets }, (_, i) => at(FIRST_BUCKET + i)) });
}

type MetricValue = bigint | LatencyValue | HistogramValue;

function valueAt(form: Form, metric: MetricLayout, totals: BigUint64Array, firstCell: number): MetricValue {
  const { def, cell } = metric;
  if (def.kind === 'inc' || def.kind === 'store') return totals[firstCell + cell]!;
  return durationsAt(form, metric, (part) => totals[firstCell + cell + part]!);
}

/** The value of a latency or a histogram, whose cells `at` gives. */
function durationsAt(
  { latencyCells, what }: Form,
  { def, scheme }: MetricLayout,
  at: (part: number) => bigint,
): LatencyValue | HistogramValue {
  const [min, max, sum] = [minimumOf(at(LATENCY_MIN), at(LATENCY_MAX)), at(LATENCY_MAX), at(LATENCY_SUM)];
  // No line contains the buckets of a latency, so none of them is pending.
  const hasHistogram = def.kind === 'histogram' || what === 'totals';
  const histogram = scheme && hasHistogram ? histogramOf(scheme, { min, max, sum }, at) : undefined;
  if (def.kind === 'histogram') return histogram!;
  if (histogram !== undefined) return { count: histogram.count, min_us: min, max_us: max, sum_us: sum, histogram };
  return { count: latencyCells === 'counted' ? at(LATENCY_COUNT) : 0n, min_us: min, max_us: max, sum_us: sum };
}

const makers = new WeakMap<readonly MetricLayout[], ObjectMaker<MetricLayout>>();

function fieldsOf(metrics: readonly MetricLayout[], value: (metric: MetricLayout) => MetricValue): FieldValues<Fields> {
  let maker = makers.get(metrics);
  if (maker === undefined) {
    maker = new ObjectMaker(metrics, ({ name }) => name);
    makers.set(metrics, maker);
  }
  return maker.make(value) as FieldValues<Fields>;
}
