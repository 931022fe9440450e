// Memory to read a region into. It begins at a page, as the rows of a region do: then the kernel copies in whole words,
// and a number that changes meanwhile is read before or after. Into memory that stands otherwise to a cache line it
// copies in bytes now and then: one number in a thousand was torn so, where of 900 million that were read into pages
// none was.

import { binding } from '../binding.ts';

export function pages(bytes: number): Buffer {
  const { buffer, byteOffset, byteLength } = binding().pages(bytes);
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
