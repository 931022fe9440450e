// What a profile's page shows: charts with counters as rates and other metrics as values, thinned to what a page can
// hold. Pure.

import { type ChartUnit, chartUnitOf, unitText } from './chart-unit.ts';
import { type Counter, counterOf, increase, rateBetween } from './counter.ts';
import { type HeatMap, heatMapsOf } from './heat-map.ts';
import { type Point, pointsOf, stretchesOf } from './points.ts';
import { groupOf, offsetsOf, type ProfileFile, sourcesIn } from './sources.ts';
import type { ProfileTable } from './table.ts';

export interface Series {
  readonly name: string;
  /** The name in the legend of the chart, whose title says the rest. */
  readonly label: string;
  /** Which of the profile's lists of times the values belong to. */
  readonly clock: number;
  /** Set for the extremes of a latency or a histogram since its start. They are steps, and hidden at first. */
  readonly extreme?: 'min' | 'max';
  /**
   * The rate or the value at each time: the mean if a point stands for several samples, and null where ticks were
   * missed or there is no rate yet.
   */
  readonly values: readonly (number | null)[];
  /** The minimum and maximum of the samples of each point; left out if a point is one sample. */
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
}

export interface Chart extends Omit<ChartUnit, 'factor'> {
  readonly title: string;
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
  /** The unit of `perSecond`, if it is not `unit`. */
  readonly rateUnit?: string;
}

export interface ProfileSeries {
  /** The times of each file, in seconds since the start. */
  readonly times: readonly (readonly number[])[];
  readonly charts: readonly Chart[];
  readonly heatMaps: readonly HeatMap[];
  readonly totals: readonly Total[];
  /** How many samples a point stands for, at most. */
  readonly rowsPerPoint: number;
}

/** Each series has at most `pointsMax` points, and the gaps that are longer than a point. */
export function profileSeriesOf(files: readonly ProfileFile[], pointsMax: number): ProfileSeries {
  const offsets = offsetsOf(files.map(({ table }) => table));
  const charts = new Map<string, Chart & { series: Series[] }>();
  const times: number[][] = [];
  const totals: Total[] = [];
  const sources = sourcesIn(files);
  let rowsPerPointMax = 1;
  files.forEach(({ table }, clock) => {
    const rowsPerPoint = Math.max(1, Math.ceil(table.timesNs.length / pointsMax));
    rowsPerPointMax = Math.max(rowsPerPointMax, rowsPerPoint);
    const points = pointsOf(table, rowsPerPoint);
    times.push(points.map(({ timeNs }) => offsets[clock]! + timeNs / 1e9));
    const measure = measureOf(table, points, rowsPerPoint);
    table.columns.forEach(({ kind, unit, values }, i) => {
      const { source, name } = sources[clock]![i]!;
      const { factor, ...units } = chartUnitOf(kind, unit);
      const group = groupOf(name);
      // Of several sources, each metric has a chart in which they share a scale.
      const title = source === undefined ? group : name;
      const key = JSON.stringify([title, units.unit]);
      const chart = charts.get(key) ?? { title, ...units, series: [] };
      charts.set(key, chart);
      const counter = kind === 'inc' ? counterOf(values) : undefined;
      const extreme = kind === 'store' ? /\.(min|max)(?:_us)?$/.exec(name)?.[1] : undefined;
      chart.series.push({
        name: source === undefined ? name : `${source}: ${name}`,
        label: source ?? (name.startsWith(`${group}.`) ? name.slice(group.length + 1) : name),
        clock,
        ...(extreme !== undefined && { extreme: extreme === 'min' ? 'min' : 'max' }),
        ...measure(counter ?? values, factor),
      });
      totals.push({
        name: source === undefined ? name : `${source}: ${name}`,
        unit: unitText(unit),
        first: String(values[0]),
        last: String(values.at(-1)),
        ...(counter && wholeIncrease(counter, table.timesNs, factor)),
        ...(counter && factor !== 1 && { rateUnit: units.shortUnit }),
      });
    });
  });
  return { times, charts: [...charts.values()], heatMaps: heatMapsIn(files, offsets), totals, rowsPerPoint: rowsPerPointMax };
}

/** The maps of one metric stand side by side. */
function heatMapsIn(files: readonly ProfileFile[], offsets: readonly number[]): HeatMap[] {
  const all = files.flatMap(({ name, distributions = [] }, i) =>
    distributions.map((distribution) => ({
      title: files.length > 1 ? `${name}: ${distribution.path}` : distribution.path,
      distribution: { ...distribution, edges: distribution.edges.map((edge) => offsets[i]! + edge) },
    })),
  );
  const paths = [...new Set(all.map(({ distribution }) => distribution.path))];
  return paths.flatMap((path) => heatMapsOf(all.filter(({ distribution }) => distribution.path === path)));
}

/** Makes the values of a counter's or a gauge's series, multiplied by `factor`. */
function measureOf(table: ProfileTable, points: readonly Point[], rowsPerPoint: number) {
  const rates = ratesFor(table, points);
  // A point of several rows also has a minimum and a maximum: the extremes of the values that each row would have as a
  // point of its own.
  const single = rowsPerPoint > 1 ? pointsOf(table, 1) : undefined;
  const singleRates = single && ratesFor(table, single);
  return (column: Counter | BigUint64Array, factor: number): Pick<Series, 'values' | 'low' | 'high'> => {
    const isGauge = column instanceof BigUint64Array;
    const scaled = (values: Values) => (factor === 1 ? values : values.map((value) => (value === null ? null : value * factor)));
    const means = scaled(isGauge ? meansOf(column, points) : rates(column));
    const singles = single && scaled(isGauge ? meansOf(column, single) : singleRates!(column));
    return { values: means.map(rounded), ...(singles && extremesOf(means, points, single!, singles)) };
  };
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
function wholeIncrease(counter: Counter, timesNs: Float64Array, factor: number): Pick<Total, 'difference' | 'perSecond'> {
  const last = timesNs.length - 1;
  if (last < 1) return {};
  return { difference: String(increase(counter, 0, last)), perSecond: rounded(rateBetween(counter, timesNs, 0, last) * factor) };
}

/** Six digits: nobody could see more, and more would make the page larger. */
function rounded(value: number): number;
function rounded(value: number | null): number | null;
function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(6));
}
