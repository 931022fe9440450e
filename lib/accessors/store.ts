// Gauges. A gauge has one cell, in shard 0, whichever thread writes. After a removed device has left its cells to
// another device, its accessor writes to a value of its own, which nobody else reads.

import { checkedValue } from '../arguments.ts';
import { INSPECT, type InspectArguments, inspectedAccessor } from '../inspected.ts';
import type { ThreadCells } from '../thread-cells.ts';
import { GaugeReader, KEPT, MOVE, type Movable } from './reader.ts';

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

/**
 * Reads and writes the cell by itself. V8 reads and writes an element of a BigUint64Array with one instruction, so no
 * thread sees half of a value.
 */
export class MappedStore implements StoreMetric, Movable {
  readonly #cells: ThreadCells;
  #view: BigUint64Array;
  #index = 0;

  constructor(cells: ThreadCells, cell: number) {
    this.#cells = cells;
    ({ view: this.#view, index: this.#index } = cells.shared(cell));
  }

  fetch(): bigint {
    void this.#cells.attachment; // throws when closed
    return this.#view[this.#index]!;
  }

  store(value: number | bigint): void {
    if (typeof value === 'number' && value >>> 0 === value) {
      this.#view[this.#index] = BigInt(value >>> 0); // a number that is known to have 32 bits needs no BigInt
      return;
    }
    this.#view[this.#index] = checkedValue('store(): value', value);
  }

  [MOVE](_cells: ThreadCells, _cell: number): void {
    this.#view = BigUint64Array.of(this.fetch());
    this.#index = 0;
  }

  [INSPECT](...how: InspectArguments): string {
    const cell = this.#cells.sharedCell(this.#view, this.#index);
    return inspectedAccessor('StoreMetric', this.#cells, cell, false, () => ({ value: this.fetch() }), how);
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
