// The cells as one JavaScript thread sees them: its own shard and shard 0, and other shards where it reads sums.

import type { Attachment, NativeDevice } from './binding.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import { failureError, isFailure } from './failures.ts';
import { nameAt } from './inspected.ts';
import type { Layout } from './layout.ts';
import { HEADER_BYTES } from './region/format.ts';
import { ChunkSums, type ShardViews } from './shard-sums.ts';

/** A view over some cells, and the index of one cell in it. */
export interface CellView {
  readonly view: BigUint64Array;
  readonly index: number;
  /** The same cells as 32-bit halves, the lower half of each cell first. */
  readonly halves: Int32Array;
}

/** An owner of accessors of devices. */
export interface DeviceHolder {
  /** Lets go of the device whose cells begin at `firstCell`. */
  letGo(firstCell: number): void;
  /** The name of the metric that has the cell; undefined if no device of this holder has it. */
  nameAt(cell: number, isPart: boolean): string | undefined;
}

/** How many rows of other threads' shards a thread maps at most: each is a mapping of its own in the address space. */
const OTHER_ROWS_MAX = 64;

const NO_CELLS = new BigUint64Array(0);

interface Chunk {
  readonly view: BigUint64Array;
  readonly halves: Int32Array;
}

/**
 * How this thread writes. `own`: plain adds to a shard that no other thread writes. `shared`: atomic adds to shard 0,
 * because no shard was free. `native`: native calls, because this Node allows no ArrayBuffer over foreign memory.
 */
export type WriteMode = 'own' | 'shared' | 'native';

export class ThreadCells {
  readonly mode: WriteMode;
  readonly #attachment: Attachment;
  readonly #layout: Layout;
  readonly #chunkCells: number;
  readonly #ownChunks: (Chunk | undefined)[] = [];
  readonly #sharedChunks: (Chunk | undefined)[] = [];
  readonly #sums: (ChunkSums | undefined)[] = [];
  #views: ShardViews | undefined;
  /** The holders, by the numbers of their groups. */
  readonly #holders: (DeviceHolder | undefined)[] = [];
  #isWatching = false;
  #closed = false;

  constructor(attachment: Attachment, layout: Layout) {
    this.#attachment = attachment;
    this.#layout = layout;
    this.#chunkCells = attachment.chunkCells;
    const row = this.#mapped(0, 0);
    if (row !== null) this.#sharedChunks[0] = chunkOf(row);
    this.mode = row === null ? 'native' : attachment.shard === 0 ? 'shared' : 'own';
  }

  /**
   * The attachment, for everything but writing.
   * @throws MetricsError `ERR_METRICS_CLOSED` after close().
   */
  get attachment(): Attachment {
    if (this.#closed) throw new MetricsError(ErrorCode.CLOSED, 'The store is closed in this thread');
    return this.#attachment;
  }

  /** The attachment for writing in `native` mode. After close(), its writes do nothing. */
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

  /** The cell for which shared() has returned a view and an index; undefined for any other view. */
  sharedCell(view: BigUint64Array, index: number): number | undefined {
    const chunk = this.#sharedChunks.findIndex((one) => one?.view === view);
    return chunk < 0 ? undefined : chunk * this.#chunkCells + index;
  }

  /**
   * The name of the metric that has a cell, such as `vcpu.exit_io_out` or `block_rootfs.read_bytes`; undefined if this
   * thread has no accessor of it. `isPart`: the name of the part, if the metric is a latency.
   */
  nameAt(cell: number, isPart: boolean): string | undefined {
    if (cell >= this.#layout.cellKinds.length) {
      for (const holder of this.#holders) {
        const name = holder?.nameAt(cell, isPart);
        if (name !== undefined) return name;
      }
      return undefined;
    }
    const group = this.#layout.entries.findLast((entry) => entry.kind === 'group' && (entry.metrics[0]?.cell ?? Infinity) <= cell);
    return group?.kind === 'group' ? nameAt(group, group.key, 0, cell, isPart) : undefined;
  }

  /** The sums of the chunk that has the cell, and the cell's index in them. */
  sumsOf(cell: number): { readonly sums: ChunkSums; readonly index: number } {
    const chunk = Math.floor(cell / this.#chunkCells);
    this.#views ??= this.#viewsForSums();
    this.#sums[chunk] ??=
      this.mode === 'own'
        ? new ChunkSums(chunk, this.#views, this.own(cell).view, this.shared(cell).view)
        : new ChunkSums(chunk, this.#views, NO_CELLS, NO_CELLS);
    return { sums: this.#sums[chunk], index: cell % this.#chunkCells };
  }

  /** Gives the attachment back. Old views can still be written, but nobody reads what they write. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#attachment.detach();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** From now on, `holder` may have devices of that group. */
  hold(group: number, holder: DeviceHolder): void {
    this.#watch();
    this.#holders[group] = holder;
  }

  /** The living devices of a group. No other device gets their cells before this thread calls letGo(). */
  devicesOf(group: number): readonly NativeDevice[] {
    this.#watch();
    return this.attachment.devices(group);
  }

  /**
   * Lets go of removed devices whose cells are about to be given to other devices. Each method that has to do with
   * devices calls this first; a thread that calls no such method is told by its event loop.
   */
  letGo(): void {
    if (this.#closed || !this.#isWatching) return; // without #watch() this thread has no devices
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

  #viewsForSums(): ShardViews {
    const { shard } = this.#attachment;
    const header = this.mode === 'own' ? this.#attachment.header() : null;
    // A header of zeros makes each sum ask native code.
    const words = header === null || isFailure(header) ? new Uint32Array(HEADER_BYTES / 4) : new Uint32Array(header);
    let left = OTHER_ROWS_MAX;
    const viewOf = (chunk: number, other: number): BigUint64Array | undefined => {
      const row = left-- > 0 ? this.#attachment.row(chunk, other) : null;
      if (row !== null && !isFailure(row)) return new BigUint64Array(row);
      left = 0;
      return undefined;
    };
    return { shard, header: words, viewOf };
  }

  #place(chunks: (Chunk | undefined)[], shard: number, cell: number): CellView {
    const chunkCells = this.#chunkCells;
    const number = Math.floor(cell / chunkCells);
    let chunk = chunks[number];
    if (chunk === undefined) {
      const row = this.#mapped(number, shard);
      if (row === null) throw new MetricsError(ErrorCode.ATTACH, 'This Node allows no ArrayBuffer over the cells');
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
