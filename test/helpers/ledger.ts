// The ledger of a child: how much each of its writers had finished at the fault and at the death. test/addon/ledger.cc
// makes the ledger.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';

import { type Line, sumOf } from './workplace.ts';

/**
 * Writers that count and acknowledge, lines every `flushMs`, and the fault `ms` (and `delayUs`) after all have begun.
 */
export interface Load {
  readonly workers: number;
  readonly threads: number;
  /** Whether one of the threads counts in the shared shard. */
  readonly shared: boolean;
  readonly flushMs: number;
  readonly ms: number;
  readonly delayUs: number;
  /**
   * Whether writers stop when the fault comes. Then almost nothing is acknowledged after the fault, and the sum is
   * known to within a few increments.
   */
  readonly stops: boolean;
  /** The slot of the writer that is shot: 0 is the main thread, then workers, then threads. */
  readonly target?: number;
}

/** The metric that the writer of each slot counts in. */
export const WRITERS = ['exit_io_in', 'exit_io_out', 'exit_mmio_read', 'exit_mmio_write', 'failures', 'kvmclock_ctrl_fails'];
const WORDS = 16;
const SLOTS = 8;

export function makeLedger(path: string, { stops }: Load): void {
  const words = new Uint32Array((SLOTS + 1) * WORDS);
  words[1] = stops ? 1 : 0;
  writeFileSync(path, new Uint8Array(words.buffer));
}

/**
 * Checks that no increment is lost or counted twice. `complete`: there was a last line, which has every increment
 * that was acknowledged before the fault.
 */
export function expectExact(lines: readonly Line[], path: string, load: Load, complete: boolean): void {
  const bytes = readFileSync(path);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let slot = 0; slot <= load.workers + load.threads; slot++) {
    const [finished, atFault] = words.subarray(WORDS * (slot + 1)) as unknown as [number, number];
    const counted = Number(sumOf(lines, `vcpu.${WRITERS[slot]}`));
    const what = `writer ${slot}: ${counted} in ${lines.length} lines, ${atFault} finished at the fault, ${finished} at death`;
    // The main thread may be the first to die, before its first increment.
    if (slot > 0) expect(finished, what).toBeGreaterThan(0);
    if (complete) expect(counted, what).toBeGreaterThanOrEqual(atFault);
    // One increment may be counted and not yet acknowledged.
    expect(counted, what).toBeLessThanOrEqual(finished + 1);
  }
}
