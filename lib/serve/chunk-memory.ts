// Memory for the chunks of answers. It is used again for later chunks, so a scrape of many files costs neither garbage
// nor fresh pages.

import { CHUNK_BYTES } from '../prometheus/rendering.ts';

/** How much memory waits for the next chunks. A client that reads alone needs two or three chunks at a time. */
const FREE_BYTES_MAX = 8 * 2 ** 20;

export class ChunkMemory {
  readonly #own = new WeakSet<ArrayBufferLike>();
  readonly #free = new Set<ArrayBufferLike>();

  /** Memory for a chunk of that many bytes. Its content is undefined. */
  readonly take = (bytes: number): Uint8Array => {
    if (bytes > CHUNK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const [buffer] = this.#free;
    if (buffer !== undefined) {
      this.#free.delete(buffer);
      return Buffer.from(buffer as ArrayBuffer);
    }
    const fresh = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#own.add(fresh.buffer);
    return fresh;
  };

  /** Takes back the chunks of an answer that nobody reads any more. Chunks that are not from here are ignored. */
  readonly giveBack = (chunks: readonly Uint8Array[]): void => {
    for (const { buffer } of chunks) {
      if (this.#own.has(buffer) && this.#free.size < FREE_BYTES_MAX / CHUNK_BYTES) this.#free.add(buffer);
    }
  };
}
