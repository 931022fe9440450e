// What a region contains. The order of reading ensures that no delta is negative, even while the process counts on.

import type { KnownRegionSpec } from '../binding-readers.ts';
import type { RegionDocument } from '../document.ts';
import { fingerprintOf } from '../fingerprint.ts';
import type { Layout } from '../layout.ts';
import { CellMap } from './cell-map.ts';
import { Directory } from './directory.ts';
import { type DecodedDocument, decodedDocument } from './documents.ts';
import type { RegionFile } from './file.ts';
import { bankOf, CELLS_MAX, FIRST_SHARD_ROW, HEADER_BYTES, hasCounts } from './format.ts';
import { HeaderReader, type RegionHeader, wordsNow } from './header.ts';
import { readRows } from './rows.ts';

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

/** How many times to read again because a line was flushed meanwhile. */
const ATTEMPTS = 10;
/**
 * How long to read again because devices were retired meanwhile. A process lets some milliseconds pass between two
 * retirements, see native/store/store_devices.cc.
 */
const RETIRING_MS = 500;

/** @throws MetricsError `ERR_METRICS_REGION` if the file is damaged, or if no consistent reading is possible. */
export function readContent(file: RegionFile): RegionContent {
  return new ContentReader().read(file);
}

/** What a reading of a file may take. */
export interface ReadingLimits {
  /** How long to read again because devices were retired meanwhile. Default: half a second. */
  readonly patienceMs?: number;
  /** How many cells a region may have. Default: as many as a store can have. */
  readonly cellsMax?: number;
}

/**
 * Reads one file repeatedly. Each part is decoded again only if its bytes changed. The values are always read into the
 * same memory, so a content is valid until the next reading.
 */
export class ContentReader {
  readonly #limits: Required<ReadingLimits>;
  readonly #headers = new HeaderReader();
  readonly #directory = new Directory();
  #decoded: DecodedDocument | undefined;
  /** The header with which the document was read. */
  #decodedHeader: RegionHeader | undefined;
  #map: CellMap | undefined;
  /** The header and the lock with which the directory was decoded. */
  #mapped: { readonly header: RegionHeader; readonly isHeld: boolean } | undefined;
  /** What native code reads: its header, and then the memory of the arrays `flushed` and `totals`. */
  #results = new ArrayBuffer(HEADER_BYTES);
  #flushed = new BigUint64Array();
  #inFlight = new BigUint64Array();
  #totals = new BigUint64Array();

  constructor({ patienceMs = RETIRING_MS, cellsMax = CELLS_MAX }: ReadingLimits = {}) {
    this.#limits = { patienceMs, cellsMax };
  }

  /**
   * @param sizeBefore The size of the file a moment ago, if it is known.
   * @throws MetricsError `ERR_METRICS_REGION` if the file is damaged, or if no consistent reading is possible.
   */
  read(file: RegionFile, sizeBefore?: number): RegionContent {
    let deadline: number | undefined;
    for (let attempt = 1; ; attempt++) {
      // The lock before the header: close() writes the state before it unlocks.
      const isHeld = file.isHeld();
      const header = this.#headers.read(file, sizeBefore);
      const { cellsMax } = this.#limits;
      if (header.cellsUsed > cellsMax) throw file.trouble(`it has ${header.cellsUsed} cells, and this reader takes at most ${cellsMax}`);
      const { document, layout } = this.#documentOf(file, header);
      let content: RegionContent | undefined;
      let failure: unknown;
      try {
        content = { document, layout, header, isHeld, ...this.#readValues(file, header, layout, isHeld) };
      } catch (error) {
        this.#map = undefined;
        failure = error;
      }
      const now = wordsNow(file);
      const hasFlushed = now.commit !== header.commit;
      const hasRetired = now.retiredEpoch !== header.retiredEpoch;
      if (!hasFlushed && !hasRetired && content !== undefined) return content;
      deadline ??= performance.now() + this.#limits.patienceMs;
      const isLast = attempt >= ATTEMPTS && performance.now() >= deadline;
      if (content === undefined) {
        // A living process may have changed the file between two reads; then it is not damaged.
        if (isLast || (!hasFlushed && !hasRetired)) throw failure;
        continue;
      }
      // The cells of a retired device went back to 0, and another device may use them: sums over two epochs are wrong.
      if (hasRetired && isLast) throw file.trouble('its devices come and go too fast for a consistent reading');
      // A process that flushes all the time never shows the same commit word twice. The bank is then a mixture of past
      // flushes. So a pending value may be too large, but it is never less than what was counted since the last flush.
      if (!hasRetired && attempt >= ATTEMPTS) return content;
    }
  }

  /**
   * What native code must know to read the file again; undefined if it cannot. It cannot if there is a line in flight,
   * which has to be settled first, or if the region is degraded, since that region says nothing about its length. The
   * values go into the arrays of the last content.
   */
  known(file: RegionFile, { header, isHeld, map }: RegionContent): KnownRegionSpec | undefined {
    const directory = this.#directory.kept;
    if (directory === undefined || header.degraded || (!isHeld && header.line !== undefined)) return undefined;
    const { granuleBytes, chunksOffset, shardsUsed } = header;
    return {
      descriptor: file.descriptor,
      path: file.path,
      isDescriptorLink: file.isDescriptorLink,
      isHeld,
      header: this.#headers.bytes,
      directory,
      kinds: map.kinds,
      slots: map.slots,
      granuleBytes,
      chunksOffset,
      shardsUsed,
      results: this.#results,
    };
  }

  /** The content after native code has read the file again, and found a line flushed. */
  flushedMeanwhile(file: RegionFile): RegionHeader {
    const header = this.#headers.decode(file, Buffer.from(this.#results, 0, HEADER_BYTES));
    this.#decodedHeader = header;
    return header;
  }

  /** A process writes its document once. The document of another process may be different, also in the same file. */
  #documentOf(file: RegionFile, header: RegionHeader): DecodedDocument {
    if (this.#decoded === undefined || !isSameLife(header, this.#decodedHeader!)) {
      this.#decoded = undefined;
      this.#map = undefined;
      this.#decoded = readDocument(file, header);
    }
    this.#decodedHeader = header;
    return this.#decoded;
  }

  #readValues(file: RegionFile, header: RegionHeader, layout: Layout, isHeld: boolean) {
    const map = this.#mapOf(file, header, layout, isHeld);
    const { slotKinds } = map;
    if (this.#totals.length !== slotKinds.length) {
      const bytes = 8 * slotKinds.length;
      this.#results = new ArrayBuffer(HEADER_BYTES + 2 * bytes);
      this.#flushed = new BigUint64Array(this.#results, HEADER_BYTES, slotKinds.length);
      this.#totals = new BigUint64Array(this.#results, HEADER_BYTES + bytes, slotKinds.length);
      this.#inFlight = new BigUint64Array();
    }
    // Banks before shards: a counter only goes up, so its total, which is read later, is never less than its flushed
    // value.
    readRows(file, header, map, bankOf(header.commit), 1, this.#flushed);
    const hasInFlight = !isHeld && header.line !== undefined;
    if (hasInFlight) {
      if (this.#inFlight.length === 0) this.#inFlight = new BigUint64Array(slotKinds.length);
      readRows(file, header, map, bankOf(header.line.commit), 1, this.#inFlight);
    }
    readRows(file, header, map, FIRST_SHARD_ROW, header.shardsUsed, this.#totals);
    return { map, flushed: this.#flushed, inFlight: hasInFlight ? this.#inFlight : undefined, totals: this.#totals };
  }

  #mapOf(file: RegionFile, header: RegionHeader, layout: Layout, isHeld: boolean): CellMap {
    const mapped = this.#mapped;
    const isSame = mapped !== undefined && isHeld === mapped.isHeld && hasSameCounts(header, mapped.header);
    const countsChanges = header.directoryChanges !== 0n;
    if (this.#map !== undefined && isSame && (countsChanges || this.#directory.isUnchanged(file, header))) return this.#map;
    this.#map = undefined;
    this.#map = CellMap.read(file, header, layout, isHeld, this.#directory);
    this.#mapped = { header, isHeld };
    return this.#map;
  }
}

/** Whether the same run of the same process wrote both headers, with the document at the same place. */
function isSameLife(a: RegionHeader, b: RegionHeader): boolean {
  return (
    a === b ||
    (a.pid === b.pid &&
      a.startTicks === b.startTicks &&
      a.startedAt.getTime() === b.startedAt.getTime() &&
      a.bootId === b.bootId &&
      a.fingerprint === b.fingerprint &&
      a.version === b.version &&
      a.documentOffset === b.documentOffset &&
      a.documentBytes === b.documentBytes)
  );
}

/** Whether an unchanged directory has the same meaning with both headers, and no change of it was counted. */
function hasSameCounts(a: RegionHeader, b: RegionHeader): boolean {
  return (
    a === b ||
    (a.cellsUsed === b.cellsUsed &&
      a.devicesUsed === b.devicesUsed &&
      a.retiredEpoch === b.retiredEpoch &&
      a.directoryChanges === b.directoryChanges &&
      a.degraded === b.degraded &&
      a.granuleBytes === b.granuleBytes)
  );
}

function readDocument(file: RegionFile, header: RegionHeader): DecodedDocument {
  const bytes = Buffer.alloc(header.documentBytes);
  const there = file.read(bytes, header.documentOffset);
  if (there < bytes.length) throw file.trouble(`it is cut short: only ${there} of its document's ${bytes.length} bytes are there`);
  let decoded: DecodedDocument;
  try {
    decoded = decodedDocument(bytes, hasCounts(header.version) ? 'counted' : 'uncounted');
  } catch (cause) {
    throw file.trouble((cause as Error).message, cause);
  }
  if (fingerprintOf(decoded.layout) !== header.fingerprint) throw file.trouble('its schema does not match its fingerprint');
  return decoded;
}
