// The benchmarks' own native code, bench/native.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const built = (name: string) => fileURLToPath(new URL(`../../bench/native/build/Release/${name}`, import.meta.url));

/** A program that does nothing but die of SIGSEGV: bare_crash FILE, which gets the time of the fault. */
export const BARE_CRASH = built('bare_crash');
/** The addon's file, for code that is not in this folder. */
export const ADDON = built('vmm_bench.node');

export interface BenchAddon {
  /** Nanoseconds of a `lock xadd`, over so many. */
  xaddNs(times: number): number;
  /** Nanoseconds of processor time that this thread has had. */
  threadCpuNs(): number;
  /** The same of all children that have ended, with all their threads. */
  childrenCpuNs(): number;
  /** The part of all ticks that a loop met which only waits for them, for so long; it spins for the last `spinNs`. */
  keepTime(intervalNs: number, ms: number, spinNs: number): number;
  /** Dies of SIGSEGV; the time before goes into the file. Returns only when it cannot, and says why. */
  dieTimed(path: string, where: string): string;
  /** When a line, or the end of the pipe, was with a reader that waits: CLOCK_MONOTONIC in nanoseconds. */
  arrivalTime(fifo: string, what: 'line' | 'end'): Promise<bigint>;
  /** Takes the store of `metrics.native`, for the functions below. */
  attach(native: object): void;
  /** Increments 64 metrics in turn, in a shard of this thread's own. */
  inc(paths: readonly string[], times: number): void;
  /** The same in shard 0, atomically. */
  incShared(paths: readonly string[], times: number): void;
  /** Observes durations in turn; their number is a power of two. */
  observe(path: string, us: Uint32Array, times: number): void;
  /** The same with nanoseconds. False: the public header cannot. */
  observeNs(path: string, ns: Uint32Array, times: number): boolean;
  /** As many threads as that live at the same time, count once each, and end. */
  live(path: string, threads: number): void;
}

export const addon = createRequire(import.meta.url)(ADDON) as BenchAddon;
