// The cells as one JavaScript thread sees them: its own shard, shard 0, and the sums over all, which come from native code.

import { type Attachment, isFailure, systemError } from './binding.ts';
import { ErrorCode, MetricsError } from './errors.ts';

/** A view over some cells, and where in it a cell is. */
export interface Place {
  readonly view: BigUint64Array;
  readonly index: number;
}

/**
 * How this thread writes. `own`: plain adds to a shard that nobody else writes. `shared`: atomic adds to shard 0, when no shard
 * was free. `native`: calls, where this Node allows no ArrayBuffer over the cells.
 */
export type WriteMode = 'own' | 'shared' | 'native';

export class ThreadCells {
  readonly mode: WriteMode;
  readonly #attachment: Attachment;
  readonly #ownViews: (BigUint64Array | undefined)[] = [];
  readonly #sharedViews: (BigUint64Array | undefined)[] = [];
  #closed = false;

  constructor(attachment: Attachment) {
    this.#attachment = attachment;
    const row = this.#mapped(0, 0);
    if (row !== null) this.#sharedViews[0] = new BigUint64Array(row);
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
  own(cell: number): Place {
    return this.#place(this.#ownViews, this.#attachment.shard, cell);
  }

  /** A cell in shard 0. */
  shared(cell: number): Place {
    return this.#place(this.#sharedViews, 0, cell);
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

  #place(views: (BigUint64Array | undefined)[], shard: number, cell: number): Place {
    const { chunkCells } = this.#attachment;
    const chunk = Math.floor(cell / chunkCells);
    let view = views[chunk];
    if (view === undefined) {
      const row = this.#mapped(chunk, shard);
      if (row === null) throw new MetricsError(ErrorCode.ATTACH, 'This Node allows no view over the cells');
      view = new BigUint64Array(row);
      views[chunk] = view;
    }
    return { view, index: cell % chunkCells };
  }

  #mapped(chunk: number, shard: number): ArrayBuffer | null {
    const row = this.#attachment.row(chunk, shard);
    if (!isFailure(row)) return row;
    const cause = systemError(row);
    throw new MetricsError(ErrorCode.NO_SPACE, `The cells cannot be mapped: ${cause.message}`, { cause });
  }
}
