// Gathers points into buckets of time. A chart draws buckets where its points are too close to be told apart. Pure. The
// page takes bucketsOf() and BUCKET_PARTS as text, so these functions use nothing else from outside themselves.

import type { Series } from './series.ts';

/**
 * Lines that share their times. Each list has one entry per time: null where the series has no value, and undefined
 * where only another series, which has times of its own, has a point.
 */
export interface Buckets {
  readonly times: readonly number[];
  readonly lines: readonly {
    readonly mean: readonly (number | null | undefined)[];
    readonly low: readonly (number | null | undefined)[];
    readonly high: readonly (number | null | undefined)[];
  }[];
}

export interface BucketOptions {
  /** The range of time to show. The result has one more bucket on each side, so that lines reach the edges. */
  readonly from: number;
  readonly to: number;
  /** The length of a bucket. Buckets begin at multiples of it, so they do not change when a chart moves. */
  readonly width: number;
  /**
   * Whether the values are rates. In a mean of rates, each rate has the weight of its time, so the mean is the rate
   * over the whole bucket. In a mean of other values, all have the same weight.
   */
  readonly areRates: boolean;
}

/** The points of one bucket, as indices of their times. */
interface Bucket {
  /** The middle of the bucket. */
  readonly time: number;
  readonly points: number[];
}

/**
 * The mean, minimum and maximum of each bucket. The time of a bucket is its middle. Buckets without a point are left
 * out. But where all series have a gap that is longer than a bucket, there is one null.
 */
export function bucketsOf(times: readonly number[], series: readonly Series[], { from, to, width, areRates }: BucketOptions): Buckets {
  const begin = firstFrom(times, (Math.floor(from / width) - 1) * width);
  const end = firstFrom(times, (Math.floor(to / width) + 2) * width);
  const runs = runsOf(times, series, begin, end, width);
  for (const run of runs) joinFewPoints(run);
  // Between two runs, a bucket without points interrupts the lines.
  const buckets = runs.flatMap((run, i): Bucket[] => {
    const next = runs[i + 1];
    return next === undefined ? run : [...run, { time: (run.at(-1)!.time + next[0]!.time) / 2, points: [] }];
  });
  return { times: buckets.map(({ time }) => time), lines: series.map((one) => lineOfSeries(times, one, buckets, begin, areRates)) };
}

/** The functions that bucketsOf() calls. */
export const BUCKET_PARTS: readonly ((...values: never[]) => unknown)[] = [firstFrom, runsOf, joinFewPoints, lineOfSeries];

/** The index of the first time that is not before `bound`. */
function firstFrom(times: readonly number[], bound: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! >= bound) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The buckets of the points from `begin` to before `end`, in runs. In a run there is no gap between the buckets. */
function runsOf(times: readonly number[], series: readonly Series[], begin: number, end: number, width: number): Bucket[][] {
  const bucketAt = (i: number) => Math.floor(times[i]! / width);
  const isPoint = (i: number) => series.some(({ values }) => values[i] !== null);
  const runs: Bucket[][] = [];
  let [last, hasGap] = [-1, true];
  for (let i = begin; i < end; i++) {
    if (!isPoint(i)) {
      hasGap = true;
      continue;
    }
    const isNew = last < 0 || bucketAt(i) > bucketAt(last);
    if (last < 0 || (hasGap && isNew && times[i]! - times[last]! > width)) runs.push([]);
    const run = runs.at(-1)!;
    if (isNew) run.push({ time: (bucketAt(i) + 0.5) * width, points: [] });
    run.at(-1)!.points.push(i);
    [last, hasGap] = [i, false];
  }
  return runs;
}

/**
 * A bucket at the end of a run may have only a few points. Their mean would look like a change, so they join the bucket
 * beside them.
 */
function joinFewPoints(run: Bucket[]): void {
  const isFew = (bucket: Bucket, beside: Bucket | undefined) => beside !== undefined && bucket.points.length * 2 < beside.points.length;
  if (isFew(run.at(-1)!, run.at(-2))) {
    const { points } = run.pop()!;
    run.at(-1)!.points.push(...points);
  }
  if (isFew(run[0]!, run[1])) {
    const { points } = run.shift()!;
    run[0]!.points.unshift(...points);
  }
}

/** The line of one series, with a value or null for each bucket. `begin` is the first point that is in a bucket. */
function lineOfSeries(
  times: readonly number[],
  { values, low = values, high = values }: Series,
  buckets: readonly Bucket[],
  begin: number,
  areRates: boolean,
): Buckets['lines'][number] {
  let before = 0;
  for (let i = begin - 1; i > 0 && before === 0; i--) if (values[i] !== null) before = i;
  const line = { mean: [] as (number | null)[], low: [] as (number | null)[], high: [] as (number | null)[] };
  for (const { points } of buckets) {
    let [sum, weights, least, most] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const i of points) {
      const value = values[i];
      if (value === null || value === undefined) continue;
      const weight = areRates && i > before ? times[i]! - times[before]! : 1;
      before = i;
      sum += value * weight;
      weights += weight;
      least = Math.min(least, low[i]!);
      most = Math.max(most, high[i]!);
    }
    line.mean.push(weights > 0 ? sum / weights : null);
    line.low.push(weights > 0 ? least : null);
    line.high.push(weights > 0 ? most : null);
  }
  return line;
}
