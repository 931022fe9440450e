// How long the start of the process took, for the metrics that a schema marks with `startTime`.

import { accessorOf } from './accessors/accessors.ts';
import type { StoreMetric } from './accessors/store.ts';
import { checkedOptions, checkedValue, shown } from './arguments.ts';
import { binding } from './binding.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import type { Layout } from './layout.ts';
import { markedMetric } from './store-spec.ts';
import type { ThreadCells } from './thread-cells.ts';

/** When the process was started, as its parent saw it. Times that are left out are not reported. */
export interface StartTimes {
  /** The time of the start by CLOCK_MONOTONIC, in microseconds. Sets the metric marked `startTime: 'wall'`. */
  readonly startTimeUs?: number | bigint | undefined;
  /** The time of the start by CLOCK_PROCESS_CPUTIME_ID, in microseconds. Sets the metric marked `startTime: 'cpu'`. */
  readonly startTimeCpuUs?: number | bigint | undefined;
  /**
   * The CPU time that the parent spent for this process before its start, in microseconds. It is added to the CPU time.
   */
  readonly parentCpuTimeUs?: number | bigint | undefined;
}

const WHERE = 'reportStartTime()';

export function reportStartTime(cells: ThreadCells, layout: Layout, times: unknown): void {
  const given = checkedOptions<StartTimes>(WHERE, times, ['startTimeUs', 'startTimeCpuUs', 'parentCpuTimeUs']);
  const [nowUs, nowCpuUs] = binding().clocks() as unknown as [bigint, bigint];
  const parentUs = given.parentCpuTimeUs === undefined ? 0n : checkedValue(`${WHERE}: parentCpuTimeUs`, given.parentCpuTimeUs);
  const metric = (clock: 'wall' | 'cpu') => startTimeMetric(cells, layout, clock);
  // All checks come before the first metric is set.
  const reports: [StoreMetric, bigint][] = [];
  if (given.startTimeUs !== undefined) {
    reports.push([metric('wall'), since('startTimeUs', given.startTimeUs, nowUs)]);
  }
  if (given.startTimeCpuUs !== undefined) {
    const cpuUs = since('startTimeCpuUs', given.startTimeCpuUs, nowCpuUs) + parentUs;
    reports.push([metric('cpu'), BigInt.asUintN(64, cpuUs)]);
  }
  for (const [store, us] of reports) store.store(us);
}

function startTimeMetric(cells: ThreadCells, layout: Layout, clock: 'wall' | 'cpu'): StoreMetric {
  const marked = markedMetric(layout, (def) => def.startTime === clock);
  if (marked === undefined) {
    throw new MetricsError(ErrorCode.SCHEMA, `${WHERE}: the schema marks no metric with startTime: '${clock}'`);
  }
  return accessorOf(cells, marked, marked.cell) as StoreMetric;
}

function since(name: string, start: number | bigint, nowUs: bigint): bigint {
  const startUs = checkedValue(`${WHERE}: ${name}`, start);
  if (startUs > nowUs) throw new RangeError(`${WHERE}: ${name} is in the future: got ${shown(start)}, and the clock says ${nowUs}`);
  return nowUs - startUs;
}
