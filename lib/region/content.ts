// What a region holds: read in an order in which no difference is ever negative, even of a process that goes on
// counting.

import { documentFrom, type RegionDocument } from '../document.ts';
import { CellKind, type Layout, layoutOf } from '../layout.ts';
import { CellMap } from './cell-map.ts';
import type { RegionFile } from './file.ts';
import { bankOf, FIRST_SHARD_ROW, ROWS } from './format.ts';
import { isCurrent, type RegionHeader, readHeader, wordsNow } from './header.ts';
import { pages } from './pages.ts';

export interface RegionContent {
  readonly document: RegionDocument;
  readonly layout: Layout;
  readonly header: RegionHeader;
  /** Whether somebody held the file just before it was read. */
  readonly isHeld: boolean;
  readonly map: CellMap;
  /** By slot: the values as of the last flush that was committed. */
  readonly flushed: BigUint64Array;
  /** By slot: the values of the line that was on its way, where there is one and its writer is gone. */
  readonly inFlight: BigUint64Array | undefined;
  /** By slot: the values now. */
  readonly totals: BigUint64Array;
}

/** How often a region is read anew because a line was flushed meanwhile. */
const ATTEMPTS = 10;
/**
 * How long it is read anew because devices were retired meanwhile. A process leaves some milliseconds between two
 * times, see native/store/store.cc.
 */
const RETIRING_MS = 500;

export function readContent(file: RegionFile): RegionContent {
  let document: RegionDocument | undefined;
  let layout: Layout | undefined;
  const deadline = performance.now() + RETIRING_MS;
  for (let attempt = 1; ; attempt++) {
    // Before the header: who closes the store says so there first, and lets go then.
    const isHeld = file.isHeld();
    const header = readHeader(file);
    document ??= readDocument(file, header);
    layout ??= checkedLayout(file, header, document);
    const isLast = attempt >= ATTEMPTS && performance.now() >= deadline;
    let content: RegionContent;
    try {
      content = { document, layout, header, isHeld, ...readValues(file, header, layout, isHeld) };
    } catch (error) {
      // Of a living process it may be no damage: what was read in parts may not fit together.
      if (isLast || isCurrent(file, header)) throw error;
      continue;
    }
    const now = wordsNow(file);
    const hasRetired = now.retiredEpoch !== header.retiredEpoch;
    if (now.commit === header.commit && !hasRetired) return content;
    // Cells of a device that was retired meanwhile went back to 0, and may be another's: sums of two epochs are wrong.
    if (hasRetired && isLast) throw file.trouble('devices come and go so fast that it cannot be read');
    // A process that flushes all the time never lets us see two equal words. Its bank is then a mixture of flushes that
    // are all over, so that what is pending is still at least that since the last.
    if (!hasRetired && attempt >= ATTEMPTS) return content;
  }
}

function readValues(file: RegionFile, header: RegionHeader, layout: Layout, isHeld: boolean) {
  const map = CellMap.read(file, header, layout, isHeld);
  // Banks before shards: what was flushed stands in both, and a counter only goes up.
  const flushed = bySlot(bankRows(file, header, bankOf(header.commit)), map);
  const inFlight = isHeld || header.line === undefined ? undefined : bySlot(bankRows(file, header, bankOf(header.line.commit)), map);
  const totals = bySlot(totalRows(file, header, map), map);
  return { map, flushed, inFlight, totals };
}

function readDocument(file: RegionFile, header: RegionHeader): RegionDocument {
  const bytes = Buffer.alloc(header.documentBytes);
  const there = file.read(bytes, header.documentOffset);
  if (there < bytes.length) throw file.trouble(`it is cut short: of its document's ${bytes.length} bytes there are ${there}`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw file.trouble('its document is no UTF-8', cause);
  }
  try {
    return documentFrom(text);
  } catch (cause) {
    throw file.trouble((cause as Error).message, cause);
  }
}

function checkedLayout(file: RegionFile, header: RegionHeader, { schema }: RegionDocument): Layout {
  const layout = layoutOf(schema);
  if (layout.fingerprint !== header.fingerprint) throw file.trouble('its schema is not the one that its fingerprint stands for');
  return layout;
}

/** The values of rows, by slot. */
function bySlot(rows: Iterable<Row>, map: CellMap): BigUint64Array {
  const values = new BigUint64Array(map.slotKinds.length);
  for (const { words, firstCell } of rows) {
    for (let i = 0; i < words.length; i++) {
      const slot = map.slots[firstCell + i]!;
      // All removed devices of a group share their slots: what they counted adds up.
      if (slot < values.length) values[slot] = map.slotKinds[slot] === CellKind.inc ? values[slot]! + words[i]! : words[i]!;
    }
  }
  return values;
}

/** The cells in use of one chunk, in a buffer that the next one takes. */
export interface Row {
  readonly chunk: number;
  readonly firstCell: number;
  readonly words: BigUint64Array;
}

export function* bankRows(file: RegionFile, header: RegionHeader, bank: number): Generator<Row> {
  const buffer = pages(header.granuleBytes);
  for (const { chunk, firstCell, cells } of chunksOf(header)) {
    file.read(buffer.subarray(0, cells * 8), rowOffset(header, chunk, bank));
    yield { chunk, firstCell, words: wordsOf(buffer, 0, cells) };
  }
}

/** How much of a chunk's shards is read at once: with pages of 4 KiB all of them. */
const READ_BYTES = 512 << 10;

/** The values of the cells now: each over all shards, as its kind wants it. */
export function* totalRows(file: RegionFile, header: RegionHeader, map: CellMap): Generator<Row> {
  const { granuleBytes, shardsUsed } = header;
  const rowsAtOnce = Math.max(1, Math.min(shardsUsed, READ_BYTES / granuleBytes));
  const buffer = pages(rowsAtOnce * granuleBytes);
  const empty = Buffer.alloc(granuleBytes);
  const totals = new BigUint64Array(granuleBytes / 8);
  for (const { chunk, firstCell, cells } of chunksOf(header)) {
    totals.fill(0n);
    for (let shard = 0; shard < shardsUsed; shard += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, shardsUsed - shard);
      file.read(buffer.subarray(0, rows * granuleBytes), rowOffset(header, chunk, FIRST_SHARD_ROW + shard));
      for (let row = 0; row < rows; row++) {
        const begin = row * granuleBytes;
        if (buffer.compare(empty, 0, cells * 8, begin, begin + cells * 8) === 0) continue; // a hole, most often
        combine(totals, wordsOf(buffer, begin, cells), map.kinds.subarray(firstCell, firstCell + cells), shard + row === 0);
      }
    }
    yield { chunk, firstCell, words: totals.subarray(0, cells) };
  }
}

function combine(totals: BigUint64Array, words: BigUint64Array, kinds: Uint8Array, isShared: boolean): void {
  for (let i = 0; i < words.length; i++) {
    switch (kinds[i]) {
      case CellKind.inc:
        totals[i] = totals[i]! + words[i]!;
        break;
      case CellKind.store:
        if (isShared) totals[i] = words[i]!;
        break;
      // A minimum is kept as its complement.
      case CellKind.min:
      case CellKind.max:
        if (words[i]! > totals[i]!) totals[i] = words[i]!;
    }
  }
}

function* chunksOf({ cellsUsed, granuleBytes }: RegionHeader): Generator<{ chunk: number; firstCell: number; cells: number }> {
  const perChunk = granuleBytes / 8;
  for (let firstCell = 0; firstCell < cellsUsed; firstCell += perChunk) {
    yield { chunk: firstCell / perChunk, firstCell, cells: Math.min(perChunk, cellsUsed - firstCell) };
  }
}

export function rowOffset({ chunksOffset, granuleBytes }: RegionHeader, chunk: number, row: number): number {
  return chunksOffset + (chunk * ROWS + row) * granuleBytes;
}

function wordsOf(buffer: Buffer, offset: number, count: number): BigUint64Array {
  return new BigUint64Array(buffer.buffer, buffer.byteOffset + offset, count);
}
