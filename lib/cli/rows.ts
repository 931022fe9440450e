// The values of a region as rows for people, in the order of the schema.

import { combineDevices } from '../aggregate.ts';
import { meanText, quantilesText } from '../distribution/text.ts';
import type { HistogramValue } from '../histogram/value.ts';
import { type DeviceGroupLayout, LATENCY_COUNT, LATENCY_MAX, LATENCY_MIN, LATENCY_SUM, type MetricLayout, minimumOf } from '../layout.ts';
import type { MappedDevice } from '../region/cell-map.ts';
import type { SettledContent } from '../region/settled.ts';
import { unitOf } from '../schema.ts';
import { digits } from '../text.ts';
import { histogramOf } from '../values.ts';
import { plain } from './terminal-text.ts';

/** One metric, or the sum of a latency or histogram metric with its extremes. */
export interface MetricRow {
  /** `vcpu`, `block rootfs`, `block, all devices`, or `vhost_user, removed devices`. */
  readonly section: string;
  readonly name: string;
  readonly kind: 'inc' | 'store' | 'latency' | 'histogram';
  readonly total: bigint;
  /** The total of the earlier reading, if there is one. */
  readonly earlier: bigint | undefined;
  /** Undefined for a store metric, which is always current. */
  readonly pending: bigint | undefined;
  readonly unit: string;
  readonly min: bigint | undefined;
  readonly max: bigint | undefined;
  /** How many values a latency or histogram metric has; undefined if the region has no counts. */
  readonly count: bigint | undefined;
  /** What a metric with buckets has counted. */
  readonly histogram: HistogramValue | undefined;
  /** What a latency or histogram metric has counted since the earlier reading; undefined if that is not known. */
  readonly interval: Interval | undefined;
  readonly doc: string;
}

/** Values between two readings. */
export interface Interval {
  readonly count: bigint;
  readonly sum: bigint;
  readonly histogram: HistogramValue | undefined;
}

/** The values that rows are made of. */
export type RowValues = Pick<SettledContent, 'layout' | 'map' | 'totals' | 'before'>;

export interface RowOptions {
  /** Whether a metric has a row even if all its numbers are zero. */
  readonly zeros: boolean;
  /** The totals of an earlier reading with the same map. */
  readonly earlier?: BigUint64Array | undefined;
}

export interface Rows {
  readonly rows: readonly MetricRow[];
  /** How many metrics have no row because all their numbers are zero. */
  readonly hidden: number;
}

export function rowsOf({ layout, map, totals, before }: RowValues, options: RowOptions): Rows {
  const maker = new RowMaker(options.zeros, layout.latencyCells === 'counted');
  const all: Numbers = { totals, before, earlier: options.earlier };
  for (const entry of layout.entries) {
    if (entry.kind === 'group') maker.addSection(entry.key, entry.metrics, all, 0);
    if (entry.kind !== 'perDevice') continue;
    const devices = map.devices[entry.group]!;
    for (const device of devices) {
      if (!device.removed) maker.addSection(`${entry.key} ${plain(device.id)}`, entry.metrics, all, device.firstCell);
    }
    if (entry.aggregate) {
      const isWhole = entry.latencyAggregate === 'extremum';
      maker.addSection(`${entry.key}, all devices`, entry.metrics, combined(all, entry, devices), 0, isWhole);
      continue;
    }
    // A group without an aggregate has rows for removed devices, unless these counted nothing.
    const counted = entry.metrics.filter(({ def }) => def.kind !== 'store');
    const removed = combined(
      all,
      entry,
      devices.filter((device) => device.removed),
    );
    if (removed.totals.some((total) => total !== 0n)) maker.addSection(`${entry.key}, removed devices`, counted, removed, 0, false);
  }
  return maker;
}

interface Numbers {
  readonly totals: BigUint64Array;
  readonly before: BigUint64Array;
  readonly earlier: BigUint64Array | undefined;
}

class RowMaker implements Rows {
  readonly rows: MetricRow[] = [];
  hidden = 0;
  readonly #zeros: boolean;

  readonly #areCounted: boolean;

  constructor(zeros: boolean, areCounted: boolean) {
    this.#zeros = zeros;
    this.#areCounted = areCounted;
  }

  addSection(section: string, metrics: readonly MetricLayout[], numbers: Numbers, first: number, hasExtremes = true): void {
    const { totals, before, earlier } = numbers;
    for (const metric of metrics) {
      const { kind, cell, name, unit, doc } = textOf(metric);
      const isMeasured = kind === 'latency' || kind === 'histogram';
      const slot = first + cell + (isMeasured ? LATENCY_SUM : 0);
      const total = totals[slot]!;
      const part = (i: number) => totals[first + cell + i]!;
      let max = isMeasured && hasExtremes ? part(LATENCY_MAX) : undefined;
      let min = max === undefined ? undefined : minimumOf(part(LATENCY_MIN), max);
      const histogram = metric.scheme && histogramOf(metric.scheme, { sum: total, min: min ?? 0n, max: max ?? 0n }, part);
      // A removed device has buckets and no extremes. Then a histogram has those of its buckets.
      if (kind === 'histogram' && hasExtremes) ({ min, max } = histogram!);
      if (!this.#zeros && total === 0n && (max === undefined || max === 0n)) {
        this.hidden++;
        continue;
      }
      const hasCount = isMeasured && (this.#areCounted || metric.scheme !== undefined);
      const count = histogram?.count ?? (hasCount ? part(LATENCY_COUNT) : undefined);
      this.rows.push({
        section,
        name,
        kind,
        total,
        earlier: earlier?.[slot],
        pending: kind === 'store' ? undefined : BigInt.asUintN(64, total - before[slot]!),
        unit,
        min,
        max,
        count,
        histogram,
        interval:
          count === undefined || earlier === undefined ? undefined : intervalOf(metric, first, { total, count, histogram }, earlier),
        doc,
      });
    }
  }
}

/** The numbers of some devices together, from index 0 on. Counts include those of removed devices. */
function combined({ totals, before, earlier }: Numbers, group: DeviceGroupLayout, devices: readonly MappedDevice[]): Numbers {
  const over = (values: BigUint64Array) => {
    const one = new BigUint64Array(group.cellKinds.length);
    combineDevices(values, group, devices, one, 0);
    return one;
  };
  return { totals: over(totals), before: over(before), earlier: earlier && over(earlier) };
}

/** What all rows of a metric have in common. */
interface MetricText {
  readonly name: string;
  readonly kind: MetricRow['kind'];
  readonly cell: number;
  readonly unit: string;
  readonly doc: string;
}

const texts = new WeakMap<MetricLayout, MetricText>();

function textOf(metric: MetricLayout): MetricText {
  let text = texts.get(metric);
  if (text === undefined) {
    const { name, def, cell } = metric;
    const unit = unitOf(name, def);
    text = { name, kind: def.kind, cell, unit: unit === 'count' ? '' : unit, doc: plain(def.doc) };
    texts.set(metric, text);
  }
  return text;
}

/** What a metric with a count has counted since an earlier reading. */
function intervalOf(
  { cell, scheme }: MetricLayout,
  first: number,
  now: { readonly total: bigint; readonly count: bigint; readonly histogram: HistogramValue | undefined },
  earlier: BigUint64Array,
): Interval | undefined {
  const part = (i: number) => earlier[first + cell + i]!;
  const sum = BigInt.asUintN(64, now.total - part(LATENCY_SUM));
  if (scheme === undefined || now.histogram === undefined)
    return { count: BigInt.asUintN(64, now.count - part(LATENCY_COUNT)), sum, histogram: undefined };
  const [max, complement] = [part(LATENCY_MAX), part(LATENCY_MIN)];
  const before = histogramOf(scheme, { sum: part(LATENCY_SUM), min: minimumOf(complement, max), max }, part);
  // After a loss of memory, less may have been counted than before.
  if (now.count < before.count) return undefined;
  const histogram = sinceOrNone(now.histogram, before);
  return histogram && { count: histogram.count, sum, histogram };
}

function sinceOrNone(now: HistogramValue, before: HistogramValue): HistogramValue | undefined {
  try {
    return now.since(before);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // one of the buckets was lost
    throw error;
  }
}

/**
 * For a latency or histogram metric: says that the number is a sum, and gives extremes, count, mean and quantiles. If
 * there was an earlier reading, the last three are those of the values since then.
 */
export function latencyNote({ kind, total, unit, min, max, count, histogram, interval }: MetricRow): string {
  if (kind !== 'latency' && kind !== 'histogram') return '';
  const extremes = min === undefined || max === undefined ? 'sum' : `sum; min ${digits(min)}, max ${digits(max)}`;
  if (count === undefined || count === 0n) return extremes;
  if (interval?.count === 0n) return `${extremes}; nothing new`;
  const shown = interval ?? { count, sum: total, histogram };
  const mean = `mean ${meanText(shown.sum, shown.count, unit)} of ${digits(shown.count)}${interval === undefined ? '' : ' new'}`;
  return [extremes, mean, ...(shown.histogram === undefined ? [] : [quantilesText(shown.histogram)])].join('; ');
}

/** What no flushed line contains yet. */
export function pendingText({ pending }: MetricRow): string {
  return pending === undefined ? '' : pending === 0n ? '0' : `+${digits(pending)}`;
}
