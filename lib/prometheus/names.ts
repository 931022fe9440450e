// The names and the escapes of Prometheus. Pure.

import type { Unit } from '../schema.ts';

/** How values of a unit are exported: with which suffix of the name, and as which power of ten of the base unit. */
interface BaseUnit {
  /** The base unit, which is also the last part of the name; empty for plain counts. */
  readonly name: '' | 'bytes' | 'seconds';
  /** The part of a metric's name that already names the unit. The base unit replaces it. */
  readonly ending: string;
  /** How many digits of a value stand behind the decimal point. */
  readonly decimals: number;
}

const BASE_UNITS: Readonly<Record<Unit, BaseUnit>> = {
  count: { name: '', ending: '', decimals: 0 },
  bytes: { name: 'bytes', ending: '_bytes', decimals: 0 },
  us: { name: 'seconds', ending: '_us', decimals: 6 },
  ms: { name: 'seconds', ending: '_ms', decimals: 3 },
};

export function baseUnitOf(unit: Unit): BaseUnit {
  return BASE_UNITS[unit];
}

/** A metric's name with its base unit at the end. `part` stands before the unit, such as `_min`. */
export function nameInBaseUnit(name: string, unit: Unit, part = ''): string {
  const base = BASE_UNITS[unit];
  const stem = base.ending !== '' && name.endsWith(base.ending) ? name.slice(0, -base.ending.length) : name;
  return `${stem}${part}${base.name === '' ? '' : `_${base.name}`}`;
}

/** A label's value as it stands between quotes. */
export function escapedLabel(value: string): string {
  return /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

/** The text of a HELP line. OpenMetrics also escapes quotes. */
export function escapedHelp(text: string, isOpenMetrics: boolean): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return isOpenMetrics ? escaped.replaceAll('"', '\\"') : escaped;
}

/** Labels as they stand between braces, in the order of the object. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapedLabel(value)}"`)
    .join(',');
}
