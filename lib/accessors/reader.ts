// Reads the values of metrics. The way in which a thread writes makes no difference here.

import type { Attachment } from '../binding.ts';
import { INSPECT, type InspectArguments, inspectedAccessor } from '../inspected.ts';
import { LATENCY_MAX, LATENCY_MIN, minimumOf } from '../layout.ts';
import type { ChunkSums } from '../shard-sums.ts';
import type { ThreadCells } from '../thread-cells.ts';

export const MOVE = Symbol('move');

/** What an accessor of a removed device does when the device's cells are about to go to another device. */
export interface Movable {
  /** From now on, this accessor writes to `cell`, which counts for the whole group. */
  [MOVE](cells: ThreadCells, cell: number): void;
}

/** Reads a counter. After a move, the count goes on from its last value. */
export class CounterReader implements Movable {
  readonly #cells: ThreadCells;
  #cell: number;
  /** The count before the move, minus the count of the new cell at that time, modulo 2^64; undefined before a move. */
  #before: bigint | undefined;
  #sums: ChunkSums | undefined;
  #index = 0;

  constructor(cells: ThreadCells, cell: number) {
    this.#cells = cells;
    this.#cell = cell;
  }

  count(): bigint {
    const { attachment } = this.#cells; // throws when closed
    if (this.#sums === undefined) ({ sums: this.#sums, index: this.#index } = this.#cells.sumsOf(this.#cell));
    const total = this.#sums.covers ? this.#sums.sum(this.#index) : attachment.total(this.#cell);
    return this.#before === undefined ? total : BigInt.asUintN(64, this.#before + total);
  }

  fetchDiff(): bigint {
    return this.#cells.attachment.pending(this.#cell);
  }

  [MOVE](_cells: ThreadCells, cell: number): void {
    const count = this.count();
    this.#cell = cell;
    this.#sums = undefined;
    this.#before = undefined;
    this.#before = BigInt.asUintN(64, count - this.count());
  }

  [INSPECT](...how: InspectArguments): string {
    return inspectedAccessor('IncMetric', this.#cells, this.#cell, true, () => ({ count: this.count() }), how);
  }
}

export const KEPT = Symbol('kept');

/** Reads a gauge, or an extreme. After a move, this object keeps the last value. */
export class GaugeReader implements Movable {
  readonly #cells: ThreadCells;
  readonly #cell: number;
  readonly #read: (attachment: Attachment, cell: number) => bigint;
  #kept: BigUint64Array | undefined;

  constructor(cells: ThreadCells, cell: number, read = total) {
    this.#cells = cells;
    this.#cell = cell;
    this.#read = read;
  }

  fetch(): bigint {
    const { attachment } = this.#cells; // throws when closed
    return this.#kept === undefined ? this.#read(attachment, this.#cell) : this.#kept[0]!;
  }

  /** Contains the one value that this object has kept since a move, and may be written to; undefined before a move. */
  protected get [KEPT](): BigUint64Array | undefined {
    return this.#kept;
  }

  [MOVE](_cells: ThreadCells, _cell: number): void {
    this.#kept = BigUint64Array.of(this.fetch());
  }

  [INSPECT](...how: InspectArguments): string {
    const cell = this.#kept === undefined ? this.#cell : undefined;
    return inspectedAccessor('StoreMetric', this.#cells, cell, true, () => ({ value: this.fetch() }), how);
  }

  /** What is shown of the latency whose minimum this is. */
  inspectedLatency(values: () => object, how: InspectArguments): string {
    const cell = this.#kept === undefined ? this.#cell : undefined;
    return inspectedAccessor('LatencyMetric', this.#cells, cell, false, values, how);
  }
}

function total(attachment: Attachment, cell: number): bigint {
  return attachment.total(cell);
}

/** The minimum of a latency metric whose cells begin at `firstCell`. */
export function minimum(attachment: Attachment, firstCell: number): bigint {
  return minimumOf(attachment.total(firstCell + LATENCY_MIN), attachment.total(firstCell + LATENCY_MAX));
}
