// A reading as rows of a table, in the order of the schema.

import type { RegionReading } from '../region/reader.ts';
import { type Fields, unitOf } from '../schema.ts';
import { digits } from '../text.ts';
import type { DeviceValues, FieldValues, LatencyValue } from '../values.ts';
import { plain } from './command.ts';

/** One metric, or the sum of a latency metric with its extremes. */
export interface MetricRow {
  /** `vcpu`, `block rootfs`, `block, all devices`, or `vhost_user, removed devices`. */
  readonly section: string;
  readonly name: string;
  readonly kind: 'inc' | 'store' | 'latency';
  readonly total: bigint;
  /** Of a store metric there is none: it is as it is. */
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
    // A number as id would come first by itself.
    const ids = Object.keys(devices).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return [
      ...ids.flatMap((id) => sectionOf(`${key} ${plain(id)}`, def.fields, devices[id]!, open.devices[id]!)),
      ...(def.aggregate
        ? sectionOf(`${key}, all devices`, def.fields, aggregate, open.aggregate, def.latencyAggregate === 'extremum')
        : removedOf(key, def.fields, values[key] as DeviceValues<Fields>, open)),
    ];
  });
}

/**
 * Where there is no aggregate, what devices counted that are gone is nowhere else. Nothing, when they counted nothing.
 */
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

/** Whether there is anything to see. */
export function isZero({ total, max }: MetricRow): boolean {
  return total === 0n && (max ?? 0n) === 0n;
}

/** What the number of a latency metric is, and its extremes. */
export function latencyNote({ kind, min, max }: MetricRow): string {
  if (kind !== 'latency') return '';
  return min === undefined || max === undefined ? 'sum' : `sum; min ${digits(min)}, max ${digits(max)}`;
}

/** What became of a process, in one sentence. */
export function stateOf({ state, exitCode, crash, name, pid, startedAt, degraded, isThisBoot, linesFlushed }: RegionReading): string {
  const how = {
    running: 'is running',
    closed: 'was closed',
    exited: exitCode === undefined ? 'exited' : `exited with code ${exitCode}`,
    panicked: exitCode === undefined ? 'panicked' : `panicked (exit code ${exitCode})`,
    killed: 'was killed',
    crashed: crash
      ? `crashed by ${crash.signal} (code ${crash.code}, address 0x${crash.address.toString(16)}) at ${crash.at.toISOString()} in thread ${crash.threadId}`
      : 'crashed',
  }[state];
  const lines = `${digits(linesFlushed)} ${linesFlushed === 1n ? 'line' : 'lines'} flushed`;
  return [
    `${plain(name)}, process ${pid}, ${how}`,
    `started ${startedAt.toISOString()}${isThisBoot ? '' : ', before this boot'}`,
    lines,
    ...(degraded ? ['DEGRADED: memory was lost under it, and values with it'] : []),
  ].join('; ');
}

/** What no line has said yet. */
export function pendingText({ pending }: MetricRow): string {
  return pending === undefined ? '' : pending === 0n ? '0' : `+${digits(pending)}`;
}

/** A sentence in lines that are no wider than the terminal. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
