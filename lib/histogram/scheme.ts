// Which buckets a histogram has: base-2 exponential ones, as OpenTelemetry and Prometheus' native histograms have them.
// The edges are powers of 2^(2^-scale) of the unit that metrics are exported in: the second, the byte, or one. So an
// exporter needs no conversion. Pure.

/** The unit of a histogram's values. */
export type HistogramUnit = 'ns' | 'us' | 'ms' | 'bytes' | 'count';

/** The buckets of a histogram. Two histograms with the same four facts have the same buckets. */
export interface Scheme {
  readonly unit: HistogramUnit;
  /** Each power of two has 2^scale buckets. */
  readonly scale: number;
  /** The zero bucket has the values up to the edge of this index; edge `i` is 2^(i / 2^scale) in the exported unit. */
  readonly first: number;
  /** The number of buckets with the zero bucket. The last one also has everything above its upper edge. */
  readonly buckets: number;
}

/** What a schema may say about the buckets. All numbers are in the unit of the histogram. */
export interface SchemeOptions {
  /** The largest relative error of a quantile. Default: 0.05. */
  readonly relativeError?: number | undefined;
  /** The smallest value that is told apart from 0. Default: 100 ns for times, otherwise 1. */
  readonly min?: number | undefined;
  /** The largest value whose quantiles are within the relative error. Default: 1,000 s for times, otherwise 2^30. */
  readonly max?: number | undefined;
}

/**
 * How exactly values are sorted into buckets: in nanoseconds for times, otherwise in their unit. `perUnit` of these are
 * one unit of the values, and `perBase` are one exported unit.
 */
export const GRID: Readonly<Record<HistogramUnit, { readonly perUnit: number; readonly perBase: number }>> = {
  ns: { perUnit: 1, perBase: 1e9 },
  us: { perUnit: 1e3, perBase: 1e9 },
  ms: { perUnit: 1e6, perBase: 1e9 },
  bytes: { perUnit: 1, perBase: 1 },
  count: { perUnit: 1, perBase: 1 },
};

/** As many as fit beside the other cells of a metric: all cells of a metric are in one run of 512. */
export const BUCKETS_MAX = 508;

/** Values are sorted by 44 of their bits: 4.8 hours in nanoseconds. */
export const VALUE_BITS = 44;

const RELATIVE_ERROR = 0.05;
/** No scale above this one could have an octave of buckets. */
const SCALE_MAX = 9;

const defaultMin = (unit: HistogramUnit) => (GRID[unit].perBase === 1 ? 1 : 100 / GRID[unit].perUnit);
const defaultMax = (unit: HistogramUnit) => (GRID[unit].perBase === 1 ? 2 ** 30 : 1e12 / GRID[unit].perUnit);

/** The largest relative error that buckets of this scale allow, when a value is estimated by the harmonic middle. */
export function relativeErrorOf(scale: number): number {
  const growth = 2 ** (2 ** -scale);
  return (growth - 1) / (growth + 1);
}

/**
 * The buckets that the options ask for.
 * @throws RangeError that says what fits, if the options ask for more buckets than fit, or make no sense.
 */
export function schemeOf(unit: HistogramUnit, options: SchemeOptions = {}): Scheme {
  const { relativeError = RELATIVE_ERROR, min = defaultMin(unit), max = defaultMax(unit) } = options;
  const { perUnit, perBase } = GRID[unit];
  const greatest = 2 ** VALUE_BITS / perUnit;
  if (!(min < max)) throw new RangeError(`min must be less than max; got min ${min} and max ${max} ${unit}`);
  if (max >= greatest) throw new RangeError(`max must be less than ${greatest} ${unit}; got ${max}`);
  let scale = 0;
  while (scale < SCALE_MAX && relativeErrorOf(scale) > relativeError) scale++;
  const schemeAt = (at: number): Scheme => {
    const first = indexBelow((min * perUnit) / perBase, at);
    return { unit, scale: at, first, buckets: indexFrom(Math.ceil(max * perUnit) / perBase, at) - first + 1 };
  };
  const scheme = schemeAt(scale);
  if (scheme.buckets <= BUCKETS_MAX && relativeErrorOf(scale) <= relativeError) return scheme;
  throw new RangeError(`${needsTooMany(scheme, relativeError, min, max)}; ${whatFits(schemeAt, scale, min)}`);
}

function needsTooMany({ unit, scale, buckets }: Scheme, relativeError: number, min: number, max: number): string {
  const more = relativeErrorOf(scale) > relativeError ? `more than ${buckets}` : `${buckets}`;
  return `a relative error of ${relativeError} from ${min} to ${max} ${unit} needs ${more} buckets, and a histogram has room for ${BUCKETS_MAX}`;
}

function whatFits(schemeAt: (scale: number) => Scheme, scale: number, min: number): string {
  let fitting = scale;
  while (fitting > 0 && schemeAt(fitting).buckets > BUCKETS_MAX) fitting--;
  const { unit } = schemeAt(scale);
  const largest = min * 2 ** ((BUCKETS_MAX - 3) / 2 ** scale);
  // Both are rounded to the safe side, to two digits or more.
  const error = Math.ceil(relativeErrorOf(fitting) * 1e4) / 1e4;
  const step = 10 ** Math.max(-9, Math.floor(Math.log10(largest)) - 1);
  const { perUnit } = GRID[unit];
  const most = Math.floor(Number((Math.floor(largest / step) * step).toPrecision(12)) * perUnit) / perUnit;
  return `${error} fits into this range, or with this relative error a max of ${most} ${unit}`;
}

/** An index is exact if the number is on an edge, although Math.log2() rounds. */
function nearestIndex(value: number, scale: number): number {
  const index = Math.log2(value) * 2 ** scale;
  const nearest = Math.round(index);
  return Math.abs(index - nearest) < 1e-9 ? nearest : index;
}

/** The index of the last edge below the value. */
function indexBelow(value: number, scale: number): number {
  return Math.ceil(nearestIndex(value, scale)) - 1;
}

/** The index of the first edge that is not below the value. */
function indexFrom(value: number, scale: number): number {
  return Math.ceil(nearestIndex(value, scale));
}

/**
 * The upper edge of each bucket, rounded down to whole numbers of the grid. That is exact: a whole number is at most
 * the edge if it is at most the edge rounded down.
 */
export function edgesOf({ unit, scale, first, buckets }: Scheme): Float64Array {
  const { perBase } = GRID[unit];
  return Float64Array.from({ length: buckets }, (_, i) => wholeEdge(first + i, scale, perBase));
}

/** floor(perBase * 2^(index / 2^scale)) */
function wholeEdge(index: number, scale: number, perBase: number): number {
  const near = perBase * 2 ** (index / 2 ** scale);
  const whole = Math.round(near);
  // Powers are not exact, and differ in their last bit between versions of V8. Near a whole number, integers decide.
  if (Math.abs(near - whole) > 2 ** -6) return Math.floor(near);
  return isAtMostEdge(whole, index, scale, perBase) ? whole : whole - 1;
}

/** Whether whole <= perBase * 2^(index / 2^scale), by exact arithmetic. */
function isAtMostEdge(whole: number, index: number, scale: number, perBase: number): boolean {
  const power = BigInt(2 ** scale);
  const [left, right] = [BigInt(whole) ** power, BigInt(perBase) ** power];
  return index >= 0 ? left <= right << BigInt(index) : left << BigInt(-index) <= right;
}
