// Readings: the values of the accessors of a group or device, in a form that can be compared with the model.

import type { HistogramMetric, IncMetric, LatencyMetric, StoreMetric } from 'vmm-metrics';

import type { Holder } from './model.ts';

export type Accessor = IncMetric | StoreMetric | LatencyMetric | HistogramMetric;
export type Accessors = Readonly<Record<string, Accessor>>;

export interface Reading {
  readonly value: bigint;
  readonly pending?: bigint;
  readonly min?: bigint;
  readonly max?: bigint;
}

export interface Readings {
  readonly of: string;
  readonly metrics: [name: string, reading: Reading][];
}

export const nameOf = ({ key, id }: Holder) => (id === undefined ? key : `${key} ${JSON.stringify(id)}`);

export const readingsOf = (holder: Holder, accessors: Accessors): Readings => ({
  of: nameOf(holder),
  metrics: [...holder.states.keys()].map((name) => [name, readingOf(accessors[name]!)]),
});

export function readingOf(accessor: Accessor): Reading {
  if ('sum_us' in accessor) {
    const { min_us, max_us, sum_us } = accessor;
    return { value: sum_us.count(), pending: sum_us.fetchDiff(), min: min_us.fetch(), max: max_us.fetch() };
  }
  if ('read' in accessor) {
    const { sum, min, max } = accessor.read();
    return { value: sum, min, max };
  }
  return 'fetch' in accessor ? { value: accessor.fetch() } : { value: accessor.count(), pending: accessor.fetchDiff() };
}
