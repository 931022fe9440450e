// A reading as rows for people, in the order of the schema.

import type { RegionReading } from '../region/reader.ts';
import { type Fields, unitOf } from '../schema.ts';
import { digits } from '../text.ts';
import type { DeviceValues, FieldValues, LatencyValue } from '../values.ts';
import { plain } from './terminal-text.ts';

/** One metric, or the sum of a latency metric with its extremes. */
export interface MetricRow {
  /** `vcpu`, `block rootfs`, `block, all devices`, or `vhost_user, removed devices`. */
  readonly section: string;
  readonly name: string;
  readonly kind: 'inc' | 'store' | 'latency';
  readonly total: bigint;
  /** Undefined for a store metric, which is always current. */
  readonly pending: bigint | undefined;
  readonly unit: string;
  readonly min: bigint | undefined;
  readonly max: bigint | undefined;
  readonly doc: string;
}

export function rowsOf({ schema, values, pending }: RegionReading): MetricRow[] {
  return Object.entries(schema.shape).flatMap(([key, def]): MetricRow[] => {
    if (def.kind === 'utcTimestampMs') return [];
    if (def.kind === 'group') return sectionOf(key, def.fields, values[key] as FieldValues<Fields>, pending[key] as FieldValues<Fields>);
    const { devices, aggregate } = values[key] as DeviceValues<Fields>;
    const open = pending[key] as DeviceValues<Fields>;
    // An object lists keys that look like numbers first.
    const ids = Object.keys(devices).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return [
      ...ids.flatMap((id) => sectionOf(`${key} ${plain(id)}`, def.fields, devices[id]!, open.devices[id]!)),
      ...(def.aggregate
        ? sectionOf(`${key}, all devices`, def.fields, aggregate, open.aggregate, def.latencyAggregate === 'extremum')
        : removedOf(key, def.fields, values[key] as DeviceValues<Fields>, open)),
    ];
  });
}

/** What removed devices counted, for a group without an aggregate. No rows if they counted nothing. */
function removedOf(key: string, fields: Fields, values: DeviceValues<Fields>, open: DeviceValues<Fields>): MetricRow[] {
  const counted = Object.fromEntries(Object.entries(fields).filter(([, { kind }]) => kind !== 'store'));
  const sumOf = (value: bigint | LatencyValue) => (typeof value === 'object' ? value.sum_us : value);
  const rest = ({ devices, aggregate }: DeviceValues<Fields>) =>
    Object.fromEntries(
      Object.keys(counted).map((name) => {
        const living = Object.values(devices).reduce((sum, device) => sum + sumOf(device[name]!), 0n);
        const sum_us = BigInt.asUintN(64, sumOf(aggregate[name]!) - living);
        return [name, typeof aggregate[name] === 'object' ? { min_us: 0n, max_us: 0n, sum_us } : sum_us];
      }),
    ) as FieldValues<Fields>;
  const rows = sectionOf(`${key}, removed devices`, counted, rest(values), rest(open), false);
  return rows.every(isZero) ? [] : rows;
}

function sectionOf(
  section: string,
  fields: Fields,
  values: FieldValues<Fields>,
  open: FieldValues<Fields>,
  hasExtremes = true,
): MetricRow[] {
  return Object.entries(fields).map(([name, def]) => {
    const [value, delta] = [values[name] as bigint | LatencyValue, open[name] as bigint | LatencyValue];
    const unit = unitOf(name, def);
    const common = { section, name, kind: def.kind, doc: plain(def.doc), unit: unit === 'count' ? '' : unit };
    if (typeof value === 'object') {
      const { min_us: min, max_us: max } = value;
      const extremes = hasExtremes ? { min, max } : { min: undefined, max: undefined };
      return { ...common, total: value.sum_us, pending: (delta as LatencyValue).sum_us, ...extremes };
    }
    return { ...common, total: value, pending: def.kind === 'store' ? undefined : (delta as bigint), min: undefined, max: undefined };
  });
}

/** Whether all numbers of the row are zero. */
export function isZero({ total, max }: MetricRow): boolean {
  return total === 0n && (max ?? 0n) === 0n;
}

/** For a latency metric: what its number is, and the extremes. */
export function latencyNote({ kind, min, max }: MetricRow): string {
  if (kind !== 'latency') return '';
  return min === undefined || max === undefined ? 'sum' : `sum; min ${digits(min)}, max ${digits(max)}`;
}

/** What no flushed line contains yet. */
export function pendingText({ pending }: MetricRow): string {
  return pending === undefined ? '' : pending === 0n ? '0' : `+${digits(pending)}`;
}
