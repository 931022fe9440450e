// What a profile's page shows: rates of what only goes up, values of what does not, in charts, thinned to what a page can hold. Pure.

import type { ProfileTable, TableColumn } from './profile-table.ts';

export interface Series {
  readonly name: string;
  /** One a time; null where ticks were missed, or where there is no rate yet. */
  readonly values: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  /** Of the numbers in it. */
  readonly unit: string;
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
  const charts = new Map<string, { title: string; unit: string; series: Series[] }>();
  for (const column of table.columns) {
    const title = titleOf(column.name);
    const unit = column.kind === 'inc' ? `${column.unit} per second` : column.unit;
    const key = JSON.stringify([title, unit]);
    let chart = charts.get(key);
    if (chart === undefined) {
      chart = { title, unit, series: [] };
      charts.set(key, chart);
    }
    chart.series.push({ name: column.name, values: valuesAt(column, table.timesNs, points) });
  }
  return {
    times: points.map(({ timeNs }) => timeNs / 1e9),
    charts: [...charts.values()],
    totals: table.columns.map((column) => totalOf(column, table.timesNs)),
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

function valuesAt({ kind, values }: TableColumn, timesNs: Float64Array, points: readonly Point[]): (number | null)[] {
  return points.map(({ from, to }) => {
    if (from === to) return null;
    if (kind === 'inc') return from === 0 && to === 1 ? null : rate(values, timesNs, Math.max(0, from - 1), to - 1);
    // The largest of them: a mean would hide what was there for a moment.
    let largest = values[from]!;
    for (let row = from + 1; row < to; row++) if (values[row]! > largest) largest = values[row]!;
    return rounded(Number(largest));
  });
}

/** Per second, between two rows. */
function rate(values: BigUint64Array, timesNs: Float64Array, from: number, to: number): number {
  return rounded((Number(BigInt.asUintN(64, values[to]! - values[from]!)) * 1e9) / (timesNs[to]! - timesNs[from]!));
}

function totalOf({ name, kind, unit, values }: TableColumn, timesNs: Float64Array): Total {
  const last = values.length - 1;
  const ends = { name, unit, first: String(values[0] ?? ''), last: String(values[last] ?? '') };
  if (kind === 'store' || last < 1) return ends;
  return { ...ends, difference: String(BigInt.asUintN(64, values[last]! - values[0]!)), perSecond: rate(values, timesNs, 0, last) };
}

/** The group or device that a metric's name begins with. */
function titleOf(name: string): string {
  return name.replace(/\.[A-Za-z_]\w*(\.(min|max|sum)_us)?$/, '');
}

/** More digits could not be seen, and would make the page larger. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
