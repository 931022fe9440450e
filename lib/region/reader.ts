// A region as a reader in any process sees it: plain values, pending deltas, and the state of the writer.

import { readFileSync } from 'node:fs';

import { checkedInteger, checkedPath } from '../arguments.ts';
import { type CollectedMetric, collected } from '../collect.ts';
import { isSum } from '../layout.ts';
import { withSample } from '../sampled.ts';
import type { Fields, Schema } from '../schema.ts';
import { type DeviceValues, type FieldValues, valuesOf } from '../values.ts';
import type { RegionFile } from './file.ts';
import { linesFlushed } from './format.ts';
import type { CrashReport, HeaderReader, RegionHeader } from './header.ts';
import { KeptRegion } from './kept-region.ts';
import { lineAt, type OpenLine, openLine } from './line.ts';
import { hasUnflushed, type SettledContent, sourceOf } from './settled.ts';
import type { Settlement } from './settlement.ts';

export type { CrashReport, Settlement };

/**
 * What became of the writer. The writer is the process, or a worker if only that worker had the store.
 * - `running`: the writer lives.
 * - `closed`: the writer called `close()`.
 * - `exited`: the writer ended without `close()`, with an `exitCode`.
 * - `panicked`: an uncaught exception or unhandled rejection ended the writer, with an `exitCode`, whether or not
 *   panics were captured.
 * - `crashed`: a captured signal killed the writer.
 * - `killed`: the writer is gone and could not record why, for example after SIGKILL or a power failure. A copy of the
 *   file of a running process also looks like this.
 */
export type RegionState = 'running' | 'closed' | 'exited' | 'panicked' | 'crashed' | 'killed';

/**
 * The values of a region, nested like the schema and like `metrics.snapshot()`: for each group its metrics, or its
 * devices and their aggregate.
 */
export interface RegionValues {
  readonly [group: string]: FieldValues<Fields> | DeviceValues<Fields>;
}

/** What readRegion() returns. */
export interface RegionReading {
  readonly state: RegionState;
  /** The process id of the writer, as the writer saw it: in a container, another number than outside. */
  readonly pid: number;
  readonly startedAt: Date;
  /**
   * From 0 to 255. Only if `state` is `exited` or `panicked`, and the code is known. It is not known after `exit()` by
   * native code on musl, nor for a worker that was terminated.
   */
  readonly exitCode?: number;
  /** What killed the writer. Only if `state` is `crashed`. */
  readonly crash?: CrashReport;
  /** Whether the writer lost memory and the values in that memory, for example because somebody truncated the file. */
  readonly degraded: boolean;
  /** The store's name, and its `id` and `properties` if it has them. */
  readonly name: string;
  readonly id?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly schema: Schema;
  /** Totals since the store was opened. */
  readonly values: RegionValues;
  /** Deltas since the last flushed line; for store metrics and the extremes of latency metrics, the current values. */
  readonly pending: RegionValues;
  /**
   * The same values as `values` as one list, in the order of the schema, as `metrics.collect()` returns them.
   */
  collect(): CollectedMetric[];
  /** Whether line() would contain anything new after the last flushed line. */
  readonly hasPending: boolean;
  /** How many lines were flushed, including a line in flight that got out. */
  readonly linesFlushed: bigint;
  /**
   * What became of a line that a dead writer was writing. If it is `out`, `pending` contains what was counted after
   * that line.
   */
  readonly lineInFlight?: Settlement;
  /** The path of the sink, if it is known. */
  readonly sinkPath?: string;
  /** The id of the boot during which the writer ran, and whether the machine is still in that boot. */
  readonly bootId: string;
  readonly isThisBoot: boolean;
  /**
   * The line that would have been flushed next, byte for byte, with its newline. If there was a crash, the line has the
   * time of the crash.
   * @param timeMs The line's time if there was no crash, in milliseconds since 1970. Default: now.
   */
  line(timeMs?: number): string;
}

/**
 * Reads the region file that `Metrics.open(schema, { file })` makes. Its process may be running, or may have died in
 * any way. Reading changes nothing, and gives the process no work. A running process goes on counting: no delta is ever
 * negative, and if a line is flushed meanwhile, the file is read again.
 *
 * ```ts
 * const { state, pending, line } = await readRegion('/run/vm0/metrics.region');
 * if (state === 'killed') console.log(line());
 * ```
 *
 * Everything in the file is checked, so a hostile file does no harm. Links are not followed, except
 * `/proc/<pid>/fd/<n>`. May be called in any thread, and several times at once.
 * @throws TypeError, RangeError for a wrong path. MetricsError `ERR_METRICS_REGION`, with the file and the reason: the
 * file cannot be read (`cause` has Node's `code`), is not a region, is damaged, has an unknown version or more devices
 * than a store can have, or belongs to another user and this process is not root; or devices come and go so fast that
 * half a second gives no consistent reading.
 */
export async function readRegion(path: string): Promise<RegionReading> {
  const region = new KeptRegion(checkedPath('readRegion(): path', path));
  try {
    return readingOf(path, region.read());
  } finally {
    region.close();
  }
}

/** What readRegion() returns. Its line() uses `content`, so line() works only as long as `content` is valid. */
export function readingOf(path: string, content: SettledContent): RegionReading {
  const { layout, map, totals, before } = content;
  const deltas = totals.map((total, slot) => (isSum(map.slotKinds[slot]) ? total - before[slot]! : total));
  const nested = (values: BigUint64Array, what: 'totals' | 'pending') =>
    valuesOf(layout, values, ({ group }) => map.devices[group]!, what) as RegionValues;
  let line: OpenLine | undefined;
  const reading: RegionReading = {
    ...summaryOf(content),
    values: nested(totals, 'totals'),
    pending: nested(deltas, 'pending'),
    collect: () => collected(layout, totals, ({ group }) => map.devices[group]!),
    line(timeMs = Date.now()) {
      const time = content.header.crash?.at.getTime() ?? checkedInteger('line(): timeMs', timeMs, 0, Number.MAX_SAFE_INTEGER);
      line ??= openLine(sourceOf(path, content), totals, before);
      return lineAt(line, time);
    },
  };
  return withSample(reading, () => ({ layout, totals, devices: map.devices }));
}

/** A reading without its values. */
export type RegionSummary = Omit<RegionReading, 'values' | 'pending' | 'collect' | 'line'>;

export function summaryOf(content: SettledContent): RegionSummary {
  const { header, document, settlement } = content;
  const { schema, name, identity } = document;
  // The outcome is also unknown while a writer that has recorded its end still holds the lock.
  const lineInFlight = settlement ?? (header.isUnsettled && header.state !== 'running' ? 'unknown' : undefined);
  return {
    state: stateOf(content),
    pid: header.pid,
    startedAt: header.startedAt,
    ...(header.exitCode !== undefined && { exitCode: header.exitCode }),
    ...(header.crash && { crash: header.crash }),
    degraded: header.degraded,
    name,
    ...identity,
    schema,
    hasPending: hasUnflushed(content),
    linesFlushed: linesFlushed(content.commit),
    ...(lineInFlight && { lineInFlight }),
    ...(header.sinkPath !== '' && { sinkPath: header.sinkPath }),
    bootId: header.bootId,
    isThisBoot: header.bootId === thisBoot(),
  };
}

/** The state of the writer in a reading. */
export function stateOf({ header, isHeld }: Pick<SettledContent, 'header' | 'isHeld'>): RegionState {
  return stateFrom(header, isHeld);
}

/** The state of a region's writer now. */
export function writerState(file: RegionFile, headers: HeaderReader): RegionState {
  // Ask for the lock before the header is read: close() writes the state before it unlocks.
  const isHeld = file.isHeld();
  return stateFrom(headers.read(file), isHeld);
}

/** A process that still claims to run, but has lost its lock, was killed. */
function stateFrom({ state }: RegionHeader, isHeld: boolean): RegionState {
  return state === 'running' && !isHeld ? 'killed' : state;
}

let bootId: string | undefined;

function thisBoot(): string {
  try {
    bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return bootId;
  } catch {
    return 'unknown';
  }
}
