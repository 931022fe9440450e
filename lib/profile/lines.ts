// The lines and bands of a chart: what a given number of pixels can show. Pure. The page takes the functions as text,
// so they use nothing from outside themselves.

import type { Buckets, bucketsOf } from './buckets.ts';
import type { Chart } from './series.ts';

/** A range of time, in seconds. */
export interface TimeRange {
  readonly min: number;
  readonly max: number;
}

/**
 * The points of a chart; where they are too close to be told apart, their buckets. If the lines have times of their
 * own, the result has all these times, and a line is undefined where only others have a point.
 */
export function linesOf(
  gather: typeof bucketsOf,
  times: readonly (readonly number[])[],
  { series, areRates }: Pick<Chart, 'series' | 'areRates'>,
  { min, max }: TimeRange,
  pixels: number,
): Buckets {
  // Points that are closer than this go into buckets, which have at least this width and this many points.
  const [pointPixels, bucketPixels, bucketPoints] = [3, 4, 3];
  const clocks = [...new Set(series.map(({ clock }) => clock))];
  const counts = clocks.map((clock) => times[clock]!.reduce((count, time) => count + (time >= min && time <= max ? 1 : 0), 0));
  const points = counts.reduce((a, b) => Math.max(a, b), 0);
  const least = (max - min) * Math.max(bucketPixels / pixels, bucketPoints / points);
  // Rounded up to 1, 2, 5, 10, 20 and so on, so that a bucket lasts for a round time.
  const power = 10 ** Math.floor(Math.log10(least));
  const width = (([1, 2, 5] as const).find((digit) => digit * power >= least) ?? 10) * power;
  const parts = clocks.map((clock): Buckets => {
    const own = series.filter((one) => one.clock === clock);
    if (points * pointPixels > pixels) return gather(times[clock]!, own, { from: min, to: max, width, areRates });
    return { times: times[clock]!, lines: own.map(({ values, low = values, high = values }) => ({ mean: values, low, high })) };
  });
  if (parts.length === 1) return parts[0]!;

  const all = [...new Set(parts.flatMap((part) => part.times))].sort((a, b) => a - b);
  const placeOf = new Map(all.map((time, i) => [time, i]));
  const nextOf = clocks.map(() => 0);
  const lines = series.map(({ clock }) => {
    const k = clocks.indexOf(clock);
    const part = parts[k]!;
    const line = part.lines[nextOf[k]!++]!;
    const spread = (values: Buckets['lines'][number]['mean']) => {
      const result = new Array<number | null | undefined>(all.length).fill(undefined);
      part.times.forEach((time, i) => {
        result[placeOf.get(time)!] = values[i];
      });
      return result;
    };
    return { mean: spread(line.mean), low: spread(line.low), high: spread(line.high) };
  });
  return { times: all, lines };
}

/**
 * The dashes of each line; undefined for a solid line. Where lines coincide, the first one is solid, and each later one
 * covers less of it, so that their colours alternate. There are `colors` different ones.
 */
export function dashesOf({ lines }: Buckets, colors: number): (number[] | undefined)[] {
  const [dashPixels, repeatedColor] = [10, [6, 3]];
  const all = lines.flatMap(({ low, high }) => [...low, ...high]).filter((value) => typeof value === 'number');
  const tolerance = (all.reduce((a, b) => Math.max(a, b), 0) - all.reduce((a, b) => Math.min(a, b), 0)) / 100;
  const coincide = (a: Buckets['lines'][number], b: Buckets['lines'][number]) => {
    const both = [...a.mean.keys()].filter((i) => typeof a.mean[i] === 'number' && typeof b.mean[i] === 'number');
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
