// What a profile's page shows: rates of what only goes up, values of what does not, in charts, thinned to what a page
// can hold. Pure.

import type { ProfileTable, TableColumn } from './table.ts';

export interface Series {
  readonly name: string;
  /** One a time; null where ticks were missed, or where there is no rate yet. */
  readonly values: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  /**
   * Of the numbers in it, in full, as `bytes per second`, and beside a number, as `bytes/s`; of a count empty, or `/s`.
   */
  readonly unit: string;
  readonly shortUnit: string;
  /** What the unit does not say by itself. */
  readonly note?: string;
  readonly series: readonly Series[];
}

export interface Total {
  readonly name: string;
  readonly unit: string;
  readonly first: string;
  readonly last: string;
  /** Of what only goes up: how much it did, and how fast. */
  readonly difference?: string;
  readonly perSecond?: number;
}

export interface ProfileSeries {
  /** Seconds since the start. */
  readonly times: readonly number[];
  readonly charts: readonly Chart[];
  readonly totals: readonly Total[];
  /** How many rows one point stands for. */
  readonly rowsPerPoint: number;
}

/** `pointsMax` points of each series, and the gaps that are as long as one of them. */
export function profileSeriesOf(table: ProfileTable, pointsMax: number): ProfileSeries {
  const rows = table.timesNs.length;
  const rowsPerPoint = Math.max(1, Math.ceil(rows / pointsMax));
  const points = pointsOf(table, rowsPerPoint);
  const stretches = stretchesOf(table, points);
  const charts = new Map<string, Chart & { series: Series[] }>();
  const totals: Total[] = [];
  for (const column of table.columns) {
    const title = titleOf(column.name);
    const units = unitsOf(column);
    const key = JSON.stringify([title, units.unit]);
    let chart = charts.get(key);
    if (chart === undefined) {
      chart = { title, ...units, series: [] };
      charts.set(key, chart);
    }
    const ends = { first: String(column.values[0]), last: String(column.values.at(-1)) };
    const total = { name: column.name, unit: unitText(column.unit), ...ends };
    if (column.kind === 'store') {
      chart.series.push({ name: column.name, values: valuesAt(column.values, points) });
      totals.push(total);
    } else {
      const counter = counterOf(column.values);
      chart.series.push({ name: column.name, values: ratesAt(counter, table.timesNs, points, stretches) });
      totals.push({ ...total, ...wholeIncrease(counter, table.timesNs) });
    }
  }
  return {
    times: points.map(({ timeNs }) => timeNs / 1e9),
    charts: [...charts.values()],
    totals,
    rowsPerPoint,
  };
}

/** The rows from `from` on, before `to`, in one point; of a gap none. */
interface Point {
  readonly timeNs: number;
  readonly from: number;
  readonly to: number;
}

function pointsOf({ timesNs, intervalNs, gaps }: ProfileTable, rowsPerPoint: number): Point[] {
  const points: Point[] = [];
  let from = 0;
  const finish = (to: number) => {
    if (to > from) points.push({ timeNs: timesNs[to - 1]!, from, to });
    from = to;
  };
  for (let row = 0; row < timesNs.length; row++) {
    // A gap that is shorter than a point could not be seen.
    if (gaps.has(row) && timesNs[row]! - timesNs[row - 1]! > intervalNs * rowsPerPoint) {
      finish(row);
      points.push({ timeNs: (timesNs[row - 1]! + timesNs[row]!) / 2, from: row, to: row });
    }
    if (row - from === rowsPerPoint) finish(row);
  }
  finish(timesNs.length);
  return points;
}

/** The rows between which a rate is taken. */
interface Stretch {
  readonly from: number;
  to: number;
}

/**
 * The stretch of each point; none where there is no rate yet. Each is half an interval or longer, since on a shorter
 * one a single event would be a peak: a row comes close to one that was late, and the last one at any time. What is too
 * close to the point before it takes its rate together with the next one, or before a gap and at the end with the one
 * before.
 */
function stretchesOf({ timesNs, intervalNs }: ProfileTable, points: readonly Point[]): (Stretch | undefined)[] {
  const stretches = new Array<Stretch | undefined>(points.length);
  let last: Stretch | undefined;
  let waiting: number[] = [];
  let from = 0;
  const settle = () => {
    for (const i of waiting) stretches[i] = last;
    waiting = [];
  };
  const settleBackwards = () => {
    const nearest = waiting.at(-1);
    if (last !== undefined && nearest !== undefined) from = last.to = points[nearest]!.to - 1;
    settle();
  };
  points.forEach((point, i) => {
    const to = point.to - 1;
    if (point.from === point.to) settleBackwards();
    else if (to > 0) {
      waiting.push(i);
      if (timesNs[to]! - timesNs[from]! < intervalNs / 2) return;
      last = { from, to };
      from = to;
      settle();
    }
  });
  settleBackwards();
  return stretches;
}

/** The largest of each point: a mean would hide what was there for a moment. */
function valuesAt(values: BigUint64Array, points: readonly Point[]): (number | null)[] {
  return points.map(({ from, to }) => {
    if (from === to) return null;
    let largest = values[from]!;
    for (let row = from + 1; row < to; row++) if (values[row]! > largest) largest = values[row]!;
    return rounded(Number(largest));
  });
}

function ratesAt(counter: Counter, timesNs: Float64Array, points: readonly Point[], stretches: readonly (Stretch | undefined)[]) {
  return points.map(({ from, to }, i) => {
    const stretch = stretches[i];
    return from === to || stretch === undefined ? null : rate(counter, timesNs, stretch.from, stretch.to);
  });
}

/** Per second, between two rows. */
function rate(counter: Counter, timesNs: Float64Array, from: number, to: number): number {
  return rounded((Number(increase(counter, from, to)) * 1e9) / (timesNs[to]! - timesNs[from]!));
}

/** What only goes up, and the rows in which it began anew from 0. */
interface Counter {
  readonly values: BigUint64Array;
  readonly restarts: readonly number[];
}

/** A fall of more than this is a counter that passed 2^64; any other one is a counter that began anew. */
const HALF = 2n ** 63n;

function counterOf(values: BigUint64Array): Counter {
  const restarts: number[] = [];
  for (let row = 1; row < values.length; row++) {
    const [before, after] = [values[row - 1]!, values[row]!];
    if (after < before && before - after <= HALF) restarts.push(row);
  }
  return { values, restarts };
}

function increase({ values, restarts }: Counter, from: number, to: number): bigint {
  let total = 0n;
  let begin = values[from]!;
  for (let i = firstAfter(restarts, from); i < restarts.length && restarts[i]! <= to; i++) {
    const row = restarts[i]!;
    total += BigInt.asUintN(64, values[row - 1]! - begin);
    begin = 0n;
  }
  return total + BigInt.asUintN(64, values[to]! - begin);
}

/** Where in an ascending list the first number greater than `bound` stands. */
function firstAfter(ascending: readonly number[], bound: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** From the first row to the last; of a single row nothing. */
function wholeIncrease(counter: Counter, timesNs: Float64Array): Pick<Total, 'difference' | 'perSecond'> {
  const last = timesNs.length - 1;
  if (last < 1) return {};
  return { difference: String(increase(counter, 0, last)), perSecond: rate(counter, timesNs, 0, last) };
}

const TIME_UNITS = new Map([
  ['us', { text: 'µs', inSecond: '1,000,000' }],
  ['ms', { text: 'ms', inSecond: '1,000' }],
]);

/** As a page writes it. */
function unitText(unit: string): string {
  return TIME_UNITS.get(unit)?.text ?? unit;
}

function unitsOf({ kind, unit }: TableColumn): Pick<Chart, 'unit' | 'shortUnit' | 'note'> {
  const text = unitText(unit);
  const short = unit === 'count' ? '' : text;
  if (kind === 'store') return { unit: text, shortUnit: short };
  const time = TIME_UNITS.get(unit);
  return {
    unit: `${text} per second`,
    shortUnit: `${short}/s`,
    ...(time !== undefined && { note: `${time.inSecond} is one thread busy all the time` }),
  };
}

/** The group or device that a metric's name begins with. */
function titleOf(name: string): string {
  return name.replace(/\.[A-Za-z_]\w*(\.(min|max|sum)_us)?$/, '');
}

/** More digits could not be seen, and would make the page larger. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
