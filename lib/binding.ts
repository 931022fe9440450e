// The native addon as it looks from here. What it takes has been checked already.

import { resolve } from 'node:path';

import { type LoadedAddon, loadAddon } from './addon-file.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import type { Failure } from './failures.ts';

/** A metric by name, for native code. */
export interface NamedMetric {
  readonly name: string;
  /** `vmm_metrics_kind` */
  readonly kind: number;
  readonly cell: number;
}

export interface StoreSpec {
  readonly name: string;
  readonly schemaText: string;
  readonly fingerprint: bigint;
  readonly kinds: Uint8Array;
  readonly code: Uint32Array;
  readonly mainEnd: number;
  readonly groups: Uint32Array;
  readonly literals: Uint8Array;
  readonly keys: readonly string[];
  readonly metrics: readonly NamedMetric[];
  readonly deviceGroups: readonly { readonly name: string; readonly kinds: Uint8Array; readonly metrics: readonly NamedMetric[] }[];
  readonly marks: readonly { readonly signal: number; readonly cell: number; readonly isStore: boolean }[];
  readonly missedCell?: number;
  readonly errorCell?: number;
  /** The region's file, absolute. */
  readonly file?: string;
  /** `Previous` in native/region/region_file.h */
  readonly previous: number;
  /** What readers in other processes need to know of the store; docs/format.md. */
  readonly document: string;
}

export interface NativeDevice {
  readonly id: string;
  readonly firstCell: number;
  readonly removed: boolean;
}

/** The last line of an earlier life: native/flush/recovery.h. */
export interface Recovery {
  /** The dead region, open for writing and locked; it is duplicated. */
  readonly file: number;
  readonly commit: bigint;
  readonly text: Uint8Array;
  readonly record: Uint8Array;
  readonly hasLine: boolean;
  readonly removePath: string;
}

/** A profile that runs, or ran; native code keeps its store's memory for it. */
export type NativeProfile = object & { readonly profile: unique symbol };

/** What a profile was; numbers of nanoseconds where the name says so. */
export interface ProfileFigures {
  readonly samples: number;
  readonly missedTicks: number;
  readonly backOffs: number;
  readonly lateNsMedian: number;
  readonly lateNsP99: number;
  readonly lateNsMax: number;
  /** Rows are lost. */
  readonly failure?: Failure;
}

/** One thread's attachment to a store. After `detach()` every method throws, but for those that only write. */
export interface Attachment {
  /** The shard that this thread alone writes; 0 when it shares shard 0. */
  readonly shard: number;
  readonly chunkCells: number;
  /** The cells of one chunk in one shard; null where external ArrayBuffers are not allowed. */
  row(chunk: number, shard: number): ArrayBuffer | null | Failure;
  /** On shard 0, for where there are no rows. */
  add(cell: number, n: bigint): void;
  set(cell: number, value: bigint): void;
  raise(cell: number, value: bigint): void;
  total(cell: number): bigint;
  pending(cell: number): bigint;
  /**
   * All totals: those of the schema's own cells; then for each group those of its removed devices together, which only
   * inc metrics have, and those of each living device, in the order of its `ids`.
   */
  snapshot(): { readonly totals: BigUint64Array; readonly ids: readonly (readonly string[])[] };
  allocDevice(group: number, id: string): number | Failure;
  removeDevice(group: number, id: string): boolean;
  /** The living devices of a group, sorted by the bytes of their ids. */
  devices(group: number): NativeDevice[];
  /**
   * From now on this thread may write to devices. `letGo` is called on it, soon, when there is something to let go of.
   * Once.
   */
  watch(letGo: () => void): void;
  /** The devices that this thread is to let go of: group, first cell, group, first cell and so on. */
  leaving(): Uint32Array | undefined;
  /** This thread writes no more to what `leaving()` gave last. */
  letGo(): void;
  /** Where the cells of a group begin that count what comes through accessors of devices that were let go of. */
  restCell(group: number): number;
  /** `recoveries` go out before any line of this store, the first at once. */
  init(destination: string | number, recoveries?: readonly Recovery[]): boolean | Failure;
  /** True for the first who asks: the file is the store's by now, and nobody has looked at what was there before. */
  inherits(): boolean;
  /** Whether init() succeeded, in any thread. */
  hasSink(): boolean;
  flush(): boolean | Failure;
  startPeriodicFlush(intervalMs: number): undefined | Failure;
  captureSignals(signals: Uint32Array, leaveIgnored: boolean, limitMs: number): undefined | Failure;
  /** The captured signals whose place somebody else's handler has. */
  displaced(): number[];
  /** Takes the place of that signal again, above the handler that is there now, which is handed on to. */
  retakeSignal(signal: number): void;
  /** `annotation` undefined: no comments. */
  startProfiling(
    cells: Uint32Array,
    intervalNs: number,
    header: string,
    annotation: string | undefined,
    output: string | number,
  ): NativeProfile | Failure;
  native(): object;
  /**
   * This thread is about to end without `detach()`, by a panic or otherwise; with it the process, or not. An exit code
   * of -1 is not known yet.
   */
  ends(isPanic: boolean, exitCode: number, isProcess: boolean): void;
  detach(): void;
}

/** An open store of this process. */
export interface OpenStore {
  readonly name: string;
  readonly fingerprint: bigint;
  /** The file of the copy of the addon that has it; left out for this copy. */
  readonly addon?: string;
}

export interface Binding {
  /** Of the package that the addon was built from. */
  readonly version: string;
  /** Of all copies of this package that know one another. */
  openStores(): OpenStore[];
  /** Whether nobody in this process asked about this text before. */
  isFirst(text: string): boolean;
  /** An attachment, the text of the other schema that has the name, or a failure. */
  open(spec: StoreSpec): Attachment | string | Failure;
  /** CLOCK_MONOTONIC and CLOCK_PROCESS_CPUTIME_ID, in microseconds. */
  clocks(): BigUint64Array;
  /** Every offset and size of native/region/format.h, for tests. */
  format(): object;
  /** Memory that begins at a page, all 0. */
  pages(bytes: number): Uint8Array;
  /**
   * Whether anybody else holds an exclusive flock on the file. Takes a shared one for a moment, and gives up any that
   * the descriptor had.
   */
  isLocked(descriptor: number): boolean | Failure;
  /**
   * Locks the file against everybody who wants it for themselves: false when somebody has it. isLocked() of others says
   * false all the same, as of a file whose writer is gone.
   */
  lock(descriptor: number): boolean | Failure;
  /**
   * Sends a whole line to a sink, waiting at most so long for its reader: how many of its bytes were taken. Where what
   * is there does not end in a newline, one goes first. The caller keeps the descriptor.
   */
  send(descriptor: number, line: Uint8Array, patienceMs: number): { readonly sent: number; readonly failure?: Failure };
  /** Ends a profile, on another thread. */
  stopProfiling(profile: NativeProfile): Promise<ProfileFigures>;
}

let loaded: LoadedAddon<Binding> | undefined;

/**
 * The addon of this thread; the first call loads it.
 * @param file The addon's file, if the caller named one.
 * @throws MetricsError `ERR_METRICS_NATIVE`, saying what was tried; and when another file than `file` is loaded
 * already.
 */
export function binding(file?: string): Binding {
  loaded ??= loadAddon<Binding>(file);
  if (file !== undefined && resolve(file) !== loaded.path) {
    throw new MetricsError(ErrorCode.NATIVE, `The native addon ${loaded.path} is loaded already; the option addon says ${resolve(file)}`);
  }
  return loaded.exports;
}

/** The file that the addon of this thread was loaded from. */
export function bindingPath(): string {
  binding();
  return loaded!.path;
}
