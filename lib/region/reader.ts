// A region as its reader sees it, in whatever process: plain values, what is pending, and how the writer is.

import { readFileSync } from 'node:fs';

import { checkedInteger, checkedPath } from '../arguments.ts';
import { CellKind } from '../layout.ts';
import type { Fields, Schema } from '../schema.ts';
import { type DeviceValues, type FieldValues, valuesOf } from '../values.ts';
import { type RegionContent, readContent } from './content.ts';
import { RegionFile } from './file.ts';
import { linesOf } from './format.ts';
import { type CrashReport, readHeader } from './header.ts';
import { type LineSource, lineAt, type OpenLine, openLine } from './line.ts';
import { type Settlement, settle } from './settlement.ts';

export type { CrashReport, Settlement };

/**
 * `running`: its writer lives. `closed`: its writer called `close()`. `exited`: its writer ended without that, with an
 * `exitCode`. `panicked`: an uncaught exception or unhandled rejection ended its writer, with an `exitCode`, whether
 * panics were captured or not. `crashed`: its writer died of a captured signal. `killed`: its writer is gone and could
 * not say how, for instance by SIGKILL or with the machine; a copy of the file of a running process looks so too. The
 * writer is the process, or the worker that had the store alone.
 */
export type RegionState = 'running' | 'closed' | 'exited' | 'panicked' | 'crashed' | 'killed';

/**
 * Values of a region, nested as its schema: of each group its metrics, or its devices and their aggregate. As
 * `metrics.snapshot()`.
 */
export interface RegionValues {
  readonly [group: string]: FieldValues<Fields> | DeviceValues<Fields>;
}

/** What readRegion() found. */
export interface RegionReading {
  readonly state: RegionState;
  /** The writer's number, as it saw itself: in a container not ours. */
  readonly pid: number;
  readonly startedAt: Date;
  /**
   * From 0 to 255; left out unless `state` is `exited` or `panicked`, and where nobody told: native code on musl, or a
   * worker that was terminated.
   */
  readonly exitCode?: number;
  /** What killed it; left out unless `state` is `crashed`. */
  readonly crash?: CrashReport;
  /** Memory was lost under the writer, for instance since its file was cut short, and values with it. */
  readonly degraded: boolean;
  /** The store's name, and its `id` and `properties` where it has them. */
  readonly name: string;
  readonly id?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly schema: Schema;
  /** Totals since the store was opened. */
  readonly values: RegionValues;
  /** Deltas since the last line that was flushed; store metrics, and the extremes of latency metrics, as they are. */
  readonly pending: RegionValues;
  /** Whether line() would say anything that the last flushed line did not. */
  readonly hasPending: boolean;
  /** How many lines were flushed, one that was settled as out included. */
  readonly linesFlushed: bigint;
  /** Of a dead writer that had a line on its way: what became of it. When it was out, `pending` has come since. */
  readonly lineInFlight?: Settlement;
  /** Where lines went; left out when it is not known. */
  readonly sinkPath?: string;
  /** The boot of the machine in which the writer ran, and whether that is this one. */
  readonly bootId: string;
  readonly isThisBoot: boolean;
  /**
   * The line that would have been flushed next, byte for byte, its newline included. Its time: that of the crash, else
   * `timeMs`.
   * @param timeMs Milliseconds since 1970. Default: now.
   */
  line(timeMs?: number): string;
}

/**
 * Reads the region file of a process that runs, or is gone, however it died: `Metrics.open(schema, { file })` makes it.
 * Changes nothing, and needs nothing of the process. A living one is read as it goes on: no delta is ever negative, and
 * a line that is flushed meanwhile makes it read anew.
 *
 * ```ts
 * const { state, pending, line } = await readRegion('/run/vm0/metrics.region');
 * if (state === 'killed') console.log(line());
 * ```
 *
 * The file may be anybody's work: nothing in it is believed unchecked. Links are not followed, but for
 * `/proc/<pid>/fd/<n>`. May be called in any thread, and several times at once.
 * @throws TypeError, RangeError for a wrong path; MetricsError `ERR_METRICS_REGION`, naming the file and the trouble,
 * when it cannot be read (`cause` has Node's `code`), is no region, is damaged, has a version that this one does not
 * know, has more devices than a store takes, loses and gets devices so fast for half a second that no reading would be
 * of one moment, or belongs to another user and this process is not root's.
 */
export async function readRegion(path: string): Promise<RegionReading> {
  return readRegionNow(checkedPath('readRegion(): path', path));
}

/** readRegion() without the promise. */
export function readRegionNow(path: string): RegionReading {
  const file = RegionFile.open(path);
  try {
    return readingOf(file);
  } finally {
    file.close();
  }
}

/** A region read, and its line in flight settled: `before` is what counts as flushed. */
export interface SettledContent extends RegionContent {
  readonly before: BigUint64Array;
  readonly settlement: Settlement | undefined;
  /** What `commit` is, or would be had the writer got to it. */
  readonly commit: bigint;
}

export function readSettled(file: RegionFile): SettledContent {
  const content = readContent(file);
  const { header, inFlight, flushed, totals, map } = content;
  // A counter wraps; one whose memory was lost begins anew.
  const isLost = (before: bigint, slot: number) => header.degraded && map.slotKinds[slot] === CellKind.inc && totals[slot]! < before;
  const unsettled = header.isUnsettled && !content.isHeld ? 'unknown' : undefined;
  const counted = (before: BigUint64Array) => before.map((value, slot) => (isLost(value, slot) ? 0n : value));
  if (inFlight === undefined) return { ...content, before: counted(flushed), settlement: unsettled, commit: header.commit };
  const line = openLine(sourceOf(file, content), inFlight, flushed);
  const settlement = settle(header, header.line!, line);
  if (settlement !== 'out') return { ...content, before: counted(flushed), settlement, commit: header.commit };
  return { ...content, before: counted(inFlight), settlement, commit: header.line!.commit };
}

export function sourceOf({ path }: RegionFile, { document, layout, map }: RegionContent): LineSource {
  return { path, document, layout, map };
}

/** Whether a slot has anything that no line has said: as native code asks before a last line. */
export function hasNews({ totals, before, layout, map }: SettledContent): boolean {
  return totals.some((total, slot) => total !== before[slot] && !isSilent(slot));

  /** What came through the accessors of devices that are gone, in a group without an aggregate, stands in no line. */
  function isSilent(slot: number): boolean {
    return layout.devices.some(({ group, aggregate, cellKinds }) => {
      const rest = map.devices[group]!.at(-1)!.firstCell;
      return !aggregate && slot >= rest && slot < rest + cellKinds.length;
    });
  }
}

/** Whether half a line is in a pipe, so that what follows must begin with a newline: else two lines would be fused. */
export function isCut({ header, settlement }: SettledContent): boolean {
  const { line } = header;
  return line !== undefined && settlement !== 'out' && !line.isRegularFile && line.sent > 0n && line.sent < line.bytes;
}

/** Whether there is nothing left to do for this life. */
export function isSaid(content: SettledContent): boolean {
  return !hasNews(content) && !isCut(content);
}

function readingOf(file: RegionFile): RegionReading {
  const content = readSettled(file);
  const { header, document, layout, map, totals, before, settlement } = content;
  const { schema, name, identity } = document;
  const deltas = totals.map((total, slot) => (map.slotKinds[slot] === CellKind.inc ? total - before[slot]! : total));
  const nested = (values: BigUint64Array) => valuesOf(layout, values, ({ group }) => map.devices[group]!) as RegionValues;
  // What the record says of a line that is no longer in flight.
  const lineInFlight = settlement ?? (header.unsettled && header.state !== 'running' ? 'unknown' : undefined);
  let line: OpenLine | undefined;
  return {
    state: header.state === 'running' && !content.isHeld ? 'killed' : header.state,
    pid: header.pid,
    startedAt: header.startedAt,
    ...(header.exitCode !== undefined && { exitCode: header.exitCode }),
    ...(header.crash && { crash: header.crash }),
    degraded: header.degraded,
    name,
    ...identity,
    schema,
    values: nested(totals),
    pending: nested(deltas),
    hasPending: hasNews(content),
    linesFlushed: linesOf(content.commit),
    ...(lineInFlight && { lineInFlight }),
    ...(header.sinkPath !== '' && { sinkPath: header.sinkPath }),
    bootId: header.bootId,
    isThisBoot: header.bootId === thisBoot(),
    line(timeMs = Date.now()) {
      const time = header.crash?.at.getTime() ?? checkedInteger('line(): timeMs', timeMs, 0, Number.MAX_SAFE_INTEGER);
      line ??= openLine(sourceOf(file, content), totals, before);
      return lineAt(line, time);
    },
  };
}

/** How the writer of a region is by now. */
export function writerState(file: RegionFile): RegionState {
  const isHeld = file.isHeld(); // before the header: who closes the store says so there first, and lets go then
  const { state } = readHeader(file);
  return state === 'running' && !isHeld ? 'killed' : state;
}

function thisBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return 'unknown';
  }
}
