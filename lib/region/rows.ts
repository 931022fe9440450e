// The rows of a region: each has one word for each cell. Rows are read into scratchPages(), and their words are
// combined into values without an object for each word.

import { CellKind } from '../layout.ts';
import type { RegionFile } from './file.ts';
import { ROWS } from './format.ts';
import type { RegionHeader } from './header.ts';
import { scratchPages } from './pages.ts';

/** Which values the cells of a region belong to. */
export interface CellSlots {
  /** The CellKind of each cell. */
  readonly kinds: Uint8Array;
  /** For each cell, the index of its value. For a cell that counts nowhere, an index past the last value. */
  readonly slots: Uint32Array;
}

/** How many bytes of a chunk to read at once: all shards if pages have 4 KiB. */
const READ_BYTES = 512 << 10;

/**
 * Reads `count` rows, from row `first` on, and writes their values to `values`. Each cell is combined over these rows,
 * as its kind requires, and counters with the same slot are added up. The values in a bank are one row; the current
 * values need the rows of all shards.
 */
export function readRows(
  file: RegionFile,
  header: RegionHeader,
  cells: CellSlots,
  first: number,
  count: number,
  values: BigUint64Array,
): void {
  const { cellsUsed, granuleBytes } = header;
  const perChunk = granuleBytes / 8;
  const rowsAtOnce = Math.max(1, Math.min(count, READ_BYTES / granuleBytes));
  const { bytes, words } = scratchPages(rowsAtOnce * granuleBytes);
  values.fill(0n);
  for (let firstCell = 0, chunk = 0; firstCell < cellsUsed; firstCell += perChunk, chunk++) {
    const length = Math.min(perChunk, cellsUsed - firstCell);
    for (let row = 0; row < count; row += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, count - row);
      file.read(bytes, rowOffset(header, chunk, first + row), (rows - 1) * granuleBytes + length * 8);
      for (let i = 0; i < rows; i++) {
        const begin = i * granuleBytes;
        if (bytes.compare(ZEROS, 0, length * 8, begin, begin + length * 8) === 0) continue; // usually a hole in the file
        combine(values, cells, firstCell, words, i * perChunk, length, row + i === 0);
      }
    }
  }
}

/** As long as the longest row. */
const ZEROS = Buffer.alloc(65_536);

/** Combines `length` words into the values. The word at `begin` belongs to the cell `firstCell`. */
function combine(
  values: BigUint64Array,
  { kinds, slots }: CellSlots,
  firstCell: number,
  words: BigUint64Array,
  begin: number,
  length: number,
  isShared: boolean,
): void {
  for (let i = 0; i < length; i++) {
    const slot = slots[firstCell + i]!;
    if (slot >= values.length) continue;
    switch (kinds[firstCell + i]) {
      case CellKind.inc:
      case CellKind.tally:
      case CellKind.bucket:
        values[slot] = values[slot]! + words[begin + i]!;
        break;
      case CellKind.store:
        if (isShared) values[slot] = words[begin + i]!;
        break;
      // A minimum is stored as its complement.
      case CellKind.min:
      case CellKind.max:
        if (words[begin + i]! > values[slot]!) values[slot] = words[begin + i]!;
    }
  }
}

/** Where a row of a chunk begins in the file. */
export function rowOffset({ chunksOffset, granuleBytes }: RegionHeader, chunk: number, row: number): number {
  return chunksOffset + (chunk * ROWS + row) * granuleBytes;
}
