// What each metric of a schema is called in OpenTelemetry's protocol, and which cells its points show. Pure.

import { baseUnitOf, nameWithoutUnit } from '../base-unit.ts';
import type { Scheme } from '../histogram/scheme.ts';
import type { DeviceGroupLayout, Layout, MetricLayout } from '../layout.ts';
import { unitOf } from '../schema.ts';
import { PREFIX } from './served-file.ts';

/** The fields of the message `Metric` that hold its data. */
export const Data = { gauge: 5, sum: 7, histogram: 9, exponentialHistogram: 10 } as const;

export interface OtlpMetric {
  readonly name: string;
  readonly doc: string;
  readonly unit: '' | 'By' | 's';
  /** One of `Data`. */
  readonly field: number;
  /** The first cell of the metric, counted from the owner's first cell. */
  readonly cell: number;
  /** How many digits of a value stand behind the decimal point. */
  readonly decimals: number;
  /** The buckets of an exponential histogram. */
  readonly scheme: Scheme | undefined;
  readonly devices: DeviceGroupLayout | undefined;
  /** Whether the points are those of all devices together. */
  readonly isAggregate: boolean;
}

const UNITS = { '': '', bytes: 'By', seconds: 's' } as const;

const made = new WeakMap<Layout, readonly OtlpMetric[]>();

/** The metrics of a layout, in the order of its schema; always the same array for the same layout. */
export function otlpMetricsOf(layout: Layout): readonly OtlpMetric[] {
  let metrics = made.get(layout);
  if (metrics === undefined) {
    metrics = layout.entries.flatMap((entry) => {
      if (entry.kind === 'utcTimestampMs') return [];
      const of = (owner: Owner) => entry.metrics.map((metric) => otlpMetric(entry.key, metric, owner));
      if (entry.kind === 'group') return of({ devices: undefined, isAggregate: false });
      return [...of({ devices: entry, isAggregate: false }), ...(entry.aggregate ? of({ devices: entry, isAggregate: true }) : [])];
    });
    made.set(layout, metrics);
  }
  return metrics;
}

type Owner = Pick<OtlpMetric, 'devices' | 'isAggregate'>;

function otlpMetric(group: string, { name, def, cell, scheme }: MetricLayout, owner: Owner): OtlpMetric {
  const unit = unitOf(name, def);
  const { name: baseUnit, decimals } = baseUnitOf(unit);
  return {
    name: `${PREFIX}.${group}.${owner.isAggregate ? 'all.' : ''}${unit === 'bytes' ? name : nameWithoutUnit(name, unit)}`,
    doc: def.doc,
    unit: UNITS[baseUnit],
    field: fieldOf(def.kind, scheme),
    cell,
    decimals,
    scheme,
    ...owner,
  };
}

function fieldOf(kind: MetricLayout['def']['kind'], scheme: Scheme | undefined): number {
  if (kind === 'inc') return Data.sum;
  if (kind === 'store') return Data.gauge;
  return scheme === undefined ? Data.histogram : Data.exponentialHistogram;
}
