// The units in which exports show values. Pure.

import type { Unit } from './schema.ts';

/** How values of a unit are exported. */
export interface BaseUnit {
  /** The base unit; empty for plain counts. */
  readonly name: '' | 'bytes' | 'seconds';
  /** The part of a metric's name that already names the unit. The base unit replaces it. */
  readonly ending: string;
  /** How many digits of a value stand behind the decimal point, as the value in the base unit. */
  readonly decimals: number;
}

const BASE_UNITS: Readonly<Record<Unit, BaseUnit>> = {
  count: { name: '', ending: '', decimals: 0 },
  bytes: { name: 'bytes', ending: '_bytes', decimals: 0 },
  ns: { name: 'seconds', ending: '_ns', decimals: 9 },
  us: { name: 'seconds', ending: '_us', decimals: 6 },
  ms: { name: 'seconds', ending: '_ms', decimals: 3 },
};

export function baseUnitOf(unit: Unit): BaseUnit {
  return BASE_UNITS[unit];
}

/** The same for a name that must end in its unit. A name that says `bytes` before its end is taken as a plain count. */
export function namedUnitOf(name: string, unit: Unit): BaseUnit {
  return BASE_UNITS[unit === 'bytes' && /(^|_)bytes_/.test(name) ? 'count' : unit];
}

/** A metric's name without its unit. */
export function nameWithoutUnit(name: string, unit: Unit): string {
  const { ending } = BASE_UNITS[unit];
  return ending !== '' && name.endsWith(ending) ? name.slice(0, -ending.length) : name;
}
