// The native addon as TypeScript sees it. Native code relies on its arguments: callers have checked them.

import { resolve } from 'node:path';

import { type LoadedAddon, loadAddon } from './addon-file.ts';
import type { NativeExposition } from './binding-exposition.ts';
import type { KnownRegionHandle, KnownRegionSpec, NativeFileSampler } from './binding-readers.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import type { Failure } from './failures.ts';
import type { Unit } from './schema.ts';

/** A metric that other native code can look up by its name. */
export interface NamedMetric {
  readonly name: string;
  /** `vmm_metrics_kind` in include/vmm_metrics.h. */
  readonly kind: number;
  readonly cell: number;
  /** The number of its table, if it has buckets. */
  readonly table?: number;
}

/** How the bucket of a value is found; `vmm_metrics_buckets` in include/vmm_metrics_histogram.h. */
export interface BucketTable {
  readonly table: Float64Array;
  readonly limit: number;
  readonly perUnit: number;
  readonly buckets: number;
  readonly mantissaBits: number;
  readonly firstIndex: number;
}

/** What a store is made of; `StoreSpec` in native/store/store.h. */
export interface StoreSpec {
  readonly name: string;
  readonly schemaText: string;
  readonly fingerprint: bigint;
  readonly kinds: Uint8Array;
  readonly code: Uint32Array;
  readonly mainEnd: number;
  readonly groups: Uint32Array;
  readonly literals: Uint8Array;
  /** One for each scheme of buckets. */
  readonly tables: readonly BucketTable[];
  /** Three numbers per histogram of the line: its group or -1, its first bucket, and its table. */
  readonly histograms: Int32Array;
  readonly keys: readonly string[];
  readonly metrics: readonly NamedMetric[];
  readonly deviceGroups: readonly { readonly name: string; readonly kinds: Uint8Array; readonly metrics: readonly NamedMetric[] }[];
  readonly marks: readonly { readonly signal: number; readonly cell: number; readonly isStore: boolean }[];
  readonly missedCell?: number;
  /** The metrics that show KVM's statistics, by KVM's names. The cells of a vCPU are counted from its first cell. */
  readonly kvm?: { readonly vm: readonly NamedMetric[]; readonly vcpu: readonly NamedMetric[]; readonly vcpuGroup: number | undefined };
  readonly errorCell?: number;
  /** The absolute path of the region file. Left out: the values are in memory. */
  readonly file?: string;
  /** `Previous` in native/region/region_file.h. */
  readonly previous: number;
  /** What readers in other processes need to know about the store; docs/format.md. */
  readonly document: string;
}

export interface NativeDevice {
  readonly id: string;
  readonly firstCell: number;
  readonly removed: boolean;
}

/** The last line of an earlier life of the region file; `Recovery` in native/flush/recovery.h. */
export interface Recovery {
  /** The dead region file, open for writing and locked. Native code duplicates the descriptor. */
  readonly file: number;
  readonly commit: bigint;
  readonly text: Uint8Array;
  readonly record: Uint8Array;
  readonly hasLine: boolean;
  readonly removePath: string;
}

/** A statistic of KVM, and the metric that it becomes; `KvmMetricShape` in native/kvm/statistics.h. */
export interface KvmStatistic {
  readonly name: string;
  /** Undefined: no metric can show it, because of `leftOut`. */
  readonly kind?: 'inc' | 'store';
  readonly isPeak: boolean;
  readonly unit: Unit;
  readonly leftOut: string;
}

/** A profile that runs, or ran. While this object exists, native code keeps the memory of the profile's store. */
export type NativeProfile = object & { readonly profile: unique symbol };

/** How a profile went. A name with `Ns` means nanoseconds. */
export interface ProfileFigures {
  readonly samples: number;
  readonly missedTicks: number;
  readonly backOffs: number;
  readonly lateNsMedian: number;
  readonly lateNsP99: number;
  readonly lateNsMax: number;
  /** Why rows were lost, if rows were lost. */
  readonly failure?: Failure;
}

/** `Troubles::Taken` in native/store/troubles.h. */
export interface Troubles {
  /** Why lines did not get out, oldest first. */
  readonly missed: readonly Failure[];
  readonly isDegraded: boolean;
  /** The numbers of captured signals whose handler was replaced. */
  readonly displaced: readonly number[];
  /** Whether `kvmLosses()` has something to tell. */
  readonly hasLostKvm: boolean;
}

/**
 * One thread's attachment to a store. After `detach()`, the methods that only write to cells do nothing, and every
 * other method throws.
 */
export interface Attachment {
  /** The number of the shard that only this thread writes; 0 when the thread shares shard 0. */
  readonly shard: number;
  readonly chunkCells: number;
  /**
   * The memory of one chunk in one shard, which must be in use. Null where this Node allows no ArrayBuffer over foreign
   * memory.
   */
  row(chunk: number, shard: number): ArrayBuffer | null | Failure;
  /** The memory of the region's header, likewise. Nothing may be written there. */
  header(): ArrayBuffer | null | Failure;
  /** `add`, `set` and `raise` write to shard 0, for threads that have no view over their cells. */
  add(cell: number, n: bigint): void;
  set(cell: number, value: bigint): void;
  raise(cell: number, value: bigint): void;
  total(cell: number): bigint;
  /** The totals of neighbouring cells: the buckets first, so that the extremes are those of no earlier moment. */
  totals(firstCell: number, count: number): BigUint64Array;
  pending(cell: number): bigint;
  /**
   * All totals in one array. The cells that belong to no device come first. Then each group of devices has the sums of
   * all removed devices (0 for everything but counters), followed by the cells of each living device in the order of
   * `ids`.
   */
  snapshot(): { readonly totals: BigUint64Array; readonly ids: readonly (readonly string[])[] };
  /**
   * Writes the totals as they are now to the `totals` of the last snapshot(). False, and nothing is written, if devices
   * were made or removed since.
   */
  totalsInto(totals: BigUint64Array): boolean;
  allocDevice(group: number, id: string): number | Failure;
  removeDevice(group: number, id: string): boolean;
  /** The living devices of a group, sorted by the bytes of their ids. */
  devices(group: number): NativeDevice[];
  /**
   * Says that this thread may write to devices from now on. When there are devices to let go of, `letGo` is called
   * soon, on this thread. Call watch() only once.
   */
  watch(letGo: () => void): void;
  /** The devices that this thread must let go of: group, first cell, group, first cell and so on. */
  leaving(): Uint32Array | undefined;
  /** Says that this thread no longer writes to the devices that `leaving()` returned last. */
  letGo(): void;
  /** The first of the group's rest cells: accessors of devices that were let go of count there. */
  restCell(group: number): number;
  /** Returns false if the store has a sink already. `recoveries` are written at once, before any line of this store. */
  init(destination: string | number, recoveries?: readonly Recovery[]): boolean | Failure;
  /** Returns true once per store with a file: to the first caller, which then tidies up the files of earlier lives. */
  inherits(): boolean;
  /** Whether init() has succeeded, in any thread. */
  hasSink(): boolean;
  flush(): boolean | Failure;
  startPeriodicFlush(intervalMs: number): undefined | Failure;
  /** Returns when no flush of the thread is under way any more. */
  stopPeriodicFlush(): void;
  /**
   * From now on, `listener` is called on this thread soon after something went wrong in the store. It takes that with
   * troubles(). Only the first call for a store has an effect, whatever its thread.
   */
  listen(listener: () => void): void;
  /** What went wrong since the last call. */
  troubles(): Troubles;
  captureSignals(signals: Uint32Array, leaveIgnored: boolean, limitMs: number): undefined | Failure;
  /** The captured signals whose handler has been replaced. */
  displaced(): number[];
  /** Installs our handler for that signal again, above the handler that is there now, which ours then calls. */
  retakeSignal(signal: number): void;
  /**
   * Samples these descriptors from now on: the VM's for null, a vCPU's for the id of its device. The descriptor -1 ends
   * the sampling. `index` says which of them cannot be sampled; then no descriptor is.
   */
  sampleKvm(vcpus: readonly (string | null)[], descriptors: readonly number[]): undefined | (Failure & { readonly index: number });
  /** What can be sampled no more, each VM or vCPU once in a process. */
  kvmLosses(): readonly { readonly vcpu: string | null; readonly failure: Failure }[];
  /** With an `annotation`, the table gets comments. */
  startProfiling(
    cells: Uint32Array,
    intervalNs: number,
    header: string,
    annotation: string | undefined,
    output: string | number,
  ): NativeProfile | Failure;
  native(): object;
  /**
   * Says that this thread is about to end without `detach()`, and whether the process ends with it. The exit code -1
   * means that the code is not known yet.
   */
  ends(isPanic: boolean, exitCode: number, isProcess: boolean): void;
  detach(): void;
}

/** An open store of this process. */
export interface OpenStore {
  readonly name: string;
  readonly fingerprint: bigint;
  /** The addon's file, if the store belongs to another copy of the addon. */
  readonly addon?: string;
}

export interface Binding extends NativeExposition {
  /** The version of the package that the addon was built from. */
  readonly version: string;
  /** The stores of this process, including those of other copies of this package that this copy can find. */
  openStores(): OpenStore[];
  /** Whether this is the first call with this text in the process. */
  isFirst(text: string): boolean;
  /** The first 8 bytes, little-endian, of the SHA-256 of the text as UTF-8. */
  fingerprint(text: string): bigint;
  /**
   * Returns an attachment or a failure. If the facts of the open store differ from those of `spec`, returns the open
   * store's facts as JSON.
   */
  open(spec: StoreSpec): Attachment | string | Failure;
  /** CLOCK_MONOTONIC and CLOCK_PROCESS_CPUTIME_ID, in microseconds. */
  clocks(): BigUint64Array;
  /**
   * The statistics that descriptors of a VM and a vCPU have. -1 stands for those of a VM that is made for this call. A
   * failure `noStatistics` means that there is no KVM, or that its kernel has no such descriptors.
   */
  kvmStatistics(
    vm: number,
    vcpu: number,
  ): { readonly vm: readonly KvmStatistic[]; readonly vcpu: readonly KvmStatistic[] } | (Failure & { readonly isVcpu: boolean });
  /** Every offset and size of native/region/format.h, for tests. */
  format(): object;
  /** Memory that begins at a page boundary and is all 0. */
  pages(bytes: number): Uint8Array;
  /** A handle for readKnownRegions(); undefined if the spec is not consistent. */
  knownRegion(spec: KnownRegionSpec): KnownRegionHandle | undefined;
  /**
   * Reads each region into the `results` of its spec, if nothing but its values has changed. Writes one of KnownResult
   * for each region; after `changed`, the contents of its `results` are undefined. The descriptors must be open.
   */
  readKnownRegions(handles: readonly KnownRegionHandle[], results: Uint8Array): void;
  /**
   * Whether another open file description holds an exclusive flock on the file. Takes a shared lock for a moment, so a
   * lock that the descriptor had before is lost.
   */
  isLocked(descriptor: number): boolean | Failure;
  /**
   * Locks the file against other calls of lock(). Returns false if another caller has that lock, or if the writer
   * lives. isLocked() does not see this lock, so a file whose writer is gone still counts as a file without a writer.
   */
  lock(descriptor: number): boolean | Failure;
  /**
   * Samples region files at the ticks of a grid, which begins at `beginNs` on the clock of process.hrtime() and has the
   * ticks 1 to `lastTick`.
   */
  readonly FileSampler: new (
    beginNs: number,
    intervalNs: number,
    lastTick: number,
  ) => NativeFileSampler;
  /**
   * Sends a whole line to a sink, and waits up to `patienceMs` for its reader. Returns how many bytes of the line the
   * sink took. If the file does not end in a newline, a newline goes first. The caller keeps the descriptor.
   */
  send(descriptor: number, line: Uint8Array, patienceMs: number): { readonly sent: number; readonly failure?: Failure };
  /** Ends a profile. The work is done on another thread. */
  stopProfiling(profile: NativeProfile): Promise<ProfileFigures>;
}

/** Where the bundle of another entry of the package finds binding(), see scripts/bundle.mjs. */
export const BINDING = Symbol.for('vmm-metrics.binding');

let loaded: LoadedAddon<Binding> | undefined;

/**
 * The addon of this thread. The first call loads it.
 * @param file The addon's file, if the user has named one.
 * @throws MetricsError `ERR_METRICS_NATIVE` when the addon cannot be loaded, or another file is loaded already.
 */
export function binding(file?: string): Binding {
  loaded ??= loadAddon<Binding>(file);
  if (file !== undefined && resolve(file) !== loaded.path) {
    throw new MetricsError(
      ErrorCode.NATIVE,
      `The native addon ${loaded.path} is loaded already; the option 'addon' names ${resolve(file)}`,
    );
  }
  return loaded.exports;
}

/** The file that this thread's addon was loaded from. */
export function bindingPath(): string {
  binding();
  return loaded!.path;
}
