// What a schema says about distributions: latency(), histogram(), and their options. Pure.

import { checkedChoice, checkedNumber, checkedOptions, checkedText } from '../arguments.ts';
import { made } from '../made.ts';
import { type HistogramUnit, type Scheme, type SchemeOptions, schemeOf } from './scheme.ts';

/** The buckets of a latency's hidden histogram. */
export interface LatencyHistogram {
  /** The largest relative error of a quantile. Default: 0.05. */
  readonly relativeError?: number | undefined;
  /**
   * The longest duration whose quantiles are within the relative error, in microseconds. Default: 1,000 seconds. The
   * shortest one is 100 ns.
   */
  readonly max_us?: number | undefined;
}

/** The options of `latency()`. */
export interface LatencyOptions {
  /**
   * Whether durations are also sorted into buckets, which give quantiles: `read()`, `snapshot()` and `readRegion()`
   * have them. The line stays the same. Default: false.
   */
  readonly histogram?: boolean | LatencyHistogram | undefined;
}

/** What `latency()` returns. */
export interface LatencyDef {
  readonly kind: 'latency';
  readonly doc: string;
  readonly histogram?: true | LatencyHistogram;
}

/** A latency with a hidden histogram. */
export interface LatencyHistogramDef extends LatencyDef {
  readonly histogram: true | LatencyHistogram;
}

/** The options of `histogram()`. */
export interface HistogramOptions extends SchemeOptions {
  /** Default: the unit that the name ends in, or else `'count'`. */
  readonly unit?: HistogramUnit | undefined;
}

/** What `histogram()` returns. */
export interface HistogramDef extends HistogramOptions {
  readonly kind: 'histogram';
  readonly doc: string;
}

/**
 * Durations in microseconds, flushed as an object: `min_us` and `max_us` since the store was opened, and `sum_us` since
 * the last flush. `snapshot()` and the readers of region files also have the `count` of the durations, which no line
 * contains.
 *
 * With the option `histogram`, durations are also sorted into buckets, for quantiles. The line does not change.
 * @param doc What is timed, in words.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a wrong value.
 */
export function latency(doc: string): LatencyDef;
export function latency(doc: string, options: LatencyOptions & { readonly histogram: true | LatencyHistogram }): LatencyHistogramDef;
export function latency(doc: string, options?: LatencyOptions): LatencyDef;
export function latency(doc: string, options?: LatencyOptions): LatencyDef {
  const text = checkedText('latency(): doc', doc);
  return made({ kind: 'latency', doc: text, ...(options !== undefined && checkedLatencyOptions(options)) });
}

/**
 * The distribution of any values, such as sizes or durations. It is flushed as an object with its buckets:
 * `{"count":…,"sum":…,"min":…,"max":…,"scale":…,"zero_count":…,"offset":…,"bucket_counts":[…]}`. Count, sum and buckets
 * are deltas since the last flush; minimum and maximum are those since the store was opened. Bucket number `offset + i`
 * has the values above 2^((offset + i) / 2^scale), up to the next edge, in seconds, in bytes or in ones.
 *
 * ```ts
 * histogram('Size of a request', { unit: 'bytes', min: 64, max: 1 << 20 })
 * ```
 * @param doc What is measured, in words.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a wrong value. `defineSchema()` throws
 * MetricsError `ERR_METRICS_SCHEMA` if the range needs more buckets than fit, and says what fits.
 */
export function histogram(doc: string, options?: HistogramOptions): HistogramDef {
  return made({ kind: 'histogram', doc: checkedText('histogram(): doc', doc), ...checkedHistogramOptions(options) });
}

const UNITS: readonly HistogramUnit[] = ['count', 'bytes', 'ns', 'us', 'ms'];
const ERROR_MAX = 0.5;
const VALUE_MAX = 2 ** 53;

const given = <T extends object>(options: T): Partial<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;

/** The options of latency() that a definition keeps. */
function checkedLatencyOptions(options: LatencyOptions): { readonly histogram?: true | LatencyHistogram } {
  const { histogram } = checkedOptions<LatencyOptions>('latency()', options, ['histogram']);
  if (histogram === undefined || histogram === false) return {};
  if (histogram === true) return { histogram };
  const where = 'latency(): histogram';
  const { relativeError, max_us } = checkedOptions<LatencyHistogram>(where, histogram, ['relativeError', 'max_us']);
  if (relativeError !== undefined) checkedNumber(`${where}: relativeError`, relativeError, 0, ERROR_MAX);
  if (max_us !== undefined) checkedNumber(`${where}: max_us`, max_us, 0, VALUE_MAX);
  return { histogram: Object.freeze(given({ relativeError, max_us })) };
}

/** The options of histogram() that a definition keeps. */
function checkedHistogramOptions(options: HistogramOptions | undefined): HistogramOptions {
  const o = checkedOptions<HistogramOptions>('histogram()', options, ['unit', 'relativeError', 'min', 'max']);
  if (o.unit !== undefined) checkedChoice('histogram(): unit', o.unit, UNITS);
  if (o.relativeError !== undefined) checkedNumber('histogram(): relativeError', o.relativeError, 0, ERROR_MAX);
  if (o.min !== undefined) checkedNumber('histogram(): min', o.min, 0, VALUE_MAX);
  if (o.max !== undefined) checkedNumber('histogram(): max', o.max, 0, VALUE_MAX);
  return given(o);
}

/**
 * The buckets of a latency's histogram.
 * @throws RangeError that says what fits, if the options ask for more buckets than fit.
 */
export function latencyScheme(histogram: true | LatencyHistogram): Scheme {
  const { relativeError, max_us } = histogram === true ? ({} as LatencyHistogram) : histogram;
  return schemeOf('us', { relativeError, max: max_us });
}
