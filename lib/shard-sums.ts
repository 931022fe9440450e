// Sums of counters over all shards, as one JavaScript thread reads them by itself. The thread has views of its own
// shard and of shard 0, because it writes to them. It gets views of other shards when a sum needs them: one view for
// each chunk and shard. Beyond a few shards, native code is as fast.
//
// V8 reads an element of a BigUint64Array with one instruction, so no count is torn.

import { HeaderOffset } from './region/format.ts';

/** With more shards in use, native code reads the sums. */
const SHARDS_MAX = 16;

/** The word of the header that holds the number of shards in use, which never falls. */
const SHARDS_USED = HeaderOffset.shardsUsed / 4;

/** Where a thread's sums get their views. */
export interface ShardViews {
  /** The number of the thread's own shard. */
  readonly shard: number;
  /** The region's header, as 32-bit words. If the file loses the header, the words are 0. */
  readonly header: Uint32Array;
  /** The cells of a chunk in one shard; undefined if this thread gets no more views. */
  viewOf(chunk: number, shard: number): BigUint64Array | undefined;
}

const total = new BigUint64Array(1);

/** The sums of the cells of one chunk. */
export class ChunkSums {
  readonly #header: Uint32Array;
  readonly #chunk: number;
  readonly #views: ShardViews;
  readonly #own: BigUint64Array;
  readonly #shared: BigUint64Array;
  #others: readonly BigUint64Array[] = [];
  /** The views cover the shards in use while the header has this number of them. */
  #covered = -1;

  constructor(chunk: number, views: ShardViews, own: BigUint64Array, shared: BigUint64Array) {
    this.#chunk = chunk;
    this.#header = views.header;
    this.#views = views;
    this.#own = own;
    this.#shared = shared;
  }

  /** Whether the views cover all shards in use. If not, native code must read the sum. */
  get covers(): boolean {
    return this.#header[SHARDS_USED] === this.#covered || this.#cover();
  }

  /** The sum of the cell over all shards, modulo 2^64. Ask `covers` first. */
  sum(index: number): bigint {
    const others = this.#others;
    if (others.length === 0) return BigInt.asUintN(64, this.#own[index]! + this.#shared[index]!);
    total[0] = this.#own[index]! + this.#shared[index]!;
    // In memory, because V8 would make a BigInt of each intermediate sum.
    for (let i = 0; i < others.length; i++) total[0]! += others[i]![index]!;
    return total[0]!;
  }

  #cover(): boolean {
    const used = this.#header[SHARDS_USED]!;
    // A smaller number comes from a header that was damaged.
    if (used > SHARDS_MAX || used <= Math.max(this.#views.shard, this.#covered)) return false;
    const others: BigUint64Array[] = [];
    for (let shard = 1; shard < used; shard++) {
      if (shard === this.#views.shard) continue;
      const view = this.#others[others.length] ?? this.#views.viewOf(this.#chunk, shard);
      if (view === undefined) return false;
      others.push(view);
    }
    this.#others = others;
    this.#covered = used;
    return true;
  }
}
