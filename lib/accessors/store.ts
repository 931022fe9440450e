// Gauges. A gauge has one cell, in shard 0, whichever thread writes. After a removed device has left its cells to
// another device, its accessor writes to a value of its own, which nobody else reads.

import { checkedValue } from '../arguments.ts';
import type { ThreadCells } from '../thread-cells.ts';
import { GaugeReader, KEPT, MOVE } from './reader.ts';

/**
 * A gauge: a value that stays until another value is set. Modelled on Firecracker's `StoreMetric`.
 *
 * Thread-safe: the last `store` of any thread wins. Not for signal handlers, which store in native code. After
 * `close()`, `store` does nothing, and `fetch` throws MetricsError `ERR_METRICS_CLOSED`.
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

export class MappedStore extends GaugeReader implements StoreMetric {
  #view: BigUint64Array;
  #index: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    ({ view: this.#view, index: this.#index } = cells.shared(cell));
  }

  store(value: number | bigint): void {
    this.#view[this.#index] = checkedValue('store(): value', value);
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#view = this[KEPT]!;
    this.#index = 0;
  }
}

export class NativeStore extends GaugeReader implements StoreMetric {
  readonly #cells: ThreadCells;
  readonly #cell: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#cells = cells;
    this.#cell = cell;
  }

  store(value: number | bigint): void {
    const checked = checkedValue('store(): value', value);
    const kept = this[KEPT];
    if (kept === undefined) this.#cells.writer.set(this.#cell, checked);
    else kept[0] = checked;
  }
}
