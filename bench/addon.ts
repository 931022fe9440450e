// The benchmarks' own native code, bench/native.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const built = (name: string) => fileURLToPath(new URL(`../../bench/native/build/Release/${name}`, import.meta.url));

/** bare_crash FILE: a program that only writes the time of its fault to FILE, and dies of SIGSEGV. */
export const BARE_CRASH = built('bare_crash');
/** The addon's file, for code that is not in this folder. */
export const ADDON = built('vmm_bench.node');

export interface BenchAddon {
  /** Nanoseconds of one `lock xadd`, the mean of `times`. */
  xaddNs(times: number): number;
  /** Nanoseconds of processor time that this thread has used. */
  threadCpuNs(): number;
  /** Nanoseconds of processor time that all ended child processes have used, with all their threads. */
  childrenCpuNs(): number;
  /**
   * Runs a loop that only waits for ticks, for `ms` milliseconds. It spins for the last `spinNs` before a tick. Returns
   * the part of the ticks that the loop met.
   */
  keepTime(intervalNs: number, ms: number, spinNs: number): number;
  /**
   * Appends a line to a file again and again; `asFlush`: with all system calls that a flush to a file makes. False: a
   * call failed.
   */
  append(path: string, line: string, times: number, asFlush: boolean): boolean;
  /**
   * Nanoseconds that a sample of the statistics descriptor with these bytes takes beyond one pread of it, the mean of
   * `times`. Before each sample, `changes` of the counters go up by 1.
   */
  sampleKvmNs(bytes: Uint8Array, changes: number, times: number): number;
  /** Writes the time to the file, and dies of SIGSEGV. Returns only if that is not possible, and says why. */
  dieTimed(path: string, where: string): string;
  /** Waits for a line, or for the end of the pipe, and returns when it came: CLOCK_MONOTONIC in nanoseconds. */
  arrivalTime(fifo: string, what: 'line' | 'end'): Promise<bigint>;
  /** Selects the store of `metrics.native` for the functions below. */
  attach(native: object): void;
  /** Increments 64 metrics in turn, in a shard of this thread's own. */
  inc(paths: readonly string[], times: number): void;
  /** Increments the metrics of the first four cells in turn, as constants of a generated header. */
  incConstants(paths: readonly string[], times: number): void;
  /** Attaches to the store with version 1 of the public header, and increments four metrics in turn. */
  incWithAbi1(native: object, paths: readonly string[], times: number): void;
  /**
   * Lets native threads increment one metric at the same time, each `times` times. Returns the longest processor time
   * of a thread, in nanoseconds.
   */
  together(path: string, threads: number, times: number): number;
  /** Increments 64 metrics in turn, in shard 0, atomically. */
  incShared(paths: readonly string[], times: number): void;
  /** Observes durations in turn; their number is a power of two. */
  observe(path: string, us: Uint32Array, times: number): void;
  /** Like observe(), with nanoseconds. False: the public header of the tree has no such function. */
  observeNs(path: string, ns: Uint32Array, times: number): boolean;
  /** Claims as many shards of the selected store. They stay claimed. */
  claim(shards: number): void;
  /**
   * Observes `count` durations in each shard of claim(): another part of the array in each, from index `first` on.
   * False: the public header of the tree has no histograms.
   */
  observeInEach(path: string, us: Uint32Array, first: number, count: number): boolean;
  /** Starts `threads` threads that live at the same time, count once each, and end. */
  live(path: string, threads: number): void;
}

export const addon = createRequire(import.meta.url)(ADDON) as BenchAddon;
