// Makes the objects that a VMM counts with. The class of each object follows from the kind of the metric, and from the
// way in which the thread writes.

import type { MetricLayout } from '../layout.ts';
import type { HistogramDef, IncDef, LatencyDef, LatencyHistogramDef, MetricDef, StoreDef } from '../schema.ts';
import type { ThreadCells } from '../thread-cells.ts';
import { countsInDoubles, DoubleInc } from './double-inc.ts';
import {
  type HistogramMetric,
  type LatencyHistogramMetric,
  NativeHistogram,
  NativeLatencyHistogram,
  OwnHistogram,
  OwnLatencyHistogram,
  SharedHistogram,
  SharedLatencyHistogram,
} from './histogram.ts';
import { type IncMetric, NativeInc, OwnInc, SharedInc } from './inc.ts';
import { type LatencyMetric, NativeLatency, OwnLatency, SharedLatency } from './latency.ts';
import { MOVE, type Movable } from './reader.ts';
import { MappedStore, NativeStore, type StoreMetric } from './store.ts';

/** The accessor that a metric's definition asks for. */
export type AccessorOf<D extends MetricDef> = D extends IncDef
  ? IncMetric
  : D extends StoreDef
    ? StoreMetric
    : D extends LatencyHistogramDef
      ? LatencyHistogramMetric
      : D extends LatencyDef
        ? LatencyMetric
        : D extends HistogramDef
          ? HistogramMetric
          : never;

const CLASSES = {
  own: { inc: OwnInc, store: MappedStore, latency: OwnLatency },
  shared: { inc: SharedInc, store: MappedStore, latency: SharedLatency },
  native: { inc: NativeInc, store: NativeStore, latency: NativeLatency },
} as const;

const WITH_BUCKETS = {
  own: { latency: OwnLatencyHistogram, histogram: OwnHistogram },
  shared: { latency: SharedLatencyHistogram, histogram: SharedHistogram },
  native: { latency: NativeLatencyHistogram, histogram: NativeHistogram },
} as const;

type AnyMetric = IncMetric | StoreMetric | LatencyMetric | HistogramMetric;

let inDoubles: boolean | undefined;

/** The accessor of a metric whose cells begin at `firstCell`. */
export function accessorOf(cells: ThreadCells, { def, scheme }: Pick<MetricLayout, 'def' | 'scheme'>, firstCell: number): AnyMetric {
  if (scheme !== undefined) return new WITH_BUCKETS[cells.mode][def.kind as 'latency' | 'histogram'](cells, firstCell, scheme);
  if (cells.mode === 'own' && def.kind === 'inc') {
    inDoubles ??= countsInDoubles();
    if (inDoubles) return new DoubleInc(cells, firstCell);
  }
  return new CLASSES[cells.mode][def.kind as 'inc' | 'store' | 'latency'](cells, firstCell);
}

/**
 * The accessors of a group, or of a device whose cells begin at `firstCell`. `prototype` comes from
 * `throwsForUnknown()`, so reading a name that is no metric throws. A metric may have any name, even `toString`.
 */
export function accessorsOf(
  cells: ThreadCells,
  metrics: readonly MetricLayout[],
  firstCell: number,
  prototype: object,
): Record<string, unknown> {
  const accessors: Record<string, unknown> = Object.create(prototype);
  for (const metric of metrics) accessors[metric.name] = accessorOf(cells, metric, firstCell + metric.cell);
  return Object.freeze(accessors);
}

/**
 * Lets go of the cells of a removed device, because another device is about to get them. From now on, the removed
 * device's accessors write to the cells that the group shares for this purpose, which begin at `restCell`. Counts go on
 * from their last values; other values stay.
 */
export function letGo(
  cells: ThreadCells,
  accessors: Readonly<Record<string, unknown>>,
  metrics: readonly MetricLayout[],
  restCell: number,
): void {
  for (const { name, cell } of metrics) (accessors[name] as Movable)[MOVE](cells, restCell + cell);
}
