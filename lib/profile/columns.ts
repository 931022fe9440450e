// The columns of a profile: which cells the names mean, and what the table says about them. Pure: callers pass in the
// devices.

import { checkedText, shown } from '../arguments.ts';
import type { NativeDevice } from '../binding.ts';
import { LATENCY_COUNT, LATENCY_MAX, LATENCY_MIN, LATENCY_SUM, type Layout, type MetricLayout } from '../layout.ts';
import {
  type Fields,
  type GroupDef,
  type HistogramDef,
  type LatencyDef,
  type PerDeviceDef,
  type SchemaShape,
  type Unit,
  unitOf,
} from '../schema.ts';
import { fieldOf, TIME_FIELD } from './fields.ts';

/** The names that a profile of a schema may list. The name of a device's metric contains the id of the device. */
export type ProfileName<S extends SchemaShape> = {
  [K in keyof S & string]: NonNullable<S[K]> extends GroupDef<infer F>
    ? `${K}.${ColumnName<F>}`
    : NonNullable<S[K]> extends PerDeviceDef<infer F>
      ? `${K}_${string}.${ColumnName<F>}`
      : never;
}[keyof S & string];

type ColumnName<F extends Fields> = {
  [N in keyof F & string]: F[N] extends LatencyDef
    ? `${N}.${'count' | 'min_us' | 'max_us' | 'sum_us'}`
    : F[N] extends HistogramDef
      ? `${N}.${'count' | 'min' | 'max' | 'sum'}`
      : N;
}[keyof F & string];

/** A column: its name, its cell, and how to read its values. */
export interface ProfileColumn {
  readonly name: string;
  readonly cell: number;
  /** `inc`: the values only go up. `store`: each value stands for itself. */
  readonly kind: 'inc' | 'store';
  readonly unit: Unit;
}

/** At least one name: a list, or text with commas between the names. */
export function checkedNames(name: string, value: unknown): readonly string[] {
  if (typeof value !== 'string' && !Array.isArray(value)) {
    throw new TypeError(`${name} must be a list of names, or text with commas between them; got ${shown(value)}`);
  }
  const names: unknown[] = Array.isArray(value)
    ? Array.from(value)
    : value.trim() === ''
      ? []
      : value.split(',').map((text) => text.trim());
  if (names.length === 0) throw new RangeError(`${name} must name at least one metric; got ${shown(value)}`);
  return names.map((one, i) => {
    const text = checkedText(`${name}[${i}]`, one);
    if (text === '') throw new RangeError(`${name}[${i}] is empty; got ${shown(value)}`);
    return text;
  });
}

type DevicesOf = (group: number) => readonly NativeDevice[];

/**
 * The column that a name means. The id of a device may contain dots, so only the list of devices tells where it ends.
 */
export function columnOf(argument: string, name: string, layout: Layout, devicesOf: DevicesOf): ProfileColumn {
  const found: ProfileColumn[] = [];
  for (const { key, metrics, firstCell } of ownersOf(name, layout, devicesOf)) {
    const rest = name.slice(key.length + 1);
    for (const column of metrics.flatMap((metric) => columnsOf(metric, layout))) {
      if (column.name === rest) found.push({ ...column, name, cell: firstCell + column.cell });
    }
  }
  if (found.length > 1) throw new RangeError(`${argument}: ${shown(name)} is ambiguous: more than one device has such a metric`);
  const [column] = found;
  if (column === undefined) throw new RangeError(`${argument}: there is no metric ${shown(name)}: ${hintFor(name, layout, devicesOf)}`);
  return column;
}

/** What a name begins with: a group, or a device. */
interface Owner {
  readonly key: string;
  readonly metrics: readonly MetricLayout[];
  readonly firstCell: number;
}

function ownersOf(name: string, layout: Layout, devicesOf: DevicesOf): Owner[] {
  const owners: Owner[] = [];
  for (const entry of layout.entries) {
    if (entry.kind === 'group') owners.push({ key: entry.key, metrics: entry.metrics, firstCell: 0 });
    if (entry.kind !== 'perDevice' || !name.startsWith(`${entry.key}_`)) continue;
    for (const { id, firstCell, removed } of devicesOf(entry.group)) {
      if (!removed) owners.push({ key: `${entry.key}_${id}`, metrics: entry.metrics, firstCell });
    }
  }
  return owners.filter(({ key }) => name.startsWith(`${key}.`));
}

/** For the error about an unknown name: what the name could have been. */
function hintFor(name: string, layout: Layout, devicesOf: DevicesOf): string {
  const [owner] = ownersOf(name, layout, devicesOf);
  if (owner !== undefined) {
    const rest = name.slice(owner.key.length + 1);
    const whole = owner.metrics.find(
      (metric) => (metric.def.kind === 'latency' || metric.def.kind === 'histogram') && `${rest}.`.startsWith(`${metric.name}.`),
    );
    if (whole === undefined) return `${shown(owner.key)} has ${listed(owner.metrics.map((metric) => metric.name))}`;
    return `a ${whole.def.kind} metric is sampled by one of its parts, ${listed(columnsOf(whole, layout).map((column) => shown(`${owner.key}.${column.name}`)))}`;
  }
  for (const entry of layout.entries) {
    if (entry.kind !== 'perDevice') continue;
    const rest = name.slice(entry.key.length + 1);
    if (name.startsWith(`${entry.key}.`))
      return `${shown(entry.key)} is a group of devices; name one of them, as '${entry.key}_<id>.${rest}'`;
    if (!name.startsWith(`${entry.key}_`)) continue;
    const there = devicesOf(entry.group).filter(({ removed }) => !removed);
    return there.length === 0
      ? `${shown(entry.key)} has no device`
      : `${shown(entry.key)} has the devices ${listed(there.map(({ id }) => shown(id)))}`;
  }
  const groups = layout.entries.flatMap((entry) => (entry.kind === 'group' || entry.kind === 'perDevice' ? [entry.key] : []));
  return `a name is 'group.metric', and the groups are ${listed(groups)}`;
}

const LISTED = 8;

function listed(names: readonly string[]): string {
  return names.length <= LISTED ? names.join(', ') : `${names.slice(0, LISTED).join(', ')} and ${names.length - LISTED} more`;
}

/** The columns that a metric can give. Their names and cells are relative to the group, or to the device. */
function columnsOf({ name, def, cell }: MetricLayout, { latencyCells }: Layout): ProfileColumn[] {
  const unit = unitOf(name, def);
  if (def.kind === 'inc' || def.kind === 'store') return [{ name, cell, kind: def.kind, unit }];
  const suffix = def.kind === 'latency' ? '_us' : '';
  const count: ProfileColumn = { name: `${name}.count`, cell: cell + LATENCY_COUNT, kind: 'inc', unit: 'count' };
  return [
    ...(latencyCells === 'counted' ? [count] : []),
    { name: `${name}.min${suffix}`, cell: cell + LATENCY_MIN, kind: 'store', unit },
    { name: `${name}.max${suffix}`, cell: cell + LATENCY_MAX, kind: 'store', unit },
    { name: `${name}.sum${suffix}`, cell: cell + LATENCY_SUM, kind: 'inc', unit },
  ];
}

/** The header line of the table. */
export function headerLineOf(names: readonly string[]): string {
  return `${[TIME_FIELD, ...names].map(fieldOf).join('\t')}\n`;
}

/** What the first comment of a table says about its columns. */
export function annotationOf(columns: readonly ProfileColumn[]): string {
  return columns.map(({ kind, unit }) => `\t${kind} ${unit}`).join('');
}
