// The cells as one JavaScript thread sees them: its own shard, shard 0, and the sums over all, which come from native
// code.

import type { Attachment, NativeDevice } from './binding.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import { failureError, isFailure } from './failures.ts';

/** A view over some cells, and where in the view one cell is. */
export interface CellView {
  readonly view: BigUint64Array;
  readonly index: number;
  /** The same cells in 32-bit halves, the lower half of each first. */
  readonly halves: Int32Array;
}

/** What has accessors of devices, and lets go of those whose cells begin at `firstCell`. */
export interface DeviceHolder {
  letGo(firstCell: number): void;
}

interface Chunk {
  readonly view: BigUint64Array;
  readonly halves: Int32Array;
}

/**
 * How this thread writes. `own`: plain adds to a shard that nobody else writes. `shared`: atomic adds to shard 0, when
 * no shard was free. `native`: calls, where this Node allows no ArrayBuffer over the cells.
 */
export type WriteMode = 'own' | 'shared' | 'native';

export class ThreadCells {
  readonly mode: WriteMode;
  readonly #attachment: Attachment;
  readonly #chunkCells: number;
  readonly #ownChunks: (Chunk | undefined)[] = [];
  readonly #sharedChunks: (Chunk | undefined)[] = [];
  /** By the number of the group. */
  readonly #holders: (DeviceHolder | undefined)[] = [];
  #isWatching = false;
  #closed = false;

  constructor(attachment: Attachment) {
    this.#attachment = attachment;
    this.#chunkCells = attachment.chunkCells;
    const row = this.#mapped(0, 0);
    if (row !== null) this.#sharedChunks[0] = chunkOf(row);
    this.mode = row === null ? 'native' : attachment.shard === 0 ? 'shared' : 'own';
  }

  /** The attachment, for everything but writing. Throws `ERR_METRICS_CLOSED` after close(). */
  get attachment(): Attachment {
    if (this.#closed) throw new MetricsError(ErrorCode.CLOSED, 'These metrics are closed');
    return this.#attachment;
  }

  /** For writing in `native` mode; after close() it does nothing. */
  get writer(): Attachment {
    return this.#attachment;
  }

  /** A cell in this thread's own shard. */
  own(cell: number): CellView {
    return this.#place(this.#ownChunks, this.#attachment.shard, cell);
  }

  /** A cell in shard 0. */
  shared(cell: number): CellView {
    return this.#place(this.#sharedChunks, 0, cell);
  }

  /** Gives the attachment back. What is still written through old views goes nowhere. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#attachment.detach();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** From now on `holder` may have devices of that group. */
  hold(group: number, holder: DeviceHolder): void {
    this.#watch();
    this.#holders[group] = holder;
  }

  /** The living devices of a group. Their cells are theirs until this thread lets go of what it holds. */
  devicesOf(group: number): readonly NativeDevice[] {
    this.#watch();
    return this.attachment.devices(group);
  }

  /**
   * Lets go of devices that were removed and whose cells are to be another's. Each call that has to do with devices
   * begins with it; a thread that makes none is called by its event loop.
   */
  letGo(): void {
    if (this.#closed) return;
    const leaving = this.#attachment.leaving();
    if (leaving === undefined) return;
    for (let i = 0; i < leaving.length; i += 2) this.#holders[leaving[i]!]?.letGo(leaving[i + 1]!);
    this.#attachment.letGo();
  }

  #watch(): void {
    const { attachment } = this;
    if (this.#isWatching) return;
    this.#isWatching = true;
    attachment.watch(() => this.letGo());
  }

  #place(chunks: (Chunk | undefined)[], shard: number, cell: number): CellView {
    const chunkCells = this.#chunkCells;
    const number = Math.floor(cell / chunkCells);
    let chunk = chunks[number];
    if (chunk === undefined) {
      const row = this.#mapped(number, shard);
      if (row === null) throw new MetricsError(ErrorCode.ATTACH, 'This Node allows no view over the cells');
      chunk = chunkOf(row);
      chunks[number] = chunk;
    }
    return { view: chunk.view, halves: chunk.halves, index: cell % chunkCells };
  }

  #mapped(chunk: number, shard: number): ArrayBuffer | null {
    const row = this.#attachment.row(chunk, shard);
    if (!isFailure(row)) return row;
    throw failureError(row, { what: 'Cannot map the cells', error: ErrorCode.NO_SPACE });
  }
}

function chunkOf(row: ArrayBuffer): Chunk {
  return { view: new BigUint64Array(row), halves: new Int32Array(row) };
}
