// The lines and bands of a chart: what a given number of pixels can show. Pure. The page takes the functions as text,
// so they use nothing from outside themselves.

import type { Buckets, bucketsOf } from './buckets.ts';
import type { Chart } from './series.ts';

/** A range of time, in seconds. */
export interface TimeRange {
  readonly min: number;
  readonly max: number;
}

/** The points of a chart; where they are too close to be told apart, their buckets. */
export function linesOf(
  gather: typeof bucketsOf,
  times: readonly number[],
  { series, areRates }: Chart,
  { min, max }: TimeRange,
  pixels: number,
): Buckets {
  // Points that are closer than this go into buckets, which have at least this width and this many points.
  const [pointPixels, bucketPixels, bucketPoints] = [3, 4, 3];
  const points = times.reduce((count, time) => count + (time >= min && time <= max ? 1 : 0), 0);
  if (points * pointPixels > pixels) {
    const least = (max - min) * Math.max(bucketPixels / pixels, bucketPoints / points);
    // Rounded up to 1, 2, 5, 10, 20 and so on, so that a bucket lasts for a round time.
    const power = 10 ** Math.floor(Math.log10(least));
    const width = (([1, 2, 5] as const).find((digit) => digit * power >= least) ?? 10) * power;
    return gather(times, series, { from: min, to: max, width, areRates });
  }
  const lines = series.map(({ values, low = values, high = values }) => ({ mean: values, low, high }));
  return { times, lines };
}

/**
 * The dashes of each line; undefined for a solid line. Where lines coincide, the first one is solid, and each later one
 * covers less of it, so that their colours alternate. There are `colors` different ones.
 */
export function dashesOf({ lines }: Buckets, colors: number): (number[] | undefined)[] {
  const [dashPixels, repeatedColor] = [10, [6, 3]];
  const all = lines.flatMap(({ low, high }) => [...low, ...high]).filter((value) => value !== null);
  const tolerance = (all.reduce((a, b) => Math.max(a, b), 0) - all.reduce((a, b) => Math.min(a, b), 0)) / 100;
  const coincide = (a: Buckets['lines'][number], b: Buckets['lines'][number]) => {
    const both = [...a.mean.keys()].filter((i) => a.mean[i] !== null && b.mean[i] !== null);
    const near = both.filter((i) => Math.abs(a.mean[i]! - b.mean[i]!) <= tolerance);
    return near.length > 0 && near.length * 2 >= both.length;
  };
  const firsts = lines.map((line, i) => lines.findIndex((other, j) => j === i || (j < i && coincide(other, line))));
  return lines.map((_, i) => {
    const alike = [...firsts.keys()].filter((j) => firsts[j] === firsts[i]);
    const place = alike.indexOf(i);
    if (place > 0) return [(alike.length - place) * dashPixels, place * dashPixels];
    return i < colors ? undefined : repeatedColor;
  });
}
