// The values of all metrics as one list, in the order of the schema. Pure: callers pass in the values.

import type { HistogramValue } from './histogram/value.ts';
import type { Layout, MetricLayout } from './layout.ts';
import { type Fields, type MetricDef, type Unit, unitOf } from './schema.ts';
import { type DevicesOf, type DeviceValues, type FieldValues, type LatencyValue, valuesOf } from './values.ts';

/** One metric with its value, as `collect()` returns it. */
export interface CollectedMetric {
  /** The group's key in the schema. */
  readonly group: string;
  /** The device's id, for a metric of one device. */
  readonly device?: string;
  /** True for a metric of all devices together. Its counts include those of removed devices. */
  readonly aggregate?: true;
  /** The metric's name in its group. */
  readonly name: string;
  /** The name that profiles use: `vcpu.exit_io_out`, `block_rootfs.read_bytes`; of an aggregate, `block.read_bytes`. */
  readonly path: string;
  readonly kind: MetricDef['kind'];
  readonly unit: Unit;
  readonly doc: string;
  /** The total since the store was opened; of a latency metric, its parts; of a histogram, what it has counted. */
  readonly value: bigint | LatencyValue | HistogramValue;
}

/**
 * The metrics of a layout with their values. Devices come sorted by the bytes of their ids, as in the line, then their
 * aggregate. A group without an aggregate gives no aggregate. `devicesOf` returns the devices of a group, sorted.
 */
export function collected(layout: Layout, totals: BigUint64Array, devicesOf: DevicesOf): CollectedMetric[] {
  const values = valuesOf(layout, totals, devicesOf) as Readonly<Record<string, unknown>>;
  const all: CollectedMetric[] = [];
  const add = (
    owner: Pick<CollectedMetric, 'group' | 'device' | 'aggregate'>,
    key: string,
    metrics: readonly MetricLayout[],
    of: FieldValues<Fields>,
  ) => {
    for (const { name, def } of metrics) {
      all.push({ ...owner, name, path: `${key}.${name}`, kind: def.kind, unit: unitOf(name, def), doc: def.doc, value: of[name]! });
    }
  };
  for (const entry of layout.entries) {
    if (entry.kind === 'utcTimestampMs') continue;
    const { key, metrics } = entry;
    if (entry.kind === 'group') {
      add({ group: key }, key, metrics, values[key] as FieldValues<Fields>);
      continue;
    }
    // The order of the ids comes from the list: an object moves keys such as '7' to its beginning.
    const { devices, aggregate } = values[key] as DeviceValues<Fields>;
    for (const { id, removed } of devicesOf(entry)) {
      if (!removed && Object.hasOwn(devices, id)) add({ group: key, device: id }, `${key}_${id}`, metrics, devices[id]!);
    }
    if (entry.aggregate) add({ group: key, aggregate: true }, key, metrics, aggregate);
  }
  return all;
}
