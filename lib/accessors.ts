// The objects that a VMM holds and bumps. Each kind of metric has an interface and, for each way a thread can write, a
// class: an inc() must stay one load, one add and one store.

import { checkedValue } from './arguments.ts';
import { DISPOSE } from './dispose.ts';
import { LATENCY_MAX, LATENCY_MIN, LATENCY_SUM, type MetricLayout, minimumOf } from './layout.ts';
import type { IncDef, LatencyDef, MetricDef, StoreDef } from './schema.ts';
import type { ThreadCells } from './thread-cells.ts';

/**
 * A counter. Only goes up, and wraps at 2^64. Firecracker's `IncMetric`.
 *
 * Thread-safe: each thread has an accessor of its own, and all count into one value. After `close()`, `inc` and `add`
 * do nothing and the rest throws `ERR_METRICS_CLOSED`.
 */
export interface IncMetric {
  /** Adds 1. About a nanosecond; allocates nothing. */
  inc(): void;
  /**
   * Adds `n`, an integer from 0 to 2^64-1.
   * @throws TypeError, RangeError for anything else; nothing is added then.
   */
  add(n: number | bigint): void;
  /** The value since the store was opened, over all threads. */
  count(): bigint;
  /** What came in since the last line that got out. */
  fetchDiff(): bigint;
}

/**
 * A gauge. Set to a value that stays until the next. Firecracker's `StoreMetric`.
 *
 * Thread-safe: the last `store` of any thread wins. After `close()`, `store` does nothing and `fetch` throws
 * `ERR_METRICS_CLOSED`.
 */
export interface StoreMetric {
  /** The value, an integer from 0 to 2^64-1; 0 until it is first set. */
  fetch(): bigint;
  /**
   * Sets the value.
   * @throws TypeError, RangeError for anything but an integer from 0 to 2^64-1; nothing changes then.
   */
  store(value: number | bigint): void;
}

/**
 * Durations, in microseconds. Firecracker's `LatencyAggregateMetrics`; but 0 us is a true minimum here.
 *
 * Thread-safe as `IncMetric`. The three parts are not updated together: a line may have the sum of one more than the
 * maximum.
 */
export interface LatencyMetric {
  /** The shortest since the store was opened; 0 while there was none. */
  readonly min_us: Readonly<Pick<StoreMetric, 'fetch'>>;
  /** The longest since the store was opened; 0 while there was none. */
  readonly max_us: Readonly<Pick<StoreMetric, 'fetch'>>;
  /** All of them together. */
  readonly sum_us: Readonly<Pick<IncMetric, 'count' | 'fetchDiff'>>;
  /**
   * Records one duration, in whole microseconds.
   * @throws TypeError, RangeError for anything but an integer from 0 to 2^64-1; nothing changes then.
   */
  observe(us: number | bigint): void;
  /**
   * Starts timing; the record ends when it is disposed: `using _ = metric.record()`. By CLOCK_MONOTONIC, in whole
   * microseconds.
   */
  record(): LatencyRecord;
}

/** One running measurement. Disposed twice it counts once. */
export interface LatencyRecord extends Disposable {}

/** The accessor that a metric's definition asks for. */
export type AccessorOf<D extends MetricDef> = D extends IncDef
  ? IncMetric
  : D extends StoreDef
    ? StoreMetric
    : D extends LatencyDef
      ? LatencyMetric
      : never;

/**
 * The accessors of fields. `prototype` is that of `throwsForUnknown()`: no field's name means something else, and a
 * name that is no field throws.
 */
export function accessorsOf(
  cells: ThreadCells,
  metrics: readonly MetricLayout[],
  firstCell: number,
  prototype: object,
): Record<string, unknown> {
  const accessors: Record<string, unknown> = Object.create(prototype);
  for (const { name, def, cell } of metrics) accessors[name] = accessorOf(cells, def, firstCell + cell);
  return Object.freeze(accessors);
}

/**
 * The device of these accessors was removed, and its cells are about to be another's: from now on they count in the
 * cells from `restCell` on, which are the group's for that. What they read stays what it was then; a count goes on from
 * there.
 */
export function letGo(accessors: Readonly<Record<string, unknown>>, metrics: readonly MetricLayout[], restCell: number): void {
  for (const { name, cell } of metrics) (accessors[name] as Movable)[MOVE](restCell + cell);
}

const MOVE = Symbol('move');

/** What letGo() does to each. */
interface Movable {
  [MOVE](cell: number): void;
}

export function accessorOf(cells: ThreadCells, def: MetricDef, cell: number): IncMetric | StoreMetric | LatencyMetric {
  const { inc, store, latency } = CLASSES[cells.mode];
  switch (def.kind) {
    case 'inc':
      return new inc(cells, cell);
    case 'store':
      return new store(cells, cell);
    case 'latency':
      return new latency(cells, cell);
  }
}

// ---- reading, the same for all

class IncReader implements Movable {
  readonly #cells: ThreadCells;
  #cell: number;
  /** What was counted elsewhere, modulo 2^64. */
  #before = 0n;

  constructor(cells: ThreadCells, cell: number) {
    this.#cells = cells;
    this.#cell = cell;
  }

  count(): bigint {
    return BigInt.asUintN(64, this.#before + this.#cells.attachment.total(this.#cell));
  }

  fetchDiff(): bigint {
    return this.#cells.attachment.pending(this.#cell);
  }

  [MOVE](cell: number): void {
    const count = this.count();
    this.#cell = cell;
    this.#before = 0n;
    this.#before = BigInt.asUintN(64, count - this.count());
  }
}

/** A value of its own, once its cell is another's. */
class StoreReader implements Movable {
  readonly #cells: ThreadCells;
  readonly #cell: number;
  #kept: BigUint64Array | undefined;

  constructor(cells: ThreadCells, cell: number) {
    this.#cells = cells;
    this.#cell = cell;
  }

  fetch(): bigint {
    const { attachment } = this.#cells;
    return this.#kept === undefined ? attachment.total(this.#cell) : this.#kept[0]!;
  }

  protected get kept(): BigUint64Array | undefined {
    return this.#kept;
  }

  [MOVE](_cell: number): void {
    this.#kept = BigUint64Array.of(this.fetch());
  }
}

class MinimumReader implements Movable {
  readonly #cells: ThreadCells;
  readonly #cell: number;
  #kept: bigint | undefined;

  constructor(cells: ThreadCells, firstCell: number) {
    this.#cells = cells;
    this.#cell = firstCell;
  }

  fetch(): bigint {
    const { attachment } = this.#cells;
    return this.#kept ?? minimumOf(attachment.total(this.#cell + LATENCY_MIN), attachment.total(this.#cell + LATENCY_MAX));
  }

  [MOVE](_cell: number): void {
    this.#kept = this.fetch();
  }
}

// ---- inc

class OwnInc extends IncReader implements IncMetric {
  readonly #cells: ThreadCells;
  #view: BigUint64Array;
  #index: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    ({ view: this.#view, index: this.#index } = cells.own(cell));
  }

  // `+= 1n` and not `++`: only the first is compiled to a plain 64-bit add without a BigInt.
  inc(): void {
    this.#view[this.#index]! += 1n;
  }

  add(n: number | bigint): void {
    if (typeof n === 'number' && n >>> 0 === n) {
      this.#view[this.#index]! += BigInt(n >>> 0); // a number that is known to have 32 bits needs no BigInt either
      return;
    }
    this.#view[this.#index]! += checkedValue('add(): n', n);
  }

  override [MOVE](cell: number): void {
    super[MOVE](cell);
    ({ view: this.#view, index: this.#index } = this.#cells.own(cell));
  }
}

class SharedInc extends IncReader implements IncMetric {
  readonly #cells: ThreadCells;
  #view: BigUint64Array;
  #index: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    ({ view: this.#view, index: this.#index } = cells.shared(cell));
  }

  inc(): void {
    Atomics.add(this.#view, this.#index, 1n);
  }

  add(n: number | bigint): void {
    Atomics.add(this.#view, this.#index, checkedValue('add(): n', n));
  }

  override [MOVE](cell: number): void {
    super[MOVE](cell);
    ({ view: this.#view, index: this.#index } = this.#cells.shared(cell));
  }
}

class NativeInc extends IncReader implements IncMetric {
  readonly #cells: ThreadCells;
  #cell: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    this.#cell = cell;
  }

  inc(): void {
    this.#cells.writer.add(this.#cell, 1n);
  }

  add(n: number | bigint): void {
    this.#cells.writer.add(this.#cell, checkedValue('add(): n', n));
  }

  override [MOVE](cell: number): void {
    super[MOVE](cell);
    this.#cell = cell;
  }
}

// ---- store: its one cell is in shard 0, whoever writes it. Of a device that was let go it is this object's, since
// nobody shows it.

class MappedStore extends StoreReader implements StoreMetric {
  #view: BigUint64Array;
  #index: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    ({ view: this.#view, index: this.#index } = cells.shared(cell));
  }

  store(value: number | bigint): void {
    this.#view[this.#index] = checkedValue('store(): value', value);
  }

  override [MOVE](cell: number): void {
    super[MOVE](cell);
    this.#view = this.kept!;
    this.#index = 0;
  }
}

class NativeStore extends StoreReader implements StoreMetric {
  readonly #cells: ThreadCells;
  readonly #cell: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    this.#cell = cell;
  }

  store(value: number | bigint): void {
    const checked = checkedValue('store(): value', value);
    if (this.kept === undefined) this.#cells.writer.set(this.#cell, checked);
    else this.kept[0] = checked;
  }
}

// ---- latency

const hrtime = process.hrtime.bigint;
const clock = new BigUint64Array(1);
const clockHalves = new Uint32Array(clock.buffer);
const HALF = 0x1_0000_0000;

/** What a record needs of its metric: durations below 2^32 us, which is all but every one, take the short way. */
interface Observer {
  observe(us: number | bigint): void;
  observeShort(us: number): void;
}

class MonotonicRecord implements LatencyRecord {
  readonly #metric: Observer;
  #low: number;
  #high: number;

  // The clock in microseconds, as two 32-bit halves: as one number or bigint it would be allocated for each record.
  constructor(metric: Observer) {
    this.#metric = metric;
    clock[0] = hrtime() / 1000n;
    this.#low = clockHalves[0]!;
    this.#high = clockHalves[1]!;
  }

  [DISPOSE](): void {
    clock[0] = hrtime() / 1000n;
    const low = clockHalves[0]!;
    const high = clockHalves[1]!;
    if (high === this.#high) {
      this.#metric.observeShort(low - this.#low);
    } else if (this.#high !== DISPOSED) {
      this.#metric.observe((high - this.#high) * HALF + (low - this.#low));
    }
    this.#high = DISPOSED;
  }
}

/** No upper half of a clock. */
const DISPOSED = -1;

abstract class LatencyBase implements LatencyMetric, Observer, Movable {
  readonly min_us: MinimumReader;
  readonly max_us: StoreReader;
  readonly sum_us: IncReader;

  constructor(cells: ThreadCells, cell: number) {
    this.min_us = new MinimumReader(cells, cell);
    this.max_us = new StoreReader(cells, cell + LATENCY_MAX);
    this.sum_us = new IncReader(cells, cell + LATENCY_SUM);
  }

  record(): LatencyRecord {
    return new MonotonicRecord(this);
  }

  [MOVE](cell: number): void {
    this.min_us[MOVE](cell);
    this.max_us[MOVE](cell + LATENCY_MAX);
    this.sum_us[MOVE](cell + LATENCY_SUM);
  }

  abstract observe(us: number | bigint): void;
  abstract observeShort(us: number): void;
}

class OwnLatency extends LatencyBase {
  readonly #cells: ThreadCells;
  #view: BigUint64Array;
  #index: number;
  // The extremes as numbers, since comparing numbers costs a fraction of comparing BigInts. Only this object changes
  // the cells; but memory that a region loses comes back as 0.
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  #halves: Int32Array;
  /** The upper half of the cell of the minimum: 0 when nothing is there, since it is that of the complement. */
  #minHigh: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    ({ view: this.#view, index: this.#index, halves: this.#halves } = cells.own(cell));
    this.#minHigh = 2 * (this.#index + LATENCY_MIN) + 1;
  }

  observe(us: number | bigint): void {
    if (typeof us === 'number' && us >>> 0 === us) {
      this.observeShort(us);
      return;
    }
    const value = checkedValue('observe(): us', us);
    this.#raise(value);
    this.#view[this.#index + LATENCY_SUM]! += value;
  }

  observeShort(us: number): void {
    if (us < this.#min || us > this.#max || this.#halves[this.#minHigh] === 0) this.#raise(BigInt(us));
    this.#view[this.#index + LATENCY_SUM]! += BigInt(us >>> 0);
  }

  override [MOVE](cell: number): void {
    super[MOVE](cell);
    ({ view: this.#view, index: this.#index, halves: this.#halves } = this.#cells.own(cell));
    this.#minHigh = 2 * (this.#index + LATENCY_MIN) + 1;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = 0;
  }

  #raise(value: bigint): void {
    const view = this.#view;
    const complement = BigInt.asUintN(64, ~value);
    if (complement > view[this.#index + LATENCY_MIN]!) view[this.#index + LATENCY_MIN] = complement;
    if (value > view[this.#index + LATENCY_MAX]!) view[this.#index + LATENCY_MAX] = value;
    // As they are now, also when others were there before.
    this.#min = Number(BigInt.asUintN(64, ~view[this.#index + LATENCY_MIN]!));
    this.#max = Number(view[this.#index + LATENCY_MAX]!);
  }
}

class SharedLatency extends LatencyBase {
  readonly #cells: ThreadCells;
  #view: BigUint64Array;
  #index: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    ({ view: this.#view, index: this.#index } = cells.shared(cell));
  }

  observe(us: number | bigint): void {
    const value = checkedValue('observe(): us', us);
    this.#raise(LATENCY_MIN, BigInt.asUintN(64, ~value));
    this.#raise(LATENCY_MAX, value);
    Atomics.add(this.#view, this.#index + LATENCY_SUM, value);
  }

  observeShort(us: number): void {
    this.observe(us);
  }

  override [MOVE](cell: number): void {
    super[MOVE](cell);
    ({ view: this.#view, index: this.#index } = this.#cells.shared(cell));
  }

  #raise(part: number, value: bigint): void {
    const at = this.#index + part;
    for (let now = Atomics.load(this.#view, at); value > now; ) {
      const seen = Atomics.compareExchange(this.#view, at, now, value);
      if (seen === now) return;
      now = seen;
    }
  }
}

class NativeLatency extends LatencyBase {
  readonly #cells: ThreadCells;
  #cell: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    this.#cell = cell;
  }

  observe(us: number | bigint): void {
    const value = checkedValue('observe(): us', us);
    const { writer } = this.#cells;
    writer.raise(this.#cell + LATENCY_MIN, BigInt.asUintN(64, ~value));
    writer.raise(this.#cell + LATENCY_MAX, value);
    writer.add(this.#cell + LATENCY_SUM, value);
  }

  observeShort(us: number): void {
    this.observe(us);
  }

  override [MOVE](cell: number): void {
    super[MOVE](cell);
    this.#cell = cell;
  }
}

const CLASSES = {
  own: { inc: OwnInc, store: MappedStore, latency: OwnLatency },
  shared: { inc: SharedInc, store: MappedStore, latency: SharedLatency },
  native: { inc: NativeInc, store: NativeStore, latency: NativeLatency },
} as const;
