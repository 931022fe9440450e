// What a profile's page shows: charts with counters as rates and other metrics as values, thinned to what a page can
// hold. Pure.

import { type Counter, counterOf, increase, rateBetween } from './counter.ts';
import { type Point, pointsOf, stretchesOf } from './points.ts';
import type { ProfileTable, TableColumn } from './table.ts';

export interface Series {
  readonly name: string;
  /**
   * The rate or the value at each time: the mean if a point stands for several samples, and null where ticks were
   * missed or there is no rate yet.
   */
  readonly values: readonly (number | null)[];
  /** The minimum and maximum of the samples of each point; left out if a point is one sample. */
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  /** The unit in full, such as `bytes per second`. */
  readonly unit: string;
  /** The unit beside a number, such as `bytes/s`. For a count, it is empty or `/s`. */
  readonly shortUnit: string;
  readonly areRates: boolean;
  /** An explanation of the unit. */
  readonly note?: string;
  readonly series: readonly Series[];
}

export interface Total {
  readonly name: string;
  readonly unit: string;
  readonly first: string;
  readonly last: string;
  /** For a counter: how much it went up, and how fast. */
  readonly difference?: string;
  readonly perSecond?: number;
}

export interface ProfileSeries {
  /** Seconds since the start. */
  readonly times: readonly number[];
  readonly charts: readonly Chart[];
  readonly totals: readonly Total[];
  /** How many samples a point stands for. */
  readonly rowsPerPoint: number;
}

/** Each series has at most `pointsMax` points, and the gaps that are longer than a point. */
export function profileSeriesOf(table: ProfileTable, pointsMax: number): ProfileSeries {
  const { timesNs } = table;
  const rowsPerPoint = Math.max(1, Math.ceil(timesNs.length / pointsMax));
  const points = pointsOf(table, rowsPerPoint);
  const rates = ratesFor(table, points);
  // A point of several rows also has a minimum and a maximum: the extremes of the values that each row would have as a
  // point of its own.
  const single = rowsPerPoint > 1 ? pointsOf(table, 1) : undefined;
  const singleRates = single && ratesFor(table, single);
  const charts = new Map<string, Chart & { series: Series[] }>();
  const totals: Total[] = [];
  for (const { name, kind, unit, values } of table.columns) {
    const title = titleOf(name);
    const units = unitsOf({ kind, unit });
    const key = JSON.stringify([title, units.unit]);
    const chart = charts.get(key) ?? { title, ...units, series: [] };
    charts.set(key, chart);
    const counter = kind === 'inc' ? counterOf(values) : undefined;
    const means = counter ? rates(counter) : meansOf(values, points);
    const singles = single && (counter ? singleRates!(counter) : meansOf(values, single));
    chart.series.push({ name, values: means.map(rounded), ...(singles && extremesOf(means, points, single!, singles)) });
    totals.push({
      name,
      unit: unitText(unit),
      first: String(values[0]),
      last: String(values.at(-1)),
      ...(counter && wholeIncrease(counter, timesNs)),
    });
  }
  return { times: points.map(({ timeNs }) => timeNs / 1e9), charts: [...charts.values()], totals, rowsPerPoint };
}

type Values = (number | null)[];

/** Makes the rates of a counter at these points. */
function ratesFor(table: ProfileTable, points: readonly Point[]): (counter: Counter) => Values {
  const stretches = stretchesOf(table, points);
  return (counter) =>
    points.map(({ from, to }, i) => {
      const stretch = stretches[i];
      return from === to || stretch === undefined ? null : rateBetween(counter, table.timesNs, stretch.from, stretch.to);
    });
}

function meansOf(values: BigUint64Array, points: readonly Point[]): Values {
  return points.map(({ from, to }) => {
    if (from === to) return null;
    const sum = values.subarray(from, to).reduce((total, value) => total + value, 0n);
    return Number(sum) / (to - from);
  });
}

/** The extremes of each of `points`, over the values of the `single` points, which have one row each. */
function extremesOf(means: Values, points: readonly Point[], single: readonly Point[], singles: Values): Pick<Series, 'low' | 'high'> {
  const low: Values = [];
  const high: Values = [];
  let next = 0;
  points.forEach(({ from, to }, i) => {
    // The range starts with the mean: a row that shares the rate of the next point could leave the mean outside.
    let [least, most] = [means[i] ?? null, means[i] ?? null];
    for (; from < to && next < single.length && single[next]!.from < to; next++) {
      const value = singles[next]!;
      if (value === null || least === null || most === null) continue;
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
    low.push(rounded(least));
    high.push(rounded(most));
  });
  return { low, high };
}

/** From the first row to the last; nothing for a single row. */
function wholeIncrease(counter: Counter, timesNs: Float64Array): Pick<Total, 'difference' | 'perSecond'> {
  const last = timesNs.length - 1;
  if (last < 1) return {};
  return { difference: String(increase(counter, 0, last)), perSecond: rounded(rateBetween(counter, timesNs, 0, last)) };
}

const TIME_UNITS = new Map([
  ['ns', { text: 'ns', inSecond: '1,000,000,000' }],
  ['us', { text: 'µs', inSecond: '1,000,000' }],
  ['ms', { text: 'ms', inSecond: '1,000' }],
]);

/** A unit as a page writes it. */
function unitText(unit: string): string {
  return TIME_UNITS.get(unit)?.text ?? unit;
}

function unitsOf({ kind, unit }: Pick<TableColumn, 'kind' | 'unit'>): Pick<Chart, 'unit' | 'shortUnit' | 'areRates' | 'note'> {
  const text = unitText(unit);
  const short = unit === 'count' ? '' : text;
  if (kind === 'store') return { unit: text, shortUnit: short, areRates: false };
  const time = TIME_UNITS.get(unit);
  return {
    unit: `${text} per second`,
    shortUnit: `${short}/s`,
    areRates: true,
    ...(time !== undefined && { note: `${time.inSecond} is one thread busy all the time` }),
  };
}

/** The group or device at the beginning of a metric's name. */
function titleOf(name: string): string {
  return name.replace(/\.[A-Za-z_]\w*(\.(min|max|sum)_us)?$/, '');
}

/** Six digits: nobody could see more, and more would make the page larger. */
function rounded(value: number): number;
function rounded(value: number | null): number | null;
function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(6));
}
