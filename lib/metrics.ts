// A store of metrics as JavaScript sees it: one object per thread, one set of values per process.

import type { Accessors } from './app.ts';
import { checkedInteger, checkedOptions, INT_MAX } from './arguments.ts';
import { BINDING, binding } from './binding.ts';
import { type CollectedMetric, collected } from './collect.ts';
import { writeError } from './diagnostics.ts';
import { DISPOSE } from './dispose.ts';
import { ErrorCode } from './errors.ts';
import { failureError } from './failures.ts';
import { SinkHint } from './hints.ts';
import { INSPECT, inspectStore } from './inspected.ts';
import { type KvmDescriptors, sampleKvm } from './kvm/sampling.ts';
import type { OpenOptions } from './open-options.ts';
import { checkSameStore, type OpenedStore, openStore, type StoreRequest, storeRequestOf } from './opening.ts';
import { capturePanics } from './panics.ts';
import type { ProfileName } from './profile/columns.ts';
import { type Profile, type ProfileOptions, startProfile } from './profiler.ts';
import { SAMPLE, type Sampled } from './sampled.ts';
import { Samples } from './samples.ts';
import type { Schema, SchemaShape } from './schema.ts';
import { type CaptureSignalsOptions, checkedCaptureOptions, watchDisplacement } from './signals.ts';
import { initiate } from './sink.ts';
import { reportStartTime, type StartTimes } from './start-time.ts';
import type { ThreadCells } from './thread-cells.ts';
import { type MetricsSnapshot, valuesOf } from './values.ts';

/** The options of `startPeriodicFlush()`. */
export interface PeriodicFlushOptions {
  /** Milliseconds between two lines, an integer from 1 to 2^31-1. Default: 60,000. */
  readonly intervalMs?: number | undefined;
}

/** The stores that this thread is attached to, by their names. */
const openHere = new Map<string, Metrics<SchemaShape>>();

/**
 * The metrics of a schema, shared by all threads of this process.
 *
 * Thread-safe: each thread opens its own object under the same name, and all objects count into the same values. No
 * method may be called in a signal handler; `captureSignals()` counts signals in native code. After `close()`,
 * increments do nothing, and every other method throws MetricsError `ERR_METRICS_CLOSED`.
 */
export class Metrics<S extends SchemaShape> {
  /**
   * Opens the store of a name. The first call in a process makes the store; later calls, in any thread, attach to it.
   * Later calls in one thread return the same object. Each call needs its own `close()`.
   *
   * Warns once (`MetricsWarning`) about two likely mistakes. `METRICS_SECOND_STORE`: two stores have this schema, and
   * one of them has the default name. `METRICS_TWO_COPIES`: another copy of this package has stores in this process.
   *
   * ```ts
   * const metrics = Metrics.open(firecracker, { name: 'vm0' });
   * ```
   * @throws TypeError, RangeError for wrong options.
   * @throws MetricsError `ERR_METRICS_SCHEMA` when the schema does not come from `defineSchema()`, when an option adds
   * a key that the schema has, or when the schema is too long for a region file.
   * @throws MetricsError `ERR_METRICS_LAYOUT_MISMATCH` when the open store has another schema, id, properties or file.
   * @throws MetricsError `ERR_METRICS_NO_SPACE` when there is no memory or disk space.
   * @throws MetricsError `ERR_METRICS_NATIVE` when the addon cannot be loaded.
   * @throws MetricsError `ERR_METRICS_REGION_BUSY` when another process uses the file.
   * @throws MetricsError `ERR_METRICS_REGION` when the file cannot be made, or its path names something that is never
   * replaced: a file that is no region, a symbolic link, another user's file, or, with `'refuse'`, any region.
   */
  static open<S extends SchemaShape>(schema: Schema<S>, options?: OpenOptions): Metrics<S> {
    const request = storeRequestOf(schema, options);
    const there = openHere.get(request.name);
    if (there !== undefined) {
      checkSameStore(there.#request.facts, request);
      there.#opens++;
      return there as Metrics<SchemaShape> as unknown as Metrics<S>;
    }
    const metrics = new Metrics<S>(request, openStore(request));
    openHere.set(request.name, metrics as unknown as Metrics<SchemaShape>);
    return metrics;
  }

  /**
   * The accessors: `metrics.app.<group>.<metric>`, and for groups of devices `metrics.app.<group>.alloc(id).<metric>`.
   * Reading an unknown name throws a TypeError that lists the known names; `in` tells whether a name exists.
   */
  readonly app: Accessors<S>;

  /** The name of the store: what `open()` was given, or `'default'`. */
  get name(): string {
    return this.#request.name;
  }

  /** The schema of the store. */
  get schema(): Schema<S> {
    return this.#request.schema as Schema<SchemaShape> as Schema<S>;
  }

  readonly #request: StoreRequest;
  readonly #cells: ThreadCells;
  /** How many calls of `open()` in this thread have not been closed. */
  #opens = 1;
  #native: object | undefined;
  readonly #unwatchEnding: () => void;
  #unwatchPanics: (() => void) | undefined;
  #unwatchDisplacement: (() => void) | undefined;
  #sinkHint: SinkHint | undefined;
  readonly #samples: Samples;

  private constructor(request: StoreRequest, { cells, app, unwatchEnding }: OpenedStore) {
    this.#request = request;
    this.#cells = cells;
    this.#samples = new Samples(cells, request.layout);
    this.#unwatchEnding = unwatchEnding;
    this.app = app as Accessors<S>;
  }

  /**
   * Sets where lines go: a path, or a descriptor, which is duplicated. Call it once, for all threads; after a failure,
   * it may be called again. Modelled on Firecracker's `init`.
   *
   * Lines are appended to a file. A missing file is made with mode 0600. When the path no longer names the open file,
   * the next flush opens the path again. A named pipe needs no reader, and writing to it never blocks.
   *
   * A store with a region file first writes the last lines of earlier processes, oldest first, each line once. A kept
   * file has a last line if it has pending values and its lines went to the same path. When a last line cannot be
   * written, nothing is thrown, and it is written before the next line. The option `recover: false` of `open()` turns
   * this off.
   * @throws TypeError, RangeError for a wrong argument.
   * @throws MetricsError `ERR_METRICS_ALREADY_INITIALIZED` when `init()` has succeeded before, in any thread.
   * @throws MetricsError `ERR_METRICS_OPEN` when the destination cannot be opened (`cause` has `code`, `errno`,
   * `syscall`), or is a region file.
   */
  init(destination: string | number): void {
    initiate(this.#cells.attachment, this.#request.location, destination);
  }

  /**
   * Flushes one line. Never waits for a reader.
   *
   * When the line does not get out, its deltas stay pending and are part of the next line. When a pipe took only a part
   * of the line, the rest goes out before the next line, and then the first line counts as flushed.
   * @returns True when the whole line is out; false when `init()` was never called.
   * @throws MetricsError `ERR_METRICS_WRITE` when the whole line is not out, for instance because a pipe is full
   * (EAGAIN). `cause` has `code`, `errno`, `syscall`.
   */
  write(): boolean {
    const { attachment } = this.#cells;
    this.#cells.letGo();
    const result = attachment.flush();
    if (typeof result === 'boolean') return result;
    throw writeError(result);
  }

  /**
   * Returns the values of all metrics as plain objects, nested like the schema: totals since the store was opened, as
   * bigints. Resets nothing. `jsonText()` writes them as JSON; `JSON.stringify` refuses bigints.
   */
  snapshot(): MetricsSnapshot<S> {
    const { layout, totals, devices } = this.#samples.take();
    return valuesOf(layout, totals, ({ group }) => devices[group]!) as MetricsSnapshot<S>;
  }

  /**
   * Returns the same values as `snapshot()` as one list, in the order of the schema: each metric with its group, its
   * device, its name, kind, unit and description.
   */
  collect(): CollectedMetric[] {
    const { layout, totals, devices } = this.#samples.take();
    return collected(layout, totals, ({ group }) => devices[group]!);
  }

  /** For exports: the values now, until the next call. @internal */
  [SAMPLE](): Sampled {
    return this.#samples.take();
  }

  /**
   * Flushes a line every interval, on a native thread: flushing goes on while the event loop is blocked, and never
   * keeps the process alive. The first line comes after one interval. A second call changes the interval, for all
   * threads.
   *
   * Nothing is flushed before `init()`. If one interval passes without `init()`, a warning `METRICS_NO_SINK` says so. A
   * line that does not get out raises the metric marked `onMissedFlush`.
   * @throws TypeError, RangeError for wrong options.
   * @throws MetricsError `ERR_METRICS_NO_SPACE` when the thread cannot be started.
   */
  startPeriodicFlush(options?: PeriodicFlushOptions): void {
    void this.#cells.attachment; // throws when closed
    const { intervalMs = 60_000 } = checkedOptions<PeriodicFlushOptions>('startPeriodicFlush()', options, ['intervalMs']);
    checkedInteger('startPeriodicFlush(): intervalMs', intervalMs, 1, INT_MAX);
    const { attachment } = this.#cells; // again: a getter of the options may have closed it
    const failure = attachment.startPeriodicFlush(intervalMs);
    if (failure !== undefined) throw failureError(failure, { what: 'Cannot start the flush thread', error: ErrorCode.NO_SPACE });
    this.#sinkHint ??= new SinkHint(binding(), this.#request.name, () => this.#cells.closed || attachment.hasSink());
    this.#sinkHint.after(intervalMs);
  }

  /** Ends the periodic flush for all threads, after a flush that is under way. Pending values stay pending. */
  stopPeriodicFlush(): void {
    this.#cells.attachment.stopPeriodicFlush();
    this.#sinkHint?.stop();
  }

  /**
   * Captures signals, for all threads of the process. A captured signal raises the metric that the schema marks with
   * `onSignal`. When a captured signal ends the process, a last, complete line is flushed first. By default, captures
   * the marked signals and the usual fatal ones (`CaptureSignalsOptions`).
   *
   * Nothing else changes: a process that a signal kills still dies by the same signal, an ignored signal stays ignored,
   * earlier handlers are called, and a WebAssembly trap stays a JavaScript error. A listener that
   * `process.on()` adds later is called too, and the signal is still counted. There is one exception: if SIGTERM,
   * SIGINT or SIGHUP is neither marked nor asked for, only the later listener gets that signal.
   *
   * A second call can capture more signals. It also puts our handler back above a handler that native code has
   * installed since. Flushes check for such a handler, at most every 100 ms, and raise the metric marked `onError`
   * when they find one.
   *
   * An earlier handler may let the process go on after its last line. If the process is still alive 2 s later, lines
   * are flushed and signals are captured again.
   * @throws TypeError, RangeError for wrong options.
   * @throws MetricsError `ERR_METRICS_ATTACH` when signals are captured for 16 other stores of this process already.
   */
  captureSignals(options?: CaptureSignalsOptions): void {
    void this.#cells.attachment; // throws when closed
    const { signals, leaveIgnored, limitMs } = checkedCaptureOptions(options);
    const { attachment } = this.#cells; // again: a getter of the options may have closed it
    const failure = attachment.captureSignals(signals, leaveIgnored, limitMs);
    if (failure !== undefined) throw failureError(failure, { what: 'Cannot capture signals', error: ErrorCode.ATTACH });
    this.#unwatchDisplacement ??= watchDisplacement({
      displaced: () => (this.#cells.closed ? [] : attachment.displaced()),
      retake: (signal) => {
        if (!this.#cells.closed) attachment.retakeSignal(signal);
      },
    });
  }

  /**
   * Captures panics of the calling thread; each worker calls it for itself. A panic is an uncaught exception or
   * unhandled rejection that is about to end the process, or the worker. A panic raises the metric marked `onPanic`,
   * and flushes a line. Node's message and exit code are unchanged. An error that the host handles itself, by an
   * `uncaughtException` listener or a capture callback, is no panic, even if the handler then fails.
   */
  capturePanics(): void {
    void this.#cells.attachment; // throws when closed
    this.#unwatchPanics ??= capturePanics(this.#cells, this.#request.layout);
  }

  /**
   * Sets the metrics marked `startTime`: how long the start of the process took, in microseconds, by the wall clock and
   * in CPU time. The CPU time includes the parent's CPU time, if that is given. Times that are left out are not
   * reported. Modelled on Firecracker's `ProcessTimeReporter`.
   * @throws TypeError, RangeError for a wrong value, or a start in the future.
   * @throws MetricsError `ERR_METRICS_SCHEMA` when the schema marks no metric for a time. Nothing is set then.
   */
  reportStartTime(times?: StartTimes): void {
    void this.#cells.attachment; // throws when closed
    reportStartTime(this.#cells, this.#request.layout, times);
  }

  /**
   * Samples metrics at a fixed rate, on native threads, into a table of tab-separated text. Each row has the time since
   * the start, read just before the values, and then the totals that `count()` and `fetch()` return. Needs no `init()`.
   * Modelled on gVisor's profiling metrics. docs/profile-table.md describes the table.
   *
   * ```ts
   * const profile = metrics.startProfiling({
   *   metrics: ['vcpu.exit_io_out', 'block_rootfs.read_agg.sum_us'],
   *   output: 'profile.tsv',
   * });
   * const { samples, missedTicks } = await profile.stop();
   * ```
   * Ticks lie on a fixed grid; the first tick comes one interval after the start. A tick that the sampling thread
   * misses is skipped and counted. At intervals below 500 us, the thread spins for 20 us before each tick; below 50 us,
   * it spins all the time and takes a processor (docs/performance.md).
   *
   * A store has one profile at a time, for all threads. The profile ends with `stop()`, or when its thread ends or
   * closes the store; it never keeps the process alive. When a captured signal ends the process, the samples so far are
   * written after the last line.
   * @throws TypeError, RangeError for wrong options, such as a name that is no metric.
   * @throws MetricsError `ERR_METRICS_PROFILE` when a profile is running already, or the output cannot be opened
   * (`cause` has `code`, `errno`, `syscall`).
   * @throws MetricsError `ERR_METRICS_NO_SPACE` when there is no memory, or a thread cannot be started.
   */
  startProfiling(options: ProfileOptions<ProfileName<S>> | ProfileOptions): Profile {
    return startProfile(this.#cells, this.#request.layout, options);
  }

  /**
   * Samples KVM's statistics of a VM and its vCPUs from now on, into the metrics that `kvmFields()` of
   * `vmm-metrics/kvm` made: just before each line, each sample of a profile that shows one of them, each `snapshot()`,
   * and the last line of a crash. Between two samples, the metrics keep their values. The device of a vCPU is made if
   * it does not exist. When a device is removed, its vCPU is sampled once more, and then no longer.
   *
   * ```ts
   * metrics.sampleKvm({ vm: vmDescriptor, vcpus: { '0': vcpuDescriptor } });
   * ```
   * A counter has the value of KVM's counter, including what KVM counted before. If another VM or vCPU takes the place
   * of an earlier one, its counts are added. The store keeps duplicates of the descriptors, and so the VM, until null
   * ends the sampling, the device is removed, or the store is closed. If a descriptor cannot be read any more, a
   * warning `METRICS_KVM_LOST` appears once, the metric marked `onError` goes up, and the last values stay. On a kernel
   * without such statistics, a warning `METRICS_NO_KVM_STATISTICS` appears once, and nothing else happens.
   * @throws TypeError, RangeError for a wrong argument. Nothing changes then.
   * @throws MetricsError `ERR_METRICS_SCHEMA` when the schema has no metrics of `kvmFields()`.
   * @throws MetricsError `ERR_METRICS_ATTACH` when a descriptor is not one of KVM, or what it says about itself cannot
   * be right. The message names what is wrong. Nothing changes then.
   * @throws MetricsError as `alloc()` of the vCPUs' group.
   */
  sampleKvm(descriptors: KvmDescriptors): void {
    sampleKvm(this.#cells, this.#request.layout, descriptors);
  }

  /**
   * The store for other native addons: an external for `vmm_metrics_attach()` of `include/vmm_metrics.h`. The external
   * contains a type tag, the version of that interface, and the fingerprint of the schema.
   */
  get native(): object {
    const { attachment } = this.#cells;
    this.#native ??= attachment.native();
    return this.#native;
  }

  /**
   * Undoes one `open()` of this thread, so a function that opens and closes the metrics leaves them open for its
   * caller. A thread has one object for all its opens, so a caller that closes twice undoes another caller's `open()`.
   * The last `close()` detaches the thread, and ends the profile that the thread started, within a second. After that,
   * increments and further calls of `close()` do nothing.
   *
   * When the last thread of the process detaches, a last line is flushed, the flush thread and the capture end, and the
   * name is free. A thread that ends detaches by itself; if it is the last one, a last line is flushed only when
   * something is pending.
   */
  close(): void {
    if (this.#cells.closed || --this.#opens > 0) return;
    this.#unwatchPanics?.();
    this.#unwatchEnding();
    this.#unwatchDisplacement?.();
    this.#sinkHint?.stop();
    openHere.delete(this.#request.name);
    this.#cells.close();
  }

  /** Does what {@link close} does, for `using metrics = Metrics.open(...)`. */
  [DISPOSE](): void {
    this.close();
  }
}

// For the other entries of the package, which are bundles of their own: one thread loads one addon.
Object.defineProperty(Metrics, BINDING, { value: binding });
Object.defineProperty(Metrics.prototype, INSPECT, { value: inspectStore });
