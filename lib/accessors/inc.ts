// Counters. Each way in which a thread can write has its own class, so that inc() stays one load, one add and one
// store.

import { checkedValue } from '../arguments.ts';
import type { ThreadCells } from '../thread-cells.ts';
import { CounterReader, MOVE } from './reader.ts';

/**
 * A counter: it only goes up, and wraps at 2^64. Modelled on Firecracker's `IncMetric`.
 *
 * Thread-safe: each thread has its own accessor, and all accessors count into one value. Not for signal handlers, which
 * count in native code. After `close()`, `inc` and `add` do nothing, and the other methods throw MetricsError
 * `ERR_METRICS_CLOSED`.
 */
export interface IncMetric {
  /** Adds 1. Takes about a nanosecond and allocates nothing. */
  inc(): void;
  /**
   * Adds `n`, an integer from 0 to 2^64-1.
   * @throws TypeError, RangeError for anything else; nothing is added then.
   */
  add(n: number | bigint): void;
  /** The count of all threads since the store was opened. */
  count(): bigint;
  /** What all threads have counted since the last flushed line. */
  fetchDiff(): bigint;
}

export class OwnInc extends CounterReader implements IncMetric {
  #view!: BigUint64Array;
  #index!: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#map(cells, cell);
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

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#map(cells, cell);
  }

  #map(cells: ThreadCells, cell: number): void {
    ({ view: this.#view, index: this.#index } = cells.own(cell));
  }
}

export class SharedInc extends CounterReader implements IncMetric {
  #view!: BigUint64Array;
  #index!: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#map(cells, cell);
  }

  inc(): void {
    Atomics.add(this.#view, this.#index, 1n);
  }

  add(n: number | bigint): void {
    Atomics.add(this.#view, this.#index, checkedValue('add(): n', n));
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#map(cells, cell);
  }

  #map(cells: ThreadCells, cell: number): void {
    ({ view: this.#view, index: this.#index } = cells.shared(cell));
  }
}

export class NativeInc extends CounterReader implements IncMetric {
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

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#cell = cell;
  }
}
