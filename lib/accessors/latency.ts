// Durations: a minimum, a maximum and a sum. Each way in which a thread can write has its own class.

import { checkedMeasure } from '../arguments.ts';
import { INSPECT, type InspectArguments } from '../inspected.ts';
import { LATENCY_COUNT, LATENCY_MAX, LATENCY_MIN, LATENCY_SUM } from '../layout.ts';
import type { ThreadCells } from '../thread-cells.ts';
import type { IncMetric } from './inc.ts';
import { CounterReader, GaugeReader, MOVE, type Movable, minimum } from './reader.ts';
import { type LatencyRecord, type Observer, startRecord } from './record.ts';
import type { StoreMetric } from './store.ts';

/**
 * Durations, in microseconds. Modelled on Firecracker's `LatencyAggregateMetrics`, but a minimum may be 0 us here.
 *
 * As thread-safe as `IncMetric`. The three parts are not updated in one step: a line may have a duration in the sum
 * that is not yet in the maximum.
 */
export interface LatencyMetric {
  /** The shortest duration since the store was opened, in microseconds; 0 before the first. */
  readonly min_us: Readonly<Pick<StoreMetric, 'fetch'>>;
  /** The longest duration since the store was opened, in microseconds; 0 before the first. */
  readonly max_us: Readonly<Pick<StoreMetric, 'fetch'>>;
  /** The sum of all durations, in microseconds. */
  readonly sum_us: Readonly<Pick<IncMetric, 'count' | 'fetchDiff'>>;
  /**
   * Records one duration, in microseconds. A fraction is rounded to the nearest whole microsecond.
   * @throws TypeError, RangeError for anything but a number from 0 to 2^53-1, or a bigint up to 2^64-1; nothing changes
   * then.
   */
  observe(us: number | bigint): void;
  /**
   * Starts timing, by CLOCK_MONOTONIC. The duration is recorded by `end()`, or when the record is disposed:
   * `using _ = metric.record()`. A loop that times each round calls `lap()`.
   *
   * Durations are measured in nanoseconds. In the extremes they are rounded down to whole microseconds. The sum is
   * rounded down as a whole, by at most a microsecond for each thread: it is right for many short durations too.
   */
  record(): LatencyRecord;
}

abstract class LatencyBase implements LatencyMetric, Observer, Movable {
  readonly min_us: GaugeReader;
  readonly max_us: GaugeReader;
  readonly sum_us: CounterReader;
  /** The nanoseconds that records have measured and the sum does not contain yet: less than a microsecond. */
  protected restNs = 0;

  constructor(cells: ThreadCells, cell: number) {
    this.min_us = new GaugeReader(cells, cell, minimum);
    this.max_us = new GaugeReader(cells, cell + LATENCY_MAX);
    this.sum_us = new CounterReader(cells, cell + LATENCY_SUM);
  }

  record(): LatencyRecord {
    return startRecord(this);
  }

  [MOVE](cells: ThreadCells, cell: number): void {
    this.min_us[MOVE](cells, cell);
    this.max_us[MOVE](cells, cell + LATENCY_MAX);
    this.sum_us[MOVE](cells, cell + LATENCY_SUM);
  }

  [INSPECT](...how: InspectArguments): string {
    const values = () => ({ min_us: this.min_us.fetch(), max_us: this.max_us.fetch(), sum_us: this.sum_us.count() });
    return this.min_us.inspectedLatency(values, how);
  }

  observeShortNs(ns: number): void {
    const sumNs = (ns + this.restNs) >>> 0;
    const sumUs = (sumNs / 1000) | 0;
    this.restNs = (sumNs - sumUs * 1000) | 0;
    this.take(((ns >>> 0) / 1000) | 0, sumUs);
  }

  observeLongNs(ns: number): void {
    const sumNs = ns + this.restNs;
    this.restNs = (sumNs % 1000) | 0; // without `| 0`, V8 would keep a double from here on, and be slower
    this.takeLong(BigInt(Math.floor(ns / 1000)), BigInt(Math.floor(sumNs / 1000)));
  }

  observe(us: number | bigint): void {
    const value = checkedMeasure('observe(): us', us);
    this.takeLong(value, value);
  }

  /** Takes `us` into the extremes, and adds `sumUs` to the sum. Both are below 2^32. */
  protected take(us: number, sumUs: number): void {
    this.takeLong(BigInt(us), BigInt(sumUs));
  }
  /** The same for numbers of any size. */
  protected abstract takeLong(us: bigint, sumUs: bigint): void;
}

/** The cell of a minimum holds the minimum's complement, so a shorter duration raises the cell. */
export function complementOf(value: bigint): bigint {
  return BigInt.asUintN(64, ~value);
}

/** Durations below this, which is 18 minutes, take the fast path. V8 keeps such numbers in words. */
const SHORT_US = 0x4000_0000;

/** The largest microsecond whose nanoseconds are below 2^31. */
const SHORT_NS_US = 2_147_483;

const NO_CELLS = new BigUint64Array(0);
const NO_HALVES = new Int32Array(0);

export class OwnLatency extends LatencyBase {
  // V8 remembers what a field held from the beginning, and then needs no check when it reads the field.
  #view: BigUint64Array = NO_CELLS;
  #index = 0;
  #sumIndex = 0;
  #countIndex = 0;
  #halves: Int32Array = NO_HALVES;
  /**
   * The index of the upper half of the minimum's cell. The half is 0 before the first duration, because the cell holds
   * the complement.
   */
  #minHigh = 0;
  // The extremes as small integers, at most SHORT_US: comparing them costs a fraction of comparing BigInts. Only this
  // object changes the cells. But memory that a region loses comes back as 0, so one half of a cell is checked too.
  #min = SHORT_US;
  #max = 0;
  // The durations that change no extreme, in nanoseconds: the shortest of them, and how many there are.
  #minNs = 0;
  #spanNs = 0;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#map(cells, cell);
  }

  override observe(us: number | bigint): void {
    if (typeof us === 'number' && (us & 0x3fff_ffff) === us) {
      this.take(us, us);
      return;
    }
    const value = checkedMeasure('observe(): us', us);
    this.takeLong(value, value);
  }

  override observeShortNs(ns: number): void {
    if ((ns - this.#minNs) >>> 0 >= this.#spanNs || this.#halves[this.#minHigh] === 0) this.#raise((ns / 1000) | 0);
    const sumNs = (ns + this.restNs) >>> 0;
    const sumUs = (sumNs / 1000) | 0;
    this.restNs = (sumNs - sumUs * 1000) | 0;
    this.#view[this.#sumIndex]! += BigInt(sumUs >>> 0);
    this.#view[this.#countIndex]! += 1n;
  }

  protected override take(us: number, sumUs: number): void {
    if (us < this.#min || us > this.#max || this.#halves[this.#minHigh] === 0) this.#raise(us);
    this.#view[this.#sumIndex]! += BigInt(sumUs >>> 0);
    this.#view[this.#countIndex]! += 1n;
  }

  protected override takeLong(us: bigint, sumUs: bigint): void {
    this.#raise(us);
    this.#view[this.#sumIndex]! += sumUs;
    this.#view[this.#countIndex]! += 1n;
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#map(cells, cell);
    this.#min = SHORT_US;
    this.#max = 0;
    this.#spanNs = 0;
  }

  #map(cells: ThreadCells, cell: number): void {
    ({ view: this.#view, index: this.#index, halves: this.#halves } = cells.own(cell));
    this.#sumIndex = this.#index + LATENCY_SUM;
    this.#countIndex = this.#index + LATENCY_COUNT;
    this.#minHigh = 2 * (this.#index + LATENCY_MIN) + 1;
  }

  #raise(us: number | bigint): void {
    const view = this.#view;
    const value = BigInt(us);
    const complement = complementOf(value);
    if (complement > view[this.#index + LATENCY_MIN]!) view[this.#index + LATENCY_MIN] = complement;
    if (value > view[this.#index + LATENCY_MAX]!) view[this.#index + LATENCY_MAX] = value;
    // Read back, because the shard may have extremes from a thread that used it before.
    this.#min = Math.min(Number(complementOf(view[this.#index + LATENCY_MIN]!)), SHORT_US) | 0;
    this.#max = Math.min(Number(view[this.#index + LATENCY_MAX]!), SHORT_US) | 0;
    this.#minNs = (Math.min(this.#min, SHORT_NS_US) * 1000) | 0;
    this.#spanNs = (Math.min(this.#max + 1, SHORT_NS_US) * 1000 - this.#minNs) | 0;
  }
}

export class SharedLatency extends LatencyBase {
  #view!: BigUint64Array;
  #index!: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#map(cells, cell);
  }

  protected override takeLong(us: bigint, sumUs: bigint): void {
    raiseShared(this.#view, this.#index + LATENCY_MIN, complementOf(us));
    raiseShared(this.#view, this.#index + LATENCY_MAX, us);
    Atomics.add(this.#view, this.#index + LATENCY_SUM, sumUs);
    Atomics.add(this.#view, this.#index + LATENCY_COUNT, 1n);
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#map(cells, cell);
  }

  #map(cells: ThreadCells, cell: number): void {
    ({ view: this.#view, index: this.#index } = cells.shared(cell));
  }
}

/** Raises a cell that other threads write too. */
export function raiseShared(view: BigUint64Array, at: number, value: bigint): void {
  for (let now = Atomics.load(view, at); value > now; ) {
    const seen = Atomics.compareExchange(view, at, now, value);
    if (seen === now) return;
    now = seen;
  }
}

export class NativeLatency extends LatencyBase {
  readonly #cells: ThreadCells;
  #cell: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    this.#cell = cell;
  }

  protected override takeLong(us: bigint, sumUs: bigint): void {
    const { writer } = this.#cells;
    writer.raise(this.#cell + LATENCY_MIN, complementOf(us));
    writer.raise(this.#cell + LATENCY_MAX, us);
    writer.add(this.#cell + LATENCY_SUM, sumUs);
    writer.add(this.#cell + LATENCY_COUNT, 1n);
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#cell = cell;
  }
}
