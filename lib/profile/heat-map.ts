// A distribution over time: how many values came in each interval, in rows of buckets. Pure.

/** What a histogram counted in one interval, as a flushed line says it. */
export interface CountedBuckets {
  /** Each power of two has 2^scale buckets. */
  readonly scale: number;
  /** How many values were too small for any other bucket. */
  readonly zeroCount: number;
  /** Bucket number `offset + i` has the values above 2^((offset + i) / 2^scale), up to the next edge. */
  readonly offset: number;
  readonly counts: readonly number[];
}

export type HeatUnit = 'seconds' | 'bytes' | 'ones';

export interface HeatMap {
  readonly title: string;
  readonly unit: HeatUnit;
  /** The edges of the intervals, in seconds: one more than there are columns. */
  readonly edges: readonly number[];
  /** Each power of two has 2^scale rows. Row `i` has the values above 2^(i / 2^scale), up to the next edge. */
  readonly scale: number;
  /** The number of the lowest row, and how many rows there are. */
  readonly first: number;
  readonly rows: number;
  /** Whether the lowest row has the values that are too small for any bucket. */
  readonly hasZeros: boolean;
  /** The counts of each interval, from the row `first + begin` on. */
  readonly columns: readonly { readonly begin: number; readonly counts: readonly number[] }[];
}

/** More rows than this could not be told apart. */
const ROWS_MAX = 64;

/** A histogram over time, as a file says it. */
export interface Distribution {
  readonly path: string;
  readonly unit: HeatUnit;
  /** The edges of the intervals, one more than there are entries in `counted`. */
  readonly edges: readonly number[];
  /** What each interval has counted; undefined for nothing. */
  readonly counted: readonly (CountedBuckets | undefined)[];
}

/**
 * The maps of one metric in several processes. They share their rows, so that they can be compared. A process that has
 * counted nothing has no map.
 */
export function heatMapsOf(sources: readonly { readonly title: string; readonly distribution: Distribution }[]): HeatMap[] {
  const some = sources.filter(({ distribution: { counted } }) => counted.some((one) => one !== undefined && !isEmpty(one)));
  const all = some.flatMap(({ distribution }) => distribution.counted).filter((one) => one !== undefined);
  return some.map(({ title, distribution }) => heatMapOf(title, distribution, all));
}

function isEmpty({ zeroCount, counts }: CountedBuckets): boolean {
  return zeroCount === 0 && counts.length === 0;
}

/** The rows of the map have room for `all`. */
function heatMapOf(title: string, { unit, edges, counted }: Distribution, all: readonly CountedBuckets[]): HeatMap {
  const full = all.filter(({ counts }) => counts.length > 0);
  const hasZeros = all.some(({ zeroCount }) => zeroCount > 0);
  let scale = Math.min(...full.map((one) => one.scale), 20);
  const rowAt = (index: number, from: number) => Math.floor(index / 2 ** (from - scale));
  const lowest = () => Math.min(...full.map((one) => rowAt(one.offset, one.scale)));
  const highest = () => Math.max(...full.map((one) => rowAt(one.offset + one.counts.length - 1, one.scale)));
  while (full.length > 0 && highest() - lowest() >= ROWS_MAX) scale--;
  const bottom = full.length === 0 ? 0 : lowest();
  const first = hasZeros ? bottom - 1 : bottom;
  const rowCount = full.length === 0 ? 1 : highest() - first + 1;
  const columns = counted.map((one) => {
    const rows = new Map<number, number>();
    const add = (row: number, count: number) => {
      if (count > 0) rows.set(row, (rows.get(row) ?? 0) + count);
    };
    add(0, one?.zeroCount ?? 0);
    one?.counts.forEach((count, i) => {
      add(rowAt(one.offset + i, one.scale) - first, count);
    });
    const begin = Math.min(...rows.keys());
    if (rows.size === 0) return { begin: 0, counts: [] };
    return { begin, counts: Array.from({ length: Math.max(...rows.keys()) - begin + 1 }, (_, i) => rows.get(begin + i) ?? 0) };
  });
  return { title, unit, edges, scale, first, rows: rowCount, hasZeros, columns };
}

/** Columns that were put together, for a screen that cannot show each. */
export interface HeatColumn {
  readonly from: number;
  readonly to: number;
  readonly total: number;
  /** The count of each row, from the lowest row on. */
  readonly counts: readonly number[];
  /** The row below which half of the values are, and 99 percent; null if there are no values. */
  readonly p50: number | null;
  readonly p99: number | null;
}

/**
 * The columns from `min` to `max`, each at least `least` seconds long. The page takes the function as text, so it uses
 * nothing from outside itself.
 */
export function heatColumnsOf({ edges, columns }: HeatMap, min: number, max: number, least: number): HeatColumn[] {
  const all: HeatColumn[] = [];
  const finish = (from: number, to: number, counts: number[]) => {
    const total = counts.reduce((sum, count) => sum + (count ?? 0), 0);
    const rowOf = (share: number) => {
      let below = 0;
      for (let row = 0; row < counts.length; row++) {
        below += counts[row] ?? 0;
        if (below >= total * share) return row;
      }
      return null;
    };
    all.push({ from, to, total, counts, p50: total > 0 ? rowOf(0.5) : null, p99: total > 0 ? rowOf(0.99) : null });
  };
  let counts: number[] = [];
  let from: number | undefined;
  columns.forEach((column, i) => {
    const to = edges[i + 1]!;
    if (to < min || edges[i]! > max) return;
    from ??= edges[i]!;
    column.counts.forEach((count, k) => {
      const row = column.begin + k;
      while (counts.length <= row) counts.push(0);
      counts[row]! += count;
    });
    if (to - from < least && i < columns.length - 1) return;
    finish(from, to, counts);
    counts = [];
    from = undefined;
  });
  if (from !== undefined) finish(from, edges.at(-1)!, counts);
  return all;
}
