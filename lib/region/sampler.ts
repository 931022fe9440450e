// Some values of a region over and over: what they are is found out once, and a sample is one read for each chunk that
// they are in.

import { CellKind, minimumOf } from '../layout.ts';
import { columnOf, type ProfileColumn } from '../profile/columns.ts';
import type { MappedDevice } from './cell-map.ts';
import { readContent, rowOffset } from './content.ts';
import { RegionFile } from './file.ts';
import {
  DIRECTORY_ENTRY_BYTES,
  DirectoryEntryOffset,
  ENTRY_STATE_BITS,
  EntryState,
  FIRST_DIRECTORY_ROW,
  FIRST_SHARD_ROW,
  HeaderOffset,
  SHARDS,
} from './format.ts';
import type { RegionHeader } from './header.ts';
import { pages } from './pages.ts';
import { type RegionState, writerState } from './reader.ts';

/** A column, and where its cell is. */
interface SampledCell {
  readonly kind: number;
  readonly chunk: number;
  /** In bytes from the start of a row. */
  readonly at: number;
  /** Whose it is; undefined for the schema's own. */
  readonly device: MappedDevice | undefined;
}

export class RegionSampler {
  readonly columns: readonly ProfileColumn[];
  /** The store's name. */
  readonly name: string;
  readonly #file: RegionFile;
  readonly #header: RegionHeader;
  readonly #cells: readonly SampledCell[];
  readonly #rows = new Map<number, Buffer>();
  readonly #counts = pages(HeaderOffset.reserved - HeaderOffset.commit);
  /** What the header's word was when the devices were last found to be there. */
  #retiredEpoch: bigint;
  /** Columns of devices that are gone; their cells are another's by now. */
  readonly #gone = new Map<number, bigint>();
  readonly #last: BigUint64Array;

  private constructor(
    file: RegionFile,
    header: RegionHeader,
    name: string,
    columns: readonly ProfileColumn[],
    kinds: readonly number[],
    devices: readonly (MappedDevice | undefined)[],
  ) {
    this.#file = file;
    this.#retiredEpoch = header.retiredEpoch;
    this.#header = header;
    this.name = name;
    this.columns = columns;
    this.#last = new BigUint64Array(columns.length);
    const perChunk = header.granuleBytes / 8;
    this.#cells = columns.map(({ cell }, i) => ({
      kind: kinds[i]!,
      chunk: Math.floor(cell / perChunk),
      at: (cell % perChunk) * 8,
      device: devices[i],
    }));
    for (const { chunk } of this.#cells) this.#rows.set(chunk, Buffer.alloc(0));
  }

  /**
   * Opens a region file, and finds the metrics in it.
   * @throws RangeError, naming the metric, for one that is not there; MetricsError `ERR_METRICS_REGION` as
   * readRegion().
   */
  static open(path: string, names: readonly string[]): RegionSampler {
    const file = RegionFile.open(path);
    try {
      const { header, document, layout, map } = readContent(file);
      const devicesOf = (group: number) => map.devices[group]!.map((device) => ({ ...device, firstCell: device.regionCell }));
      const columns = names.map((name) => columnOf('--metrics', name, layout, devicesOf));
      const kinds = columns.map(({ cell }) => map.kinds[cell]!);
      const devices = columns.map(({ cell }) =>
        layout.devices
          .flatMap(({ group, cellKinds }) => map.devices[group]!.map((device) => ({ device, end: device.regionCell + cellKinds.length })))
          .find(({ device, end }) => device.regionCell >= 0 && cell >= device.regionCell && cell < end),
      );
      return new RegionSampler(
        file,
        header,
        document.name,
        columns,
        kinds,
        devices.map((found) => found?.device),
      );
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * The values now, column by column, into `values` from `first`. Each is read in one piece; together they are of one
   * moment or nearly so.
   */
  sample(values: BigUint64Array, first: number): void {
    const shards = this.#shards();
    const { granuleBytes } = this.#header;
    for (const chunk of this.#rows.keys()) {
      let rows = this.#rows.get(chunk)!;
      if (rows.length !== shards * granuleBytes) {
        rows = pages(shards * granuleBytes);
        this.#rows.set(chunk, rows);
      }
      this.#file.readAll(rows, rowOffset(this.#header, chunk, FIRST_SHARD_ROW));
    }
    this.#checkDevices();
    this.#cells.forEach(({ kind, chunk, at }, i) => {
      const gone = this.#gone.get(i);
      if (gone !== undefined) {
        values[first + i] = gone;
        return;
      }
      const rows = this.#rows.get(chunk)!;
      let value = rows.readBigUInt64LE(at);
      // The maximum tells a minimum of 2^64-1 from none; it is the next cell.
      let max = kind === CellKind.min ? rows.readBigUInt64LE(at + 8) : 0n;
      for (let begin = granuleBytes; kind !== CellKind.store && begin < rows.length; begin += granuleBytes) {
        const word = rows.readBigUInt64LE(begin + at);
        if (kind === CellKind.inc) value += word;
        else if (word > value) value = word;
        if (kind === CellKind.min && rows.readBigUInt64LE(begin + at + 8) > max) max = rows.readBigUInt64LE(begin + at + 8);
      }
      this.#last[i] = kind === CellKind.min ? minimumOf(value, max) : value; // which wraps as the counter does
      values[first + i] = this.#last[i]!;
    });
  }

  /** How its writer is by now. */
  state(): RegionState {
    return writerState(this.#file);
  }

  close(): void {
    this.#file.close();
  }

  /**
   * After the rows: a device that is there now was there when they were read. Of one that is gone, the last value
   * stays.
   */
  #checkDevices(): void {
    this.#file.readAll(this.#counts, HeaderOffset.commit);
    const epoch = this.#counts.readBigUInt64LE(HeaderOffset.retiredEpoch - HeaderOffset.commit);
    if (epoch === this.#retiredEpoch) return;
    this.#retiredEpoch = epoch;
    this.#cells.forEach(({ device }, i) => {
      if (device === undefined || this.#gone.has(i) || this.#isThere(device)) return;
      this.#gone.set(i, this.#last[i]!);
    });
  }

  #isThere({ entry, state }: MappedDevice): boolean {
    const perChunk = this.#header.granuleBytes / 8;
    const at = rowOffset(this.#header, Math.floor(entry / perChunk), FIRST_DIRECTORY_ROW) + (entry % perChunk) * DIRECTORY_ENTRY_BYTES;
    const word = pages(4);
    this.#file.readAll(word, at + DirectoryEntryOffset.state);
    const now = word.readUInt32LE();
    const kind = now & (2 ** ENTRY_STATE_BITS - 1);
    return now >>> ENTRY_STATE_BITS === state >>> ENTRY_STATE_BITS && (kind === EntryState.living || kind === EntryState.removed);
  }

  /** Shards are claimed while it is sampled. What a damaged file claims is believed as far as there can be shards. */
  #shards(): number {
    this.#file.readAll(this.#counts, HeaderOffset.commit); // with what stands in the same line of the cache
    return Math.min(SHARDS, Math.max(1, this.#counts.readUInt32LE(HeaderOffset.shardsUsed - HeaderOffset.commit)));
  }
}
