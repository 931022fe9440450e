// What a region contains. The reading order keeps every delta from being negative, even while the process counts on.

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
  /** Whether a process held the lock just before the header was read. */
  readonly isHeld: boolean;
  readonly map: CellMap;
  /** By slot: the values at the last committed flush. */
  readonly flushed: BigUint64Array;
  /** By slot: the values of the line in flight, if there is one and no process holds the lock. */
  readonly inFlight: BigUint64Array | undefined;
  /** By slot: the values now. */
  readonly totals: BigUint64Array;
}

/** How often to read again because a line was flushed meanwhile. */
const ATTEMPTS = 10;
/**
 * How long to read again because devices were retired meanwhile. A process lets some milliseconds pass between two
 * retirements, see native/store/store.cc.
 */
const RETIRING_MS = 500;

/** @throws MetricsError `ERR_METRICS_REGION` if the file is damaged, or if no consistent reading is possible. */
export function readContent(file: RegionFile): RegionContent {
  let document: RegionDocument | undefined;
  let layout: Layout | undefined;
  const deadline = performance.now() + RETIRING_MS;
  for (let attempt = 1; ; attempt++) {
    // The lock before the header: close() writes the state before it unlocks.
    const isHeld = file.isHeld();
    const header = readHeader(file);
    document ??= readDocument(file, header);
    layout ??= checkedLayout(file, header, document);
    const isLast = attempt >= ATTEMPTS && performance.now() >= deadline;
    let content: RegionContent;
    try {
      content = { document, layout, header, isHeld, ...readValues(file, header, layout, isHeld) };
    } catch (error) {
      // A living process may have changed the file between two reads; then it is not damaged.
      if (isLast || isCurrent(file, header)) throw error;
      continue;
    }
    const now = wordsNow(file);
    const hasRetired = now.retiredEpoch !== header.retiredEpoch;
    if (now.commit === header.commit && !hasRetired) return content;
    // The cells of a retired device went back to 0, and another device may use them: sums over two epochs are wrong.
    if (hasRetired && isLast) throw file.trouble('its devices come and go too fast for a consistent reading');
    // A process that flushes all the time never shows the same commit word twice. The bank is then a mixture of past
    // flushes, so the pending values are still at least those since the last flush.
    if (!hasRetired && attempt >= ATTEMPTS) return content;
  }
}

function readValues(file: RegionFile, header: RegionHeader, layout: Layout, isHeld: boolean) {
  const map = CellMap.read(file, header, layout, isHeld);
  // Banks before shards: a counter only goes up, so a total that is read later is never less than the flushed value.
  const flushed = bySlot(bankRows(file, header, bankOf(header.commit)), map);
  const inFlight = isHeld || header.line === undefined ? undefined : bySlot(bankRows(file, header, bankOf(header.line.commit)), map);
  const totals = bySlot(totalRows(file, header, map), map);
  return { map, flushed, inFlight, totals };
}

function readDocument(file: RegionFile, header: RegionHeader): RegionDocument {
  const bytes = Buffer.alloc(header.documentBytes);
  const there = file.read(bytes, header.documentOffset);
  if (there < bytes.length) throw file.trouble(`it is cut short: only ${there} of its document's ${bytes.length} bytes are there`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw file.trouble('its document is not UTF-8', cause);
  }
  try {
    return documentFrom(text);
  } catch (cause) {
    throw file.trouble((cause as Error).message, cause);
  }
}

function checkedLayout(file: RegionFile, header: RegionHeader, { schema }: RegionDocument): Layout {
  const layout = layoutOf(schema);
  if (layout.fingerprint !== header.fingerprint) throw file.trouble('its schema does not match its fingerprint');
  return layout;
}

/** The values of all chunks, by slot. */
function bySlot(rows: Iterable<ChunkRow>, map: CellMap): BigUint64Array {
  const values = new BigUint64Array(map.slotKinds.length);
  for (const { words, firstCell } of rows) {
    for (let i = 0; i < words.length; i++) {
      const slot = map.slots[firstCell + i]!;
      // All removed devices of a group share slots, so their counters are added up.
      if (slot < values.length) values[slot] = map.slotKinds[slot] === CellKind.inc ? values[slot]! + words[i]! : words[i]!;
    }
  }
  return values;
}

/** The used cells of one chunk. The next chunk reuses the buffer. */
export interface ChunkRow {
  readonly chunk: number;
  readonly firstCell: number;
  readonly words: BigUint64Array;
}

/** The values in a bank. */
export function* bankRows(file: RegionFile, header: RegionHeader, bank: number): Generator<ChunkRow> {
  const buffer = pages(header.granuleBytes);
  for (const { chunk, firstCell, cells } of chunksOf(header)) {
    file.read(buffer.subarray(0, cells * 8), rowOffset(header, chunk, bank));
    yield { chunk, firstCell, words: wordsOf(buffer, 0, cells) };
  }
}

/** How many bytes of a chunk's shards to read at once: all of them if pages have 4 KiB. */
const READ_BYTES = 512 << 10;

/** The values now: each cell is combined over all shards, as its kind requires. */
export function* totalRows(file: RegionFile, header: RegionHeader, map: CellMap): Generator<ChunkRow> {
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
        if (buffer.compare(empty, 0, cells * 8, begin, begin + cells * 8) === 0) continue; // usually a hole in the file
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
      // A minimum is stored as its complement.
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

/** Where a row of a chunk begins in the file. */
export function rowOffset({ chunksOffset, granuleBytes }: RegionHeader, chunk: number, row: number): number {
  return chunksOffset + (chunk * ROWS + row) * granuleBytes;
}

function wordsOf(buffer: Buffer, offset: number, count: number): BigUint64Array {
  return new BigUint64Array(buffer.buffer, buffer.byteOffset + offset, count);
}
