// What `vmm-metrics watch` reads: region files over time, so that counters have rates.

import { KeptRegions } from '../region/kept-regions.ts';
import { type RegionSummary, summaryOf } from '../region/reader.ts';
import { findRegions } from '../region/region-paths.ts';
import type { SettledContent } from '../region/settled.ts';
import { type MetricRow, type RowValues, rowsOf } from './rows.ts';
import { plain } from './terminal-text.ts';

/** One file over time. */
export interface WatchSource {
  readonly path: string;
  /** The last reading. */
  summary: RegionSummary | undefined;
  values: RowValues | undefined;
  /** The values of the reading before, if the same process wrote them. */
  earlier: RowValues | undefined;
  /** The time between the two readings. */
  seconds: number;
  readAtMs: number;
  /** Why there is no newer reading. */
  trouble: string | undefined;
  /** How often another process has taken the file over. */
  takeovers: number;
  /** The last rates of each metric, by its name. The newest one is the last. */
  trends: Map<string, number[]>;
}

export interface WatchedRow extends MetricRow {
  readonly source: WatchSource;
  /** The store's name. */
  readonly store: string;
  /** The increase per second; undefined for a store metric, and until there are two readings. */
  readonly rate: number | undefined;
  /** The last rates. */
  readonly trend: readonly number[];
}

export class WatchSources {
  readonly #paths: readonly string[];
  readonly #all = new Map<string, WatchSource>();
  readonly #regions = new KeptRegions();

  /** What the paths stand for, findRegions() says. */
  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  get all(): WatchSource[] {
    return [...this.#all.values()];
  }

  /** Closes all files. refresh() opens them again. */
  close(): void {
    this.#regions.close();
  }

  /** Reads each file again, and new files. A file that is gone keeps its last reading. */
  refresh(): void {
    // If a folder is gone, each of its files reports that.
    const { regions } = findRegions(this.#paths, { known: this.#all });
    const paths = [...new Set([...this.#all.keys(), ...regions.map(({ path }) => path)])];
    for (const { path, content, error } of this.#regions.readAll(paths)) {
      let source = this.#all.get(path);
      if (source === undefined) {
        source = {
          path,
          summary: undefined,
          values: undefined,
          earlier: undefined,
          seconds: 0,
          readAtMs: 0,
          trouble: undefined,
          takeovers: 0,
          trends: new Map(),
        };
        this.#all.set(path, source);
      }
      if (content === undefined) source.trouble = troubleOf(error as Error);
      else update(source, content);
    }
  }
}

function troubleOf({ cause, message }: Error): string {
  const isGone = (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
  return isGone ? 'the file is gone; these are its last numbers' : plain(message);
}

function update(source: WatchSource, content: SettledContent): void {
  const summary = summaryOf(content);
  const { layout, map, totals, before } = content;
  // The values are copied, because the next reading overwrites the arrays.
  const values = { layout, map, totals: totals.slice(), before: before.slice() };
  const now = performance.now();
  const last = source.summary;
  const isSame = last !== undefined && last.pid === summary.pid && last.startedAt.getTime() === summary.startedAt.getTime();
  if (last !== undefined && !isSame) source.takeovers++;
  source.earlier = isSame ? source.values : undefined;
  source.seconds = (now - source.readAtMs) / 1000;
  source.readAtMs = now;
  source.summary = summary;
  source.values = values;
  source.trouble = undefined;
  if (!isSame) source.trends = new Map();
  for (const row of watchedRows(source, false).rows) {
    if (row.rate === undefined) continue;
    const trend = source.trends.get(nameOf(row)) ?? [];
    source.trends.set(nameOf(row), trend);
    trend.push(row.rate);
    if (trend.length > TREND_LENGTH) trend.shift();
  }
}

/** How many rates a trend has. */
const TREND_LENGTH = 16;

export interface WatchedRows {
  readonly rows: readonly WatchedRow[];
  /** How many metrics have no row because all their numbers are zero. */
  readonly hidden: number;
}

/** The rows of each reading, so that a key that only scrolls computes nothing again. */
const known = new WeakMap<RowValues, Map<boolean, WatchedRows>>();

export function watchedRows(source: WatchSource, zeros: boolean): WatchedRows {
  const { summary, values } = source;
  if (summary === undefined || values === undefined) return { rows: [], hidden: 0 };
  const made = known.get(values) ?? new Map<boolean, WatchedRows>();
  known.set(values, made);
  const rows = made.get(zeros) ?? makeRows(source, summary, values, zeros);
  made.set(zeros, rows);
  return rows;
}

function makeRows(source: WatchSource, summary: RegionSummary, values: RowValues, zeros: boolean): WatchedRows {
  const { earlier, seconds } = source;
  const store = plain(summary.name);
  const isSameMap = earlier?.map === values.map;
  const { rows, hidden } = rowsOf(values, { zeros, earlier: isSameMap ? earlier?.totals : undefined });
  // When devices come or go, the map changes, so rows are matched by name.
  const totals = isSameMap || earlier === undefined ? undefined : totalsByName(earlier);
  const rateOf = (row: MetricRow) => {
    const before = totals === undefined ? row.earlier : totals.get(nameOf(row));
    const hasRate = before !== undefined && row.kind !== 'store' && seconds > 0;
    return hasRate ? Number(BigInt.asUintN(64, row.total - before)) / seconds : undefined;
  };
  const { trends } = source;
  return {
    rows: rows.map((row) => ({
      ...{ ...row, source, store, rate: rateOf(row) },
      get trend() {
        return trends.get(nameOf(row)) ?? [];
      },
    })),
    hidden,
  };
}

const nameOf = ({ section, name }: MetricRow) => `${section}\n${name}`;
const totalsByName = (values: RowValues) => new Map(rowsOf(values, { zeros: true }).rows.map((row) => [nameOf(row), row.total]));
