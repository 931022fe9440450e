// What util.inspect() and console.log() show of accessors and stores: the name of the metric, its kind and its value.
// An accessor knows only its cell, which is enough for counting. The name is looked up when an accessor is shown.

import { ErrorCode, type MetricsError } from './errors.ts';
import type { GroupLayout, MetricLayout } from './layout.ts';

/** The method that util.inspect() calls. Node registers the symbol under this name, so nothing has to be loaded. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** What util.inspect() passes: how many more levels it shows, its options, and itself. */
export type InspectArguments = [depth: number, options: object, inspect: (value: unknown, options: object) => string];

/** The cells of a thread, as far as this file needs them. */
interface NamedCells {
  readonly closed: boolean;
  nameAt(cell: number, isPart: boolean): string | undefined;
}

/** The parts of a latency, by the distance of their cells from its first one. */
const PARTS = ['min_us', 'max_us', 'sum_us'];

/** The name of the metric that has a cell of the layout, or of a device that begins at `firstCell`. */
export function nameAt(group: Pick<GroupLayout, 'metrics'>, prefix: string, firstCell: number, cell: number, isPart: boolean): string {
  const metric = group.metrics.findLast((one: MetricLayout) => firstCell + one.cell <= cell)!;
  const { kind } = metric.def;
  const part = isPart && (kind === 'latency' || kind === 'histogram') ? `.${PARTS[cell - firstCell - metric.cell]}` : '';
  return `${prefix}.${metric.name}${part}`;
}

/**
 * The text for an accessor whose metric begins at `cell`; undefined is the cell of a removed device. `isPart` says
 * whether the accessor may be a part of a latency. `values` is called if the store is open.
 */
export function inspectedAccessor(
  type: string,
  cells: NamedCells,
  cell: number | undefined,
  isPart: boolean,
  values: () => object,
  how: InspectArguments,
): string {
  const name = (cell === undefined ? undefined : cells.nameAt(cell, isPart)) ?? 'a metric of a removed device';
  return inspected(type, cells.closed ? { name, closed: true } : { name, ...values() }, name, how);
}

/** The text for a group of devices. */
export function inspectedDevices(name: string, cells: NamedCells, ids: () => readonly string[], how: InspectArguments): string {
  return inspected('Devices', cells.closed ? { name, closed: true } : { name, ids: ids() }, name, how);
}

/** What util.inspect() calls on a store. Metrics that are 0 are left out. */
export function inspectStore(this: { readonly name: string; snapshot(): object }, ...how: InspectArguments): string {
  const { name } = this;
  let shown: object;
  try {
    shown = { name, values: withoutZeros(this.snapshot()) };
  } catch (error) {
    if ((error as Partial<MetricsError>).code !== ErrorCode.CLOSED) throw error;
    shown = { name, closed: true };
  }
  return inspected('Metrics', shown, name, how);
}

function inspected(type: string, shown: object, name: string, [depth, options, inspect]: InspectArguments): string {
  return depth < 0 ? `[${type} ${name}]` : `${type} ${inspect(shown, { ...options, depth })}`;
}

/** A copy of plain objects without bigints that are 0, and without objects in which nothing is left. */
function withoutZeros(values: object): object {
  const left = Object.entries(values).flatMap(([key, value]) => {
    const isPlain = typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype;
    const kept = isPlain ? withoutZeros(value) : value;
    const isEmpty = kept === 0n || (isPlain && Object.keys(kept).length === 0) || kept?.count === 0n;
    return isEmpty ? [] : [[key, kept]];
  });
  return Object.fromEntries(left);
}
