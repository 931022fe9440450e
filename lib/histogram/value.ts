// What a histogram has counted, as plain data. Pure.

import { edgesOf, GRID, type HistogramUnit, relativeErrorOf, type Scheme } from './scheme.ts';

/** A bucket that is not empty: the values `above < value <= upTo`, in the exported unit (seconds, bytes or one). */
export interface HistogramBucket {
  /** The lower edge. It is 0 for the zero bucket, which also has the value 0. */
  readonly above: number;
  /** The upper edge. The last bucket of the range also has all larger values. */
  readonly upTo: number;
  readonly count: bigint;
}

/** What the cells of a histogram hold. */
export interface HistogramParts {
  readonly sum: bigint;
  readonly min: bigint;
  readonly max: bigint;
  /** The count of each bucket; the zero bucket comes first. */
  readonly counts: ArrayLike<bigint>;
}

const edges = new WeakMap<Scheme, Float64Array>();

function knownEdges(scheme: Scheme): Float64Array {
  const known = edges.get(scheme) ?? edgesOf(scheme);
  edges.set(scheme, known);
  return known;
}

/**
 * What a histogram has counted up to a moment: plain, frozen data. The count is always the sum of the buckets. Buckets
 * are base-2 exponential, as in OpenTelemetry and in Prometheus' native histograms. `sum`, `min`, `max` and quantiles
 * are in `unit`, and edges are in the exported unit, which is the second for times.
 */
export class HistogramValue {
  /** How many values there are; modulo 2^64. */
  readonly count: bigint;
  /** The sum of all values, modulo 2^64. */
  readonly sum: bigint;
  /** The smallest and the largest value; 0 if there is none. */
  readonly min: bigint;
  readonly max: bigint;
  readonly unit: HistogramUnit;
  /** Each power of two has 2^scale buckets. */
  readonly scale: number;
  /** The upper edge of the zero bucket, in the exported unit, and the count of that bucket. */
  readonly zeroThreshold: number;
  readonly zeroCount: bigint;
  /**
   * The number of the first bucket in `bucketCounts`. Bucket `i` has the values above 2^(i / 2^scale), up to
   * 2^((i + 1) / 2^scale), in the exported unit.
   */
  readonly offset: number;
  /** The counts of the buckets, from the first bucket that is not empty to the last one. */
  readonly bucketCounts: readonly bigint[];
  readonly #scheme: Scheme;

  /** Only for this package: values come from `read()`, `snapshot()` and `readRegion()`. @internal */
  constructor(scheme: Scheme, { sum, min, max, counts }: HistogramParts) {
    const { unit, scale, first, buckets } = scheme;
    const zeroCount = counts[0]!;
    // The first and the last bucket that is not empty, without the zero bucket.
    let [begin, last] = [buckets, 0];
    let count = zeroCount;
    for (let bucket = 1; bucket < buckets; bucket++) {
      if (counts[bucket] === 0n) continue;
      if (bucket < begin) begin = bucket;
      last = bucket;
      count += counts[bucket]!;
    }
    const dense = Array.from({ length: Math.max(0, last - begin + 1) }, (_, i) => counts[begin + i]!);
    this.#scheme = scheme;
    this.count = BigInt.asUintN(64, count);
    this.sum = sum;
    [this.min, this.max] = count === 0n ? [0n, 0n] : extremes(scheme, zeroCount === 0n ? begin : 0, last, min, max);
    this.unit = unit;
    this.scale = scale;
    this.zeroThreshold = 2 ** (first / 2 ** scale);
    this.zeroCount = zeroCount;
    this.offset = dense.length === 0 ? 0 : first + begin - 1;
    this.bucketCounts = Object.freeze(dense);
    Object.freeze(this);
  }

  /** The mean of all values; NaN if there is none. */
  get mean(): number {
    return this.count === 0n ? Number.NaN : Number(this.sum) / Number(this.count);
  }

  /**
   * The value below which a share `q` of all values lies, in `unit`; NaN if there is no value. In the range of the
   * histogram, the result is within the relative error of the schema, and it is never outside `min` and `max`. Timers
   * measure nanoseconds, and `max` is rounded down to `us` or `ms`. Where that matters more than the relative error,
   * because `max` is small, the result can be above `max`, but is less than `max + 1`.
   * @param q From 0 to 1, so 0.99 for the 99th percentile.
   * @throws TypeError, RangeError for another `q`.
   */
  quantile(q: number): number {
    if (typeof q !== 'number') throw new TypeError(`quantile(): q must be a number; got ${typeof q}`);
    if (!(q >= 0 && q <= 1)) throw new RangeError(`quantile(): q must be from 0 to 1; got ${q}`);
    if (this.count === 0n) return Number.NaN;
    const rank = BigInt(Math.max(1, Math.ceil(q * Number(this.count))));
    const { first } = this.#scheme;
    let below = this.zeroCount;
    let bucket = 0;
    for (let i = 0; below < rank && i < this.bucketCounts.length; i++) {
      below += this.bucketCounts[i]!;
      bucket = this.offset - first + 1 + i;
    }
    return this.#within(bucket);
  }

  /** The buckets that are not empty, from the lowest to the highest. */
  buckets(): HistogramBucket[] {
    const edge = (index: number) => 2 ** (index / 2 ** this.scale);
    const zero = { above: 0, upTo: this.zeroThreshold, count: this.zeroCount };
    const others = this.bucketCounts.map((count, i) => ({ above: edge(this.offset + i), upTo: edge(this.offset + i + 1), count }));
    return [zero, ...others].filter(({ count }) => count !== 0n);
  }

  /**
   * What was counted after `earlier`, an earlier value of the same histogram. The minimum and maximum of that time are
   * not known: they are those of its buckets, within the minimum and maximum since the start.
   * @throws RangeError if `earlier` is not an earlier value of a histogram with the same buckets.
   */
  since(earlier: HistogramValue): HistogramValue {
    const [now, before] = [this.#counts(), this.#sameBuckets('since', earlier)];
    const counts = now.map((count, bucket) => count - before[bucket]!);
    if (counts.some((count) => count < 0n)) throw new RangeError('since(): the other value is not an earlier one of the same histogram');
    const sum = BigInt.asUintN(64, this.sum - earlier.sum);
    const lowest = counts.findIndex((count) => count !== 0n);
    if (lowest < 0) return valueFrom(this.#scheme, { sum, min: 0n, max: 0n, counts });
    const highest = counts.findLastIndex((count) => count !== 0n);
    const [least, most] = [boundsOf(this.#scheme, lowest).least, boundsOf(this.#scheme, highest, this.max).most];
    const min = least > this.min ? least : this.min;
    const max = most < this.max ? most : this.max;
    return valueFrom(this.#scheme, { sum, min, max, counts });
  }

  /**
   * Both values together, exactly: of several devices, or of several processes.
   * @throws RangeError if the other histogram has other buckets.
   */
  plus(other: HistogramValue): HistogramValue {
    const [ours, theirs] = [this.#counts(), this.#sameBuckets('plus', other)];
    const counts = ours.map((count, bucket) => BigInt.asUintN(64, count + theirs[bucket]!));
    const sum = BigInt.asUintN(64, this.sum + other.sum);
    const filled = [this, other].filter(({ count }) => count !== 0n);
    const min = filled.map((one) => one.min).reduce((a, b) => (b < a ? b : a), filled[0]?.min ?? 0n);
    const max = filled.map((one) => one.max).reduce((a, b) => (b > a ? b : a), 0n);
    return valueFrom(this.#scheme, { sum, min, max, counts });
  }

  /** The counts of all buckets. */
  #counts(): bigint[] {
    const { first, buckets } = this.#scheme;
    const counts = Array.from<bigint>({ length: buckets }).fill(0n);
    counts[0] = this.zeroCount;
    this.bucketCounts.forEach((count, i) => {
      counts[this.offset - first + 1 + i] = count;
    });
    return counts;
  }

  #sameBuckets(method: string, other: HistogramValue): bigint[] {
    if (!(typeof other === 'object' && other !== null && #scheme in other)) {
      throw new TypeError(`${method}(): the other value must be a HistogramValue`);
    }
    const text = ({ unit, scale, first, buckets }: Scheme) => `${buckets} buckets of scale ${scale} from ${first} on, in ${unit}`;
    if (text(this.#scheme) !== text(other.#scheme)) {
      throw new RangeError(`${method}(): the histograms have different buckets: ${text(this.#scheme)}, and ${text(other.#scheme)}`);
    }
    return other.#counts();
  }

  /** The harmonic middle of a bucket: no value of the bucket is further away than the relative error. */
  #within(bucket: number): number {
    const whole = knownEdges(this.#scheme);
    const { perUnit } = GRID[this.unit];
    const [min, max] = [Number(this.min), Number(this.max)].map((extreme) => extreme * perUnit) as [number, number];
    // The largest value is less than max + 1. If no number in between is further from max than the relative error, the
    // result is at most max, which readers see beside it.
    const end = perUnit <= relativeErrorOf(this.scale) * (max + perUnit) ? max : max + perUnit - 1;
    const isLast = bucket === whole.length - 1;
    const high = isLast ? Math.max(whole[bucket]!, end) : whole[bucket]!;
    const low = bucket === 0 ? 0 : whole[bucket - 1]! + 1;
    const middle = low === 0 ? high / 2 : (2 * low * high) / (low + high);
    return Math.min(Math.max(middle, min), end) / perUnit;
  }
}

// Outside the class: a class that names itself would get another name in the bundle.
function valueFrom(scheme: Scheme, parts: HistogramParts): HistogramValue {
  return new HistogramValue(scheme, parts);
}

/** The least and the largest whole number of the unit that a value of the bucket can have. */
function boundsOf(scheme: Scheme, bucket: number, max = 0n): { least: bigint; most: bigint } {
  const whole = knownEdges(scheme);
  const { perUnit } = GRID[scheme.unit];
  const inUnit = (value: number) => BigInt(Math.floor(value / perUnit));
  const most = inUnit(whole[bucket]!);
  return {
    least: bucket === 0 ? 0n : inUnit(whole[bucket - 1]! + 1),
    most: bucket === whole.length - 1 && max > most ? max : most,
  };
}

/**
 * Extremes that no value is outside of. Those that were read may be of another moment than the buckets, and the
 * aggregate of devices has the buckets, but not the extremes, of removed devices.
 */
function extremes(scheme: Scheme, lowest: number, highest: number, min: bigint, max: bigint): [bigint, bigint] {
  const low = boundsOf(scheme, lowest, max);
  const high = boundsOf(scheme, highest, max);
  const most = max < high.least ? high.most : max;
  const least = min > low.most ? low.least : min;
  return [least, most];
}
