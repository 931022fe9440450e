// Some values of a region over and over: what they are is found out once, and a sample is one read for each chunk that they are in.

import { CellKind, minimumOf } from '../layout.ts';
import { columnOf, type ProfileColumn } from '../profile-columns.ts';
import { readContent, rowOffset } from './content.ts';
import { RegionFile } from './file.ts';
import { FIRST_SHARD_ROW, HeaderOffset, SHARDS } from './format.ts';
import type { RegionHeader } from './header.ts';
import { pages } from './pages.ts';
import { type RegionState, stateOf } from './reader.ts';

/** A column, and where its cell is. */
interface SampledCell {
  readonly kind: number;
  readonly chunk: number;
  /** In bytes from the start of a row. */
  readonly at: number;
}

export class RegionSampler {
  readonly columns: readonly ProfileColumn[];
  /** The store's name. */
  readonly name: string;
  readonly #file: RegionFile;
  readonly #header: RegionHeader;
  readonly #cells: readonly SampledCell[];
  readonly #rows = new Map<number, Buffer>();
  readonly #counts = pages(64);

  private constructor(file: RegionFile, header: RegionHeader, name: string, columns: readonly ProfileColumn[], kinds: readonly number[]) {
    this.#file = file;
    this.#header = header;
    this.name = name;
    this.columns = columns;
    const perChunk = header.granuleBytes / 8;
    this.#cells = columns.map(({ cell }, i) => ({ kind: kinds[i]!, chunk: Math.floor(cell / perChunk), at: (cell % perChunk) * 8 }));
    for (const { chunk } of this.#cells) this.#rows.set(chunk, Buffer.alloc(0));
  }

  /**
   * Opens a region file, and finds the metrics in it.
   * @throws RangeError, naming the metric, for one that is not there; MetricsError `ERR_METRICS_REGION` as readRegion().
   */
  static open(path: string, names: readonly string[]): RegionSampler {
    const file = RegionFile.open(path);
    try {
      const { header, document, layout, map } = readContent(file);
      const devicesOf = (group: number) => map.devices[group]!.map((device) => ({ ...device, firstCell: device.regionCell }));
      const columns = names.map((name) => columnOf('--metrics', name, layout, devicesOf));
      const kinds = columns.map(({ cell }) => map.kinds[cell]!);
      return new RegionSampler(file, header, document.name, columns, kinds);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The values now, column by column, into `values` from `first`. Each is read in one piece; together they are of one moment or nearly so. */
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
    this.#cells.forEach(({ kind, chunk, at }, i) => {
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
      values[first + i] = kind === CellKind.min ? minimumOf(value, max) : value; // which wraps as the counter does
    });
  }

  /** How its writer is by now. */
  state(): RegionState {
    return stateOf(this.#file);
  }

  close(): void {
    this.#file.close();
  }

  /** Shards are claimed while it is sampled. What a damaged file claims is believed as far as there can be shards. */
  #shards(): number {
    this.#file.readAll(this.#counts, HeaderOffset.commit); // with what stands in the same line of the cache
    return Math.min(SHARDS, Math.max(1, this.#counts.readUInt32LE(HeaderOffset.shardsUsed - HeaderOffset.commit)));
  }
}
