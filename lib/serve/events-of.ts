// How busy a virtual machine is, as one number.

import { type Layout, type MetricLayout, staticMetrics } from '../layout.ts';
import type { SettledContent } from '../region/settled.ts';
import { unitOf } from '../schema.ts';

interface Counters {
  readonly plain: readonly number[];
  /** By group of devices. */
  readonly devices: readonly (readonly number[])[];
}

const known = new WeakMap<Layout, Counters>();

/** The sum of all counters that count things, and not bytes or time; modulo 2^64. It includes removed devices. */
export function eventsOf({ layout, map, totals }: SettledContent): bigint {
  const { plain, devices } = countersOf(layout);
  let sum = 0n;
  for (const cell of plain) sum += totals[cell]!;
  devices.forEach((cells, group) => {
    for (const { firstCell } of map.devices[group]!) for (const cell of cells) sum += totals[firstCell + cell]!;
  });
  return BigInt.asUintN(64, sum);
}

function countersOf(layout: Layout): Counters {
  const cellsOf = (metrics: readonly MetricLayout[]) =>
    metrics.filter(({ name, def }) => def.kind === 'inc' && unitOf(name, def) === 'count').map(({ cell }) => cell);
  const counters = known.get(layout) ?? {
    plain: cellsOf(staticMetrics(layout)),
    devices: layout.devices.map(({ metrics }) => cellsOf(metrics)),
  };
  known.set(layout, counters);
  return counters;
}
