// Memory to read a region into. It begins at a page, as the rows of a region do. The kernel then copies whole words, so
// a number that changes meanwhile is read before or after the change. Into memory that is aligned differently, the
// kernel sometimes copies single bytes: one number in a thousand was torn, but none of 900 million that were read into
// pages.

import { binding } from '../binding.ts';

/** Zeroed memory of so many bytes that begins at a page. */
export function pages(bytes: number): Buffer {
  const { buffer, byteOffset, byteLength } = binding().pages(bytes);
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
