// The unit of a chart: rates of counters, and values of gauges. Pure.

import type { TableColumn } from './table.ts';

export interface ChartUnit {
  /** The unit in full, such as `bytes per second`. */
  readonly unit: string;
  /** The unit beside a number, such as `bytes/s`. For a count, it is empty or `/s`. */
  readonly shortUnit: string;
  readonly areRates: boolean;
  /** An explanation of the unit. */
  readonly note?: string;
  /** What a value or a rate of the column is multiplied by. */
  readonly factor: number;
}

const TIME_UNITS = new Map([
  ['ns', { text: 'ns', inSecond: 1e9 }],
  ['us', { text: 'µs', inSecond: 1e6 }],
  ['ms', { text: 'ms', inSecond: 1e3 }],
]);

/** A unit as a page writes it. */
export function unitText(unit: string): string {
  return TIME_UNITS.get(unit)?.text ?? unit;
}

/** A counter of time, such as a sum of durations, goes up by one second per second if one thread is always busy. */
export function chartUnitOf(kind: TableColumn['kind'], unit: string): ChartUnit {
  const text = unitText(unit);
  const short = unit === 'count' ? '' : text;
  if (kind === 'store') return { unit: text, shortUnit: short, areRates: false, factor: 1 };
  const time = TIME_UNITS.get(unit);
  if (time === undefined) return { unit: `${text} per second`, shortUnit: `${short}/s`, areRates: true, factor: 1 };
  return { unit: 'core share', shortUnit: '%', areRates: true, note: '100% is one thread busy all the time', factor: 100 / time.inSecond };
}
