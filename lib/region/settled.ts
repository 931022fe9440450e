// The content of a region with its line in flight settled: which values count as flushed, and which are pending.

import { CellKind, isSum } from '../layout.ts';
import { type RegionContent, readContent } from './content.ts';
import type { RegionFile } from './file.ts';
import { KnownSettlement } from './known-settlement.ts';
import { type LineSource, openLine } from './line.ts';
import { type Settlement, settle } from './settlement.ts';

export interface SettledContent extends RegionContent {
  /** By slot: the values that count as flushed. */
  readonly before: BigUint64Array;
  /** What became of the line in flight; undefined if there was none. */
  readonly settlement: Settlement | undefined;
  /**
   * The header's word `commit`. If the line in flight got out, this is the value that the writer would have stored
   * next.
   */
  readonly commit: bigint;
}

export function readSettled(file: RegionFile): SettledContent {
  return settled(file, readContent(file));
}

/**
 * Settles the line in flight. The values that count as flushed are in the memory of the content. `known` is what
 * became of the line when the file was read before.
 */
export function settled(file: RegionFile, content: RegionContent, known = new KnownSettlement()): SettledContent {
  const { header, inFlight, flushed, totals, map } = content;
  // A counter that fell has passed 2^64; but in a degraded region, it lost its memory and restarted from 0.
  const isLost = (before: bigint, slot: number) => isSum(map.slotKinds[slot]) && totals[slot]! < before;
  const unsettled = header.isUnsettled && !content.isHeld ? 'unknown' : undefined;
  const counted = (before: BigUint64Array) => {
    if (header.degraded) before.set(before.map((value, slot) => (isLost(value, slot) ? 0n : value)));
    return before;
  };
  if (inFlight === undefined) return { ...content, before: counted(flushed), settlement: unsettled, commit: header.commit };
  const settlement = known.of(header, () => settle(header, header.line!, openLine(sourceOf(file.path, content), inFlight, flushed)));
  if (settlement !== 'out') return { ...content, before: counted(flushed), settlement, commit: header.commit };
  return { ...content, before: counted(inFlight), settlement, commit: header.line!.commit };
}

export function sourceOf(path: string, { document, layout, map }: RegionContent): LineSource {
  return { path, document, layout, map };
}

/** Whether the next line would contain anything new. Native code asks the same before a last line. */
export function hasUnflushed({ totals, before, layout, map }: SettledContent): boolean {
  if (Buffer.compare(bytesOf(totals), bytesOf(before)) === 0) return false;
  return totals.some((total, slot) => total !== before[slot] && map.slotKinds[slot] !== CellKind.tally && !isSilent(slot));

  /** In a group without an aggregate, no line contains what old accessors of removed devices still count. */
  function isSilent(slot: number): boolean {
    return layout.devices.some(({ group, aggregate, cellKinds }) => {
      const rest = map.devices[group]!.at(-1)!.firstCell;
      return !aggregate && slot >= rest && slot < rest + cellKinds.length;
    });
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: BigUint64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Whether half a line is in a pipe. The next line then begins with a newline, or a reader would see one long line. */
export function hasHalfLine({ header, settlement }: SettledContent): boolean {
  const { line } = header;
  return line !== undefined && settlement !== 'out' && !line.isRegularFile && line.sent > 0n && line.sent < line.bytes;
}

/** Whether this life of the region needs no last line. */
export function isAllFlushed(content: SettledContent): boolean {
  return !hasUnflushed(content) && !hasHalfLine(content);
}
