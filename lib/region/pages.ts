// Memory to read a region into. It begins at a page, as the rows of a region do. The kernel then copies whole words, so
// a number that changes meanwhile is read before or after the change. Into memory that is aligned differently, the
// kernel sometimes copies single bytes: one number in a thousand was torn, but none of 900 million that were read into
// pages.

import { binding } from '../binding.ts';

/** Zeroed memory that begins at a page and has `bytes` bytes. */
export function pages(bytes: number): Buffer {
  const { buffer, byteOffset, byteLength } = binding().pages(bytes);
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** One piece of memory as bytes and as words. */
export interface Pages {
  readonly bytes: Buffer;
  readonly words: BigUint64Array;
}

let scratch: Pages | undefined;

/**
 * Memory that begins at a page and has at least `bytes` bytes. All callers in a thread share it, so its contents are
 * valid only until the next call.
 */
export function scratchPages(bytes: number): Pages {
  if (scratch === undefined || scratch.bytes.length < bytes) {
    const memory = pages(Math.ceil(bytes / SCRATCH_STEP) * SCRATCH_STEP);
    scratch = { bytes: memory, words: new BigUint64Array(memory.buffer, memory.byteOffset, memory.length / 8) };
  }
  return scratch;
}

const SCRATCH_STEP = 65_536;
