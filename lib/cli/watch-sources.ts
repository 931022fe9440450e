// What `vmm-metrics watch` reads: region files over time, so that counters have rates.

import { type RegionReading, readRegion } from '../region/reader.ts';
import { regionsOf } from './regions.ts';
import { type MetricRow, rowsOf } from './rows.ts';
import { plain } from './terminal-text.ts';

/** One file over time. */
export interface WatchSource {
  readonly path: string;
  reading: RegionReading | undefined;
  /** The totals of the reading before, if the same process wrote it. */
  earlier: ReadonlyMap<string, bigint>;
  /** The time between the two readings. */
  seconds: number;
  readAtMs: number;
  /** Why there is no newer reading. */
  trouble: string | undefined;
  /** How often another process has taken the file over. */
  takeovers: number;
}

export interface WatchedRow extends MetricRow {
  readonly source: WatchSource;
  /** The store's name. */
  readonly store: string;
  /** Per second; undefined for a store metric, and until there are two readings. */
  readonly rate: number | undefined;
}

export class WatchSources {
  readonly #path: string;
  readonly #all = new Map<string, WatchSource>();

  /** `path` is a region file, or a directory of such files. */
  constructor(path: string) {
    this.#path = path;
  }

  get all(): WatchSource[] {
    return [...this.#all.values()];
  }

  /** Reads each file again, new files of the directory too. A file that has gone keeps its last reading. */
  async refresh(): Promise<void> {
    let paths: readonly string[] = [...this.#all.keys()];
    try {
      paths = [...new Set([...paths, ...(await regionsOf(this.#path)).paths])];
    } catch {
      // The directory is gone; each of its files reports that.
    }
    for (const path of paths) {
      let source = this.#all.get(path);
      if (source === undefined) {
        source = { path, reading: undefined, earlier: new Map(), seconds: 0, readAtMs: 0, trouble: undefined, takeovers: 0 };
        this.#all.set(path, source);
      }
      await read(source);
    }
  }
}

async function read(source: WatchSource): Promise<void> {
  let reading: RegionReading;
  try {
    reading = await readRegion(source.path);
  } catch (error) {
    const { cause, message } = error as Error;
    const isGone = (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    source.trouble = isGone ? 'the file is gone; these are its last numbers' : plain(message);
    return;
  }
  const now = performance.now();
  const before = source.reading;
  const isSame = before !== undefined && before.pid === reading.pid && before.startedAt.getTime() === reading.startedAt.getTime();
  if (before !== undefined && !isSame) source.takeovers++;
  source.earlier = isSame ? totalsOf(before) : new Map();
  source.seconds = (now - source.readAtMs) / 1000;
  source.readAtMs = now;
  source.reading = reading;
  source.trouble = undefined;
}

const keyOf = ({ section, name }: MetricRow) => `${section}\n${name}`;
const totalsOf = (reading: RegionReading) => new Map(rowsOf(reading).map((row) => [keyOf(row), row.total]));

export function watchedRows(source: WatchSource): WatchedRow[] {
  const { reading, earlier, seconds } = source;
  if (reading === undefined) return [];
  const store = plain(reading.name);
  return rowsOf(reading).map((row) => {
    const before = earlier.get(keyOf(row));
    const hasRate = before !== undefined && row.kind !== 'store' && seconds > 0;
    return { ...row, source, store, rate: hasRate ? Number(BigInt.asUintN(64, row.total - before)) / seconds : undefined };
  });
}
