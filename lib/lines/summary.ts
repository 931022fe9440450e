// What many lines say together: sums and rates of counters, and the last, least and largest value of gauges. Pure.

import type { CountedBuckets, Distribution, HeatUnit } from '../profile/heat-map.ts';
import type { ProfileTable } from '../profile/table.ts';
import type { LineKind, LineKinds } from './kinds.ts';
import type { LineNumbers } from './line.ts';

export interface MetricSummary {
  readonly path: string;
  readonly kind: LineKind;
  /** Counters: the sum of the deltas of all lines. */
  sum: bigint;
  /**
   * Counters: the sum without the first line, whose delta is from before its time. This sum over the time between the
   * first and the last line is the rate.
   */
  sumAfterFirst: bigint;
  /** Gauges. */
  last: bigint;
  min: bigint;
  max: bigint;
}

interface TimedLine extends LineNumbers {
  readonly timeMs: number;
}

export class LinesSummary {
  readonly #kinds: LineKinds;
  readonly #metrics = new Map<string, MetricSummary>();
  readonly #kept: TimedLine[] | undefined;
  lines = 0;
  /** Lines that were not JSON, and a last line without its end. */
  torn = 0;
  firstMs: number | undefined;
  lastMs: number | undefined;

  /** @param keepsLines Whether the lines are kept for table(). */
  constructor(kinds: LineKinds, keepsLines: boolean) {
    this.#kinds = kinds;
    this.#kept = keepsLines ? [] : undefined;
  }

  get metrics(): Iterable<MetricSummary> {
    return this.#metrics.values();
  }

  /** The time between the first and the last line. */
  get seconds(): number {
    return this.firstMs === undefined ? 0 : Math.max(0, this.lastMs! - this.firstMs) / 1000;
  }

  add(line: LineNumbers): void {
    const { timeMs, numbers } = line;
    this.lines++;
    const isFirst = this.lines === 1;
    if (timeMs !== undefined) {
      this.firstMs ??= timeMs;
      this.lastMs = timeMs;
      this.#kept?.push({ ...line, timeMs });
    }
    for (const [path, value] of numbers) {
      let metric = this.#metrics.get(path);
      if (metric === undefined) {
        metric = { path, kind: this.#kinds.of(path), sum: 0n, sumAfterFirst: 0n, last: value, min: value, max: value };
        this.#metrics.set(path, metric);
      }
      metric.sum += value;
      if (!isFirst) metric.sumAfterFirst += value;
      metric.last = value;
      if (value < metric.min) metric.min = value;
      if (value > metric.max) metric.max = value;
    }
  }

  /**
   * The lines as the table of a profile: counters as totals from 0 on, gauges as they are. A line whose time is not
   * after that of the line before is added to that line.
   * @throws Error if no line has a time, or if no metric is wanted.
   */
  table(isWanted: (metric: MetricSummary) => boolean): ProfileTable {
    const rows = this.#rows();
    if (rows.length === 0) throw new Error('no line has a time');
    const shapes = new Set(this.#distributionPaths().flatMap((path) => SHAPE_PARTS.map((part) => `${path}.${part}`)));
    const wanted = [...this.metrics].filter((metric) => isWanted(metric) && !shapes.has(metric.path));
    if (wanted.length === 0) throw new Error('there is no metric to plot');
    const columns = wanted.map(({ path, kind }) => ({
      name: path,
      kind: kind.kind,
      unit: kind.unit,
      values: new BigUint64Array(rows.length),
    }));
    const columnOf = new Map(columns.map((column) => [column.name, column]));
    rows.forEach((lines, row) => {
      if (row > 0) for (const { values } of columns) values[row] = values[row - 1]!;
      for (const [path, value] of lines.flatMap(({ numbers }) => numbers)) {
        const column = columnOf.get(path);
        if (column === undefined) continue;
        // The first line's deltas are from before the chart.
        if (column.kind === 'store') column.values[row] = value;
        else if (row > 0) column.values[row] = column.values[row]! + value;
      }
    });
    const timesNs = Float64Array.from(rows, ([line]) => (line!.timeMs - rows[0]![0]!.timeMs) * 1e6);
    const steps = timesNs.subarray(1).map((time, i) => time - timesNs[i]!);
    const intervalNs = steps.toSorted()[steps.length >> 1] ?? 1;
    const gaps = new Set([...steps.keys()].filter((i) => steps[i]! > 1.5 * intervalNs).map((i) => i + 1));
    return {
      start: new Date(rows[0]![0]!.timeMs).toISOString(),
      ...{ intervalNs, gaps, timesNs, columns },
      figures: {},
      isUnfinished: false,
      isCut: false,
      isGuessed: wanted.some(({ kind }) => kind.isGuess),
    };
  }

  /** The histograms of the lines as they changed over time. A histogram is wanted if its `count` is. */
  distributions(isWanted: (metric: MetricSummary) => boolean): Distribution[] {
    const rows = this.#rows();
    const begin = rows[0]?.[0]?.timeMs ?? 0;
    const edges = rows.map(([line]) => (line!.timeMs - begin) / 1000);
    return this.#distributionPaths().flatMap((path) => {
      const metric = this.#metrics.get(`${path}.count`);
      if (metric === undefined || !isWanted(metric)) return [];
      // The first line's deltas are from before the chart.
      const counted = rows
        .slice(1)
        .map((lines) => merged(lines.flatMap(({ distributions }) => distributions.filter(([name]) => name === path))));
      return { path, unit: heatUnitOf(this.#kinds.of(`${path}.sum`).unit), edges, counted };
    });
  }

  #distributionPaths(): string[] {
    return [...new Set((this.#kept ?? []).flatMap(({ distributions }) => distributions.map(([path]) => path)))];
  }

  /** The lines by their times. A line whose time is not after that of the line before belongs to that line. */
  #rows(): TimedLine[][] {
    const rows: TimedLine[][] = [];
    for (const line of this.#kept ?? []) {
      const last = rows.at(-1);
      if (last !== undefined && line.timeMs <= last[0]!.timeMs) last.push(line);
      else rows.push([line]);
    }
    return rows;
  }
}

/** The numbers of a histogram that say where its buckets are: a heat map shows them. */
const SHAPE_PARTS = ['scale', 'offset', 'zero_count'];

function heatUnitOf(unit: string): HeatUnit {
  return unit === 'bytes' ? 'bytes' : unit === 'count' ? 'ones' : 'seconds';
}

/** The lines of one moment together. They have the same buckets, unless another program wrote some of them. */
function merged(all: readonly (readonly [path: string, counted: CountedBuckets])[]): CountedBuckets | undefined {
  const [first, ...others] = all.map(([, counted]) => counted);
  return others.reduce((sum, one) => {
    if (sum === undefined || one.scale !== sum.scale) return one;
    const offset = Math.min(sum.offset, one.offset);
    const end = Math.max(sum.offset + sum.counts.length, one.offset + one.counts.length);
    const at = ({ offset: own, counts }: CountedBuckets, index: number) => counts[index - own] ?? 0;
    const counts = Array.from({ length: end - offset }, (_, i) => at(sum, offset + i) + at(one, offset + i));
    return { scale: sum.scale, offset, zeroCount: sum.zeroCount + one.zeroCount, counts };
  }, first);
}
