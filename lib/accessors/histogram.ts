// Distributions: a minimum, a maximum, a sum, a count, and buckets. A latency with a hidden histogram and a histogram
// of its own are written in the same way. Each way in which a thread can write has its own class.

import { checkedMeasure } from '../arguments.ts';
import { type BucketIndex, bucketIndexOf, bucketOf } from '../histogram/bucket-index.ts';
import type { Scheme } from '../histogram/scheme.ts';
import type { HistogramValue } from '../histogram/value.ts';
import { INSPECT, type InspectArguments, inspectedAccessor } from '../inspected.ts';
import { FIRST_BUCKET, LATENCY_COUNT, LATENCY_MAX, LATENCY_MIN, LATENCY_SUM, minimumOf } from '../layout.ts';
import type { ThreadCells } from '../thread-cells.ts';
import { histogramOf } from '../values.ts';
import { complementOf, type LatencyMetric, raiseShared } from './latency.ts';
import { CounterReader, GaugeReader, MOVE, type Movable, minimum } from './reader.ts';
import { type LatencyRecord, type Observer, startRecord } from './record.ts';

/**
 * The distribution of any values. As thread-safe as `IncMetric`. The parts are not updated in one step, but the count
 * is always the sum of the buckets.
 */
export interface HistogramMetric {
  /**
   * Records one value, in the unit of the histogram. A fraction is rounded to the nearest whole number.
   * @throws TypeError, RangeError for anything but a number from 0 to 2^53, or a bigint up to 2^64-1; nothing changes
   * then.
   */
  observe(value: number | bigint): void;
  /**
   * Starts timing, as `record()` of a latency. Buckets get durations in nanoseconds, whatever the unit is.
   * @throws TypeError if the unit is not a time.
   */
  record(): LatencyRecord;
  /** What all threads have counted since the store was opened. */
  read(): HistogramValue;
}

/** A latency with a hidden histogram. */
export interface LatencyHistogramMetric extends LatencyMetric {
  /** What all threads have counted since the store was opened. */
  read(): HistogramValue;
}

/** Values below this take the fast path. V8 keeps such numbers in words. */
const SHORT = 0x4000_0000;

abstract class HistogramBase implements HistogramMetric, Observer, Movable {
  protected readonly index: BucketIndex;
  readonly #cells: ThreadCells;
  #cell: number;
  readonly #perUnit: number;
  /** What records have measured and the sum does not contain yet: less than one unit. */
  #restNs = 0;
  /** What was counted before a move, minus what the new cells had then. */
  #before: { readonly old: HistogramValue; readonly rest: HistogramValue } | undefined;

  constructor(cells: ThreadCells, cell: number, scheme: Scheme) {
    this.index = bucketIndexOf(scheme);
    this.#cells = cells;
    this.#cell = cell;
    this.#perUnit = this.index.perUnit;
  }

  observe(value: number | bigint): void {
    const whole = checkedMeasure('observe(): value', value);
    this.takeLong(whole, whole, bucketOf(this.index, Number(whole) * this.#perUnit));
  }

  record(): LatencyRecord {
    const { unit } = this.index.scheme;
    if (unit === 'bytes' || unit === 'count') throw new TypeError(`record(): a histogram with the unit '${unit}' has no durations`);
    return startRecord(this);
  }

  read(): HistogramValue {
    const now = this.#readCells();
    return this.#before === undefined ? now : this.#before.old.plus(now.since(this.#before.rest));
  }

  observeShortNs(ns: number): void {
    const perUnit = this.#perUnit;
    const sumNs = ns + this.#restNs;
    const sum = Math.floor(sumNs / perUnit);
    this.#restNs = sumNs - sum * perUnit;
    const value = Math.floor(ns / perUnit);
    if (sum < SHORT) this.take(value, sum, ns);
    else this.takeLong(BigInt(value), BigInt(sum), bucketOf(this.index, ns));
  }

  observeLongNs(ns: number): void {
    const perUnit = this.#perUnit;
    const sumNs = ns + this.#restNs;
    this.#restNs = sumNs % perUnit;
    this.takeLong(BigInt(Math.floor(ns / perUnit)), BigInt(Math.floor(sumNs / perUnit)), bucketOf(this.index, ns));
  }

  [MOVE](_cells: ThreadCells, cell: number): void {
    const old = this.read();
    this.#cell = cell;
    this.#before = { old, rest: this.#readCells() };
  }

  [INSPECT](...how: InspectArguments): string {
    const values = () => {
      const read = this.read();
      const { unit, count, sum, min, max } = read;
      return { unit, count, sum, min, max, ...(count > 0n && { p50: read.quantile(0.5), p99: read.quantile(0.99) }) };
    };
    return inspectedAccessor('HistogramMetric', this.#cells, this.#cell, false, values, how);
  }

  /** Takes `value` into the extremes, adds `sum` to the sum, and counts `inBuckets`. The first two are below SHORT. */
  protected abstract take(value: number, sum: number, inBuckets: number): void;
  protected abstract takeLong(value: bigint, sum: bigint, bucket: number): void;

  #readCells(): HistogramValue {
    const { scheme } = this.index;
    const totals = this.#cells.attachment.totals(this.#cell, FIRST_BUCKET + scheme.buckets);
    const [max, sum] = [totals[LATENCY_MAX]!, totals[LATENCY_SUM]!];
    const min = minimumOf(totals[LATENCY_MIN]!, max);
    return histogramOf(scheme, { min, max, sum }, (part) => totals[part]!);
  }
}

export class OwnHistogram extends HistogramBase {
  // Fields that begin as numbers stay numbers for V8, which then needs no check when it reads them.
  #view!: BigUint64Array;
  #first = 0;
  #sumIndex = 0;
  #countIndex = 0;
  #bucketIndex = 0;
  #halves!: Int32Array;
  /** As in OwnLatency. */
  #minHigh = 0;
  #min = SHORT;
  #max = 0;
  // What bucketOf() uses, one load away.
  readonly #table: Float64Array;
  readonly #shift: number;
  readonly #base: number;
  readonly #limit: number;
  readonly #scale: number;

  constructor(cells: ThreadCells, cell: number, scheme: Scheme) {
    super(cells, cell, scheme);
    const { table, shift, base, limit, perUnit } = this.index;
    this.#table = table;
    this.#shift = shift;
    this.#base = base;
    this.#limit = limit;
    this.#scale = perUnit;
    this.#map(cells, cell);
  }

  override observe(value: number | bigint): void {
    if (typeof value === 'number' && (value & 0x3fff_ffff) === value) this.take(value, value, value * this.#scale);
    else super.observe(value);
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#map(cells, cell);
    this.#min = SHORT;
    this.#max = 0;
  }

  protected override take(value: number, sum: number, inBuckets: number): void {
    if (value < this.#min || value > this.#max || this.#halves[this.#minHigh] === 0) this.#raise(BigInt(value));
    const view = this.#view;
    view[this.#sumIndex]! += BigInt(sum >>> 0);
    view[this.#countIndex]! += 1n;
    // As in bucketOf().
    const inside = inBuckets < this.#limit ? inBuckets : this.#limit;
    float[0] = inside + 1;
    const entry = this.#table[(floatHalves[1]! >>> this.#shift) - this.#base]!;
    view[this.#bucketIndex + (((entry + inside) * 2 ** -44) | 0)]! += 1n;
  }

  protected override takeLong(value: bigint, sum: bigint, bucket: number): void {
    this.#raise(value);
    this.#view[this.#sumIndex]! += sum;
    this.#view[this.#countIndex]! += 1n;
    this.#view[this.#bucketIndex + bucket]! += 1n;
  }

  #map(cells: ThreadCells, cell: number): void {
    ({ view: this.#view, index: this.#first, halves: this.#halves } = cells.own(cell));
    this.#sumIndex = this.#first + LATENCY_SUM;
    this.#countIndex = this.#first + LATENCY_COUNT;
    this.#bucketIndex = this.#first + FIRST_BUCKET;
    this.#minHigh = 2 * (this.#first + LATENCY_MIN) + 1;
  }

  #raise(value: bigint): void {
    const view = this.#view;
    const complement = complementOf(value);
    if (complement > view[this.#first + LATENCY_MIN]!) view[this.#first + LATENCY_MIN] = complement;
    if (value > view[this.#first + LATENCY_MAX]!) view[this.#first + LATENCY_MAX] = value;
    // Read back, because the shard may have extremes from a thread that used it before.
    this.#min = Math.min(Number(complementOf(view[this.#first + LATENCY_MIN]!)), SHORT) | 0;
    this.#max = Math.min(Number(view[this.#first + LATENCY_MAX]!), SHORT) | 0;
  }
}

const float = new Float64Array(1);
const floatHalves = new Int32Array(float.buffer);

export class SharedHistogram extends HistogramBase {
  #view!: BigUint64Array;
  #first!: number;

  constructor(cells: ThreadCells, cell: number, scheme: Scheme) {
    super(cells, cell, scheme);
    ({ view: this.#view, index: this.#first } = cells.shared(cell));
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    ({ view: this.#view, index: this.#first } = cells.shared(cell));
  }

  protected override take(value: number, sum: number, inBuckets: number): void {
    this.takeLong(BigInt(value), BigInt(sum), bucketOf(this.index, inBuckets));
  }

  protected override takeLong(value: bigint, sum: bigint, bucket: number): void {
    raiseShared(this.#view, this.#first + LATENCY_MIN, complementOf(value));
    raiseShared(this.#view, this.#first + LATENCY_MAX, value);
    Atomics.add(this.#view, this.#first + LATENCY_SUM, sum);
    Atomics.add(this.#view, this.#first + LATENCY_COUNT, 1n);
    Atomics.add(this.#view, this.#first + FIRST_BUCKET + bucket, 1n);
  }
}

export class NativeHistogram extends HistogramBase {
  readonly #threadCells: ThreadCells;
  #first: number;

  constructor(cells: ThreadCells, cell: number, scheme: Scheme) {
    super(cells, cell, scheme);
    this.#threadCells = cells;
    this.#first = cell;
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#first = cell;
  }

  protected override take(value: number, sum: number, inBuckets: number): void {
    this.takeLong(BigInt(value), BigInt(sum), bucketOf(this.index, inBuckets));
  }

  protected override takeLong(value: bigint, sum: bigint, bucket: number): void {
    const { writer } = this.#threadCells;
    writer.raise(this.#first + LATENCY_MIN, complementOf(value));
    writer.raise(this.#first + LATENCY_MAX, value);
    writer.add(this.#first + LATENCY_SUM, sum);
    writer.add(this.#first + LATENCY_COUNT, 1n);
    writer.add(this.#first + FIRST_BUCKET + bucket, 1n);
  }
}

type HistogramClass = new (cells: ThreadCells, cell: number, scheme: Scheme) => HistogramMetric & Movable;

/** The same class, with the parts that a latency has. */
function withParts<C extends HistogramClass>(
  Base: C,
): new (
  cells: ThreadCells,
  cell: number,
  scheme: Scheme,
) => LatencyHistogramMetric & Movable {
  // biome-ignore lint/suspicious/noExplicitAny: TypeScript asks for exactly this in a mixin.
  return class extends (Base as new (...args: any[]) => HistogramMetric & Movable) implements LatencyHistogramMetric {
    readonly min_us: GaugeReader;
    readonly max_us: GaugeReader;
    readonly sum_us: CounterReader;

    constructor(cells: ThreadCells, cell: number, scheme: Scheme) {
      super(cells, cell, scheme);
      this.min_us = new GaugeReader(cells, cell, minimum);
      this.max_us = new GaugeReader(cells, cell + LATENCY_MAX);
      this.sum_us = new CounterReader(cells, cell + LATENCY_SUM);
    }

    override [MOVE](cells: ThreadCells, cell: number): void {
      super[MOVE](cells, cell);
      this.min_us[MOVE](cells, cell);
      this.max_us[MOVE](cells, cell + LATENCY_MAX);
      this.sum_us[MOVE](cells, cell + LATENCY_SUM);
    }
  };
}

export const OwnLatencyHistogram = withParts(OwnHistogram);
export const SharedLatencyHistogram = withParts(SharedHistogram);
export const NativeLatencyHistogram = withParts(NativeHistogram);
