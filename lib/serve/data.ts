// What the agent knows as data for a page: columns for the table of all virtual machines, and all metrics of one.

import { hostname } from 'node:os';

import { collected } from '../collect.ts';
import { jsonText } from '../json.ts';
import type { DeviceGroupLayout } from '../layout.ts';
import { hasUnflushed, type SettledContent } from '../region/settled.ts';
import { VERSION } from '../version.ts';
import { eventsOf } from './events-of.ts';
import type { Fleet } from './fleet.ts';
import type { ServedFile } from './served-file.ts';

/**
 * The virtual machines in columns: the n-th element of each is about the n-th virtual machine. What is not known is
 * null. Times are milliseconds since 1970. Without events, a reading may be old: a rate would be wrong.
 */
export function fleetData({ shown, counts }: Fleet, nowMs: number, { withEvents = true } = {}): string {
  const column = <T>(of: (vm: ServedFile) => T | undefined) => shown.map((vm) => of(vm) ?? null);
  return jsonText({
    atMs: nowMs,
    version: VERSION,
    host: hostname(),
    files: counts,
    vms: {
      name: column(({ name }) => name),
      file: column(({ path }) => path),
      state: column(({ state }) => state),
      pid: column(({ writer }) => writer?.pid),
      startedAtMs: column(({ writer }) => writer?.startedAtMs),
      endedAtMs: column(({ endedAtMs }) => endedAtMs),
      exitCode: column(({ content }) => content?.header.exitCode),
      crash: column(crashOf),
      isDegraded: column(({ content }) => content?.header.degraded),
      hasPending: column(({ content }) => content && hasUnflushed(content)),
      store: column(({ writer }) => writer?.storeName),
      id: column(({ writer }) => writer?.id),
      properties: column(({ writer }) => writer?.properties),
      events: column(({ content }) => (withEvents && content !== undefined ? eventsOf(content) : undefined)),
      error: column(({ error }) => error?.message),
    },
  });
}

/** One virtual machine with its metrics: those of `collect()` with quantiles, or null while its file cannot be read. */
export function vmData(vm: ServedFile, nowMs: number): string {
  const { name, path, state, writer, endedAtMs, content, error } = vm;
  return jsonText({
    atMs: nowMs,
    name,
    file: path,
    state,
    ...writer,
    endedAtMs,
    exitCode: content?.header.exitCode,
    crash: crashOf(vm),
    isDegraded: content?.header.degraded,
    hasPending: content && hasUnflushed(content),
    sinkPath: content?.header.sinkPath,
    error: error?.message,
    pending: content === undefined ? null : pendingOf(content),
    metrics: content === undefined ? null : metricsOf(content),
  });
}

/** All metrics, and for a distribution with values, what half, 90 % and 99 % of its values are at most. */
function metricsOf({ layout, totals, map }: SettledContent): object[] {
  return collected(layout, totals, ({ group }) => map.devices[group]!).map((metric) => {
    const { value } = metric;
    const distribution = typeof value === 'bigint' ? undefined : 'bucketCounts' in value ? value : value.histogram;
    if (distribution === undefined || distribution.count === 0n) return metric;
    return { ...metric, quantiles: [0.5, 0.9, 0.99].map((q) => distribution.quantile(q)) };
  });
}

/** By path, how far each counter has risen since the last line; without those that did not rise. */
function pendingOf({ layout, totals, before, map }: SettledContent): Record<string, bigint> {
  const devicesOf = ({ group }: DeviceGroupLayout) => map.devices[group]!;
  const flushed = collected(layout, before, devicesOf);
  const deltas = collected(layout, totals, devicesOf).flatMap(({ path, kind, value }, i) => {
    const then = flushed[i]!.value;
    if (kind !== 'inc' || typeof value !== 'bigint' || typeof then !== 'bigint' || value === then) return [];
    return [[path, BigInt.asUintN(64, value - then)] as const];
  });
  return Object.fromEntries(deltas);
}

function crashOf({ content }: ServedFile) {
  const crash = content?.header.crash;
  return crash && { ...crash, address: `0x${crash.address.toString(16)}`, at: crash.at.toISOString(), atMs: crash.at.getTime() };
}
