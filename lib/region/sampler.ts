// Samples a few values of a region many times. It looks up the cells once; a sample is then one read per chunk. Native
// code takes most samples, see FileSampler. It asks here for a sample when more than values has changed.

import type { SampledFile } from '../binding-readers.ts';
import { CellKind, isSum, minimumOf } from '../layout.ts';
import { columnOf, type ProfileColumn } from '../profile/columns.ts';
import type { MappedDevice } from './cell-map.ts';
import { readContent } from './content.ts';
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
import { HeaderReader, type RegionHeader } from './header.ts';
import { pages } from './pages.ts';
import { type RegionState, writerState } from './reader.ts';
import { rowOffset } from './rows.ts';

/** A column, and where its cell is. */
interface SampledCell {
  readonly kind: number;
  readonly chunk: number;
  /** Its offset in a row, in bytes. */
  readonly at: number;
  /** The device that it belongs to; undefined for a cell of the schema. */
  readonly device: MappedDevice | undefined;
}

export class RegionSampler {
  readonly columns: readonly ProfileColumn[];
  /** The store's name. */
  readonly name: string;
  readonly #file: RegionFile;
  readonly #headers = new HeaderReader();
  readonly #header: RegionHeader;
  readonly #cells: readonly SampledCell[];
  readonly #rows = new Map<number, Buffer>();
  readonly #counts = pages(HeaderOffset.reserved - HeaderOffset.commit);
  /** The value of this word of the header when the devices were last checked. */
  #retiredEpoch: bigint;
  /** The last values of columns whose device is gone: another device may use the cells. */
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
   * Opens a region file and finds the metrics in it.
   * @throws RangeError for an unknown metric, with its name; MetricsError `ERR_METRICS_REGION` as readRegion().
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
   * Writes the current values to `values`, from index `first` on, in the order of the columns. Each value is exact, and
   * all are read at nearly the same moment.
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
      // The next cell, the maximum, tells whether there is a minimum: a complement of 0 alone could mean 2^64-1.
      let max = kind === CellKind.min ? rows.readBigUInt64LE(at + 8) : 0n;
      for (let begin = granuleBytes; kind !== CellKind.store && begin < rows.length; begin += granuleBytes) {
        const word = rows.readBigUInt64LE(begin + at);
        if (isSum(kind)) value += word;
        else if (word > value) value = word;
        if (kind === CellKind.min && rows.readBigUInt64LE(begin + at + 8) > max) max = rows.readBigUInt64LE(begin + at + 8);
      }
      this.#last[i] = kind === CellKind.min ? minimumOf(value, max) : value; // wraps at 2^64, as the counter does
      values[first + i] = this.#last[i]!;
    });
  }

  /** Takes over the values of a sample that native code has taken, from index `first` on. */
  keep(values: BigUint64Array, first: number): void {
    this.#last.set(values.subarray(first, first + this.#last.length));
  }

  /** What native code must know to take the next samples. */
  native(): SampledFile {
    const { granuleBytes, chunksOffset } = this.#header;
    const chunks = [...this.#rows.keys()];
    return {
      descriptor: this.#file.descriptor,
      granuleBytes,
      chunksOffset,
      retiredEpoch: this.#retiredEpoch,
      chunks: Uint32Array.from(chunks),
      columns: this.#cells.map(({ kind, chunk, at }, i) => ({ kind, chunk: chunks.indexOf(chunk), at, gone: this.#gone.get(i) })),
    };
  }

  /** The state of the writer now. */
  state(): RegionState {
    return writerState(this.#file, this.#headers);
  }

  close(): void {
    this.#file.close();
  }

  /**
   * Called after the rows were read: a device that exists now also existed then. A column whose device is gone keeps
   * its last value.
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

  /**
   * How many shards are in use now; more may be claimed between samples. A damaged file cannot claim more than SHARDS.
   */
  #shards(): number {
    this.#file.readAll(this.#counts, HeaderOffset.commit); // the whole cache line that contains the count
    return Math.min(SHARDS, Math.max(1, this.#counts.readUInt32LE(HeaderOffset.shardsUsed - HeaderOffset.commit)));
  }
}
