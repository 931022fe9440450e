// A store of metrics as JavaScript sees it: one object a thread, one set of values a process.

import { resolve } from 'node:path';

import { type AccessorOf, accessorOf, accessorsOf } from './accessors/accessors.ts';
import type { StoreMetric } from './accessors/store.ts';
import { checkedDestination, checkedInteger, checkedOptions, checkedValue, INT_MAX, shown, shownDestination } from './arguments.ts';
import { type Attachment, binding, bindingPath } from './binding.ts';
import { type DeviceMetrics, type Devices, ThreadDevices } from './devices.ts';
import { DISPOSE } from './dispose.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import { type Failure, failureError, isFailure } from './failures.ts';
import { hintAtOtherStores, SinkHint } from './hints.ts';
import { firstDifference, type Layout, layoutOf } from './layout.ts';
import { checkedOpenOptions, type OpenOptions } from './open-options.ts';
import { watchEnding, watchPanics } from './panics.ts';
import type { ProfileName } from './profile/columns.ts';
import { type Profile, type ProfileOptions, startProfile } from './profiler.ts';
import { hintAtDisk } from './region/disk.ts';
import { GENERATIONS_MAX, tidyGenerations } from './region/generations.ts';
import { prepareRecoveries } from './region/recovery.ts';
import { type Fields, type GroupDef, type PerDeviceDef, type Schema, type SchemaShape, schemaOf, type TimestampDef } from './schema.ts';
import { type CaptureSignalsOptions, checkedCaptureOptions, watchDisplacement } from './signals.ts';
import { factsOf, markedMetric, type Place, storeSpecOf } from './store-spec.ts';
import { ThreadCells } from './thread-cells.ts';
import { throwsForUnknown } from './unknown-names.ts';
import { devicesIn, type MetricsSnapshot, valuesOf } from './values.ts';

export interface PeriodicFlushOptions {
  /** Milliseconds between two lines. Default: 60,000. */
  readonly intervalMs?: number | undefined;
}

export interface StartTimes {
  /** When the process was started, by CLOCK_MONOTONIC, in microseconds. */
  readonly startTimeUs?: number | bigint | undefined;
  /** What CLOCK_PROCESS_CPUTIME_ID said at the start, in microseconds. */
  readonly startTimeCpuUs?: number | bigint | undefined;
  /** CPU time that the parent spent for this process before it ran, in microseconds; added to the CPU time. */
  readonly parentCpuTimeUs?: number | bigint | undefined;
}

/** The accessors of a schema, nested as it is. */
export type Accessors<S extends SchemaShape> = {
  readonly [K in keyof S as S[K] extends TimestampDef ? never : K]: S[K] extends GroupDef<infer F>
    ? { readonly [N in keyof F]: AccessorOf<F[N]> }
    : S[K] extends PerDeviceDef<infer F>
      ? Devices<F>
      : RunTimeGroup;
};

/** A group of a schema that is known at run time only: its names and kinds are checked when they are used. */
export interface RunTimeGroup {
  // biome-ignore lint/suspicious/noExplicitAny: an accessor, or a method of devices; nothing says which.
  readonly [name: string]: any;
}

export type { DeviceMetrics, Fields, OpenOptions };

/** The stores that this thread is attached to. */
const openHere = new Map<string, Metrics<SchemaShape>>();

/**
 * Metrics of a schema, shared by all threads of this process.
 *
 * Thread-safe: each thread opens its own object of the same name and counts into the same values. After `close()` every
 * method throws MetricsError `ERR_METRICS_CLOSED`, and increments do nothing.
 */
export class Metrics<S extends SchemaShape> {
  /**
   * Opens the store of that name: the first call in a process makes it, later ones attach, also in worker threads.
   * Twice in a thread gives the same object; each call then needs its own `close()`.
   *
   * Warns once (`MetricsWarning`) where a mistake is likely: `METRICS_SECOND_STORE` when the schema has a store under
   * another name and one of the two names is the default, `METRICS_TWO_COPIES` when another copy of this package has
   * stores in this process.
   *
   * ```ts
   * const metrics = Metrics.open(firecracker, { name: 'vm0' });
   * ```
   * @throws TypeError, RangeError for wrong options; MetricsError `ERR_METRICS_SCHEMA` for what `defineSchema()` has
   * not checked, `ERR_METRICS_LAYOUT_MISMATCH` when the name is taken by another schema, id, properties or file, naming
   * the first difference, `ERR_METRICS_NO_SPACE` when there is no memory or disk space, `ERR_METRICS_NATIVE` when the
   * addon cannot be loaded, `ERR_METRICS_REGION_BUSY` when another process has the file, naming it,
   * `ERR_METRICS_REGION` when the file is something else (no region, a symbolic link, another user's) or cannot be
   * made. A file that is there is untouched then.
   */
  static open<S extends SchemaShape>(schema: Schema<S>, options?: OpenOptions): Metrics<S> {
    const { name, identity, place, addon } = checkedOpenOptions(options);
    const checked = schemaOf(schema);
    if (checked === undefined)
      throw new MetricsError(ErrorCode.SCHEMA, `Metrics.open(): schema must come from defineSchema(); got ${shown(schema)}`);
    const layout = layoutOf(checked);
    for (const key of ['id', 'properties'] as const) {
      if (identity[key] !== undefined && key in checked.shape) {
        throw new MetricsError(ErrorCode.SCHEMA, `${key}: the option '${key}' and the schema both want this key of the line`);
      }
    }

    const facts = factsOf(layout, identity, place.file);
    const native = binding(addon);
    const there = openHere.get(name);
    if (there !== undefined) {
      const difference = firstDifference(there.#facts, facts);
      if (difference !== undefined) throw mismatch(name, difference);
      there.#opens++;
      return there as Metrics<SchemaShape> as unknown as Metrics<S>;
    }

    const spec = storeSpecOf(name, checked, layout, identity, place);
    const before = native.openStores();
    const opened = native.open(spec);
    if (typeof opened === 'string') {
      throw mismatch(name, firstDifference(JSON.parse(opened) as Layout['facts'], facts) ?? 'the order differs');
    }
    if (isFailure(opened)) {
      throw place.file === undefined
        ? failureError(opened, { what: `Cannot open the store ${shown(name)}`, error: ErrorCode.NO_SPACE })
        : failureError(opened, { what: `Cannot open the region file ${shown(place.file)}`, error: ErrorCode.REGION, path: place.file });
    }
    const metrics = new Metrics<S>(name, layout, facts, place, cellsOf(opened));
    openHere.set(name, metrics as unknown as Metrics<SchemaShape>);
    hintAtOtherStores(native, before, { name, fingerprint: layout.fingerprint, addon: bindingPath() });
    if (place.file !== undefined) {
      hintAtDisk(native, place.file);
      metrics.#unwatchEnding = watchEnding(opened);
      if (opened.inherits()) metrics.#tidy(place.file, spec.errorCell);
    }
    return metrics;
  }

  /**
   * The accessors: `metrics.app.<group>.<metric>`, and for groups of devices `metrics.app.<group>.alloc(id).<metric>`.
   * Any other name throws a TypeError that says what there is; `in` asks whether a name is there.
   */
  readonly app: Accessors<S>;

  readonly #name: string;
  readonly #layout: Layout;
  readonly #facts: Layout['facts'];
  readonly #place: Place;
  readonly #cells: ThreadCells;
  /** How many calls of `open()` in this thread have not been closed. */
  #opens = 1;
  #native: object | undefined;
  #unwatchPanics: (() => void) | undefined;
  #unwatchEnding: (() => void) | undefined;
  #unwatchDisplacement: (() => void) | undefined;
  #sinkHint: SinkHint | undefined;

  private constructor(name: string, layout: Layout, facts: Layout['facts'], place: Place, cells: ThreadCells) {
    this.#name = name;
    this.#layout = layout;
    this.#facts = facts;
    this.#place = place;
    this.#cells = cells;
    const keys = layout.entries.filter(({ kind }) => kind !== 'utcTimestampMs').map(({ key }) => key);
    const app: Record<string, unknown> = Object.create(throwsForUnknown('metrics.app', keys));
    for (const entry of layout.entries) {
      if (entry.kind === 'group') {
        const names = entry.metrics.map(({ name }) => name);
        app[entry.key] = accessorsOf(cells, entry.metrics, 0, throwsForUnknown(`metrics.app.${entry.key}`, names));
      }
      if (entry.kind === 'perDevice') app[entry.key] = new ThreadDevices(cells, entry);
    }
    this.app = Object.freeze(app) as Accessors<S>;
  }

  /**
   * Says where lines go: a path, or a descriptor, which is duplicated. Once for all threads; after a failure again.
   *
   * A file is appended to, and made with mode 0600 if it is not there; a path that no longer names the open file is
   * opened again at the next flush. A named pipe needs no reader and never blocks. Contract: Firecracker's `init`.
   *
   * With a region file, first come the last lines of earlier lives: of each kept file that has something pending and
   * whose lines went to the same path, the oldest first, each once. What does not get out goes before the next line,
   * and nothing is thrown for it. `recover: false` among the options of `open()` leaves them.
   * @throws TypeError, RangeError for a wrong argument; MetricsError `ERR_METRICS_ALREADY_INITIALIZED` the second time,
   * `ERR_METRICS_OPEN` when it cannot be opened (`cause` has `code`, `errno`, `syscall`) or is a region file.
   */
  init(destination: string | number): void {
    void this.#cells.attachment; // throws when closed
    const checked = checkedDestination('init(): destination', destination);
    // Absolute, since it is looked up again when the file is rotated, wherever the process stands by then.
    const result = this.#initiate(typeof checked === 'string' ? resolve(checked) : checked);
    if (result === true) return;
    if (result === false) throw new MetricsError(ErrorCode.ALREADY_INITIALIZED, 'Reinitialization of metrics not allowed.');
    throw failureError(result, {
      what: `Cannot open the metrics destination ${shownDestination(destination)}`,
      error: ErrorCode.OPEN,
      path: typeof destination === 'string' ? destination : undefined,
    });
  }

  /**
   * Flushes one line. True: it is out, whole. False: `init()` was never called.
   *
   * Never waits for a reader. When the line is not out, its deltas stay pending and are in the next one; of a line that
   * a pipe took in part, the rest goes first next time, and the line then counts as flushed.
   * @throws MetricsError `ERR_METRICS_WRITE` (`cause` has `code`, `errno`, `syscall`), for instance with EAGAIN when a
   * pipe is full.
   */
  write(): boolean {
    const { attachment } = this.#cells;
    this.#cells.letGo();
    const result = attachment.flush();
    if (typeof result === 'boolean') return result;
    throw failureError(result, { what: 'Failed to write metrics', error: ErrorCode.WRITE });
  }

  /**
   * Plain values of everything: totals since the store was opened, as bigints, nested as the schema. Resets nothing.
   * (For `JSON.stringify` give it a replacer: it refuses bigints.)
   */
  snapshot(): MetricsSnapshot<S> {
    const { attachment } = this.#cells;
    this.#cells.letGo();
    const { totals, ids } = attachment.snapshot();
    return valuesOf(this.#layout, totals, devicesIn(this.#layout, ids)) as MetricsSnapshot<S>;
  }

  /**
   * Flushes again and again, on a native thread: it goes on while the event loop is blocked, and never keeps the
   * process alive. The first line comes one interval from now. A second call changes the interval. Before `init()`
   * nothing is flushed, and after an interval without it comes a warning, `METRICS_NO_SINK`; a line that does not get
   * out is counted by the metric marked `onMissedFlush`.
   * @throws TypeError, RangeError for wrong options; MetricsError `ERR_METRICS_NO_SPACE` when there can be no thread.
   */
  startPeriodicFlush(options?: PeriodicFlushOptions): void {
    void this.#cells.attachment; // throws when closed
    const { intervalMs = 60_000 } = checkedOptions<PeriodicFlushOptions>('startPeriodicFlush()', options, ['intervalMs']);
    checkedInteger('startPeriodicFlush(): intervalMs', intervalMs, 1, INT_MAX);
    const { attachment } = this.#cells; // a getter of the options may have closed it
    const failure = attachment.startPeriodicFlush(intervalMs);
    if (failure !== undefined) throw failureError(failure, { what: 'Cannot start the flush thread', error: ErrorCode.NO_SPACE });
    this.#sinkHint ??= new SinkHint(binding(), this.#name, () => this.#cells.closed || attachment.hasSink());
    this.#sinkHint.after(intervalMs);
  }

  /**
   * Captures signals: what the schema marks with `onSignal` is counted, and when a signal ends the process, a last,
   * complete line goes out first. SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGTERM, SIGINT and SIGHUP
   * give a last line whether marked or not, where the process dies of them.
   *
   * Observes and changes nothing: who was to die dies by the same signal, what was ignored stays ignored, earlier
   * handlers are reached, WebAssembly traps stay errors. Process-wide, for every thread. A second call takes more
   * signals, and takes its place again where native code took it, which the next flush reports by the metric marked
   * `onError`. With a `process.on('SIGHUP')` that comes later, the signal is counted, and the listener called.
   *
   * A process that is still alive 2 s after its last line, by grace of an earlier handler, goes on flushing and is
   * captured again.
   * @throws TypeError, RangeError for wrong options; MetricsError `ERR_METRICS_ATTACH` when 16 other stores of this
   * process are captured already.
   */
  captureSignals(options?: CaptureSignalsOptions): void {
    void this.#cells.attachment; // throws when closed
    const { signals, leaveIgnored, limitMs } = checkedCaptureOptions(options);
    const { attachment } = this.#cells; // a getter of the options may have closed it
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
   * Flushes a line when an uncaught exception or unhandled rejection is about to end the process, or the worker it is
   * called in: the metric marked `onPanic` is set to 1 first. Node's message and exit code are unchanged. What the host
   * handles itself (an `uncaughtException` listener, a capture callback) is no panic, even if that then fails. For the
   * calling thread; each worker calls it for itself.
   */
  capturePanics(): void {
    const { attachment } = this.#cells;
    if (this.#unwatchPanics !== undefined) return;
    const marked = markedMetric(this.#layout, (def) => def.onPanic === true);
    const metric = marked && accessorOf(this.#cells, marked.def, marked.cell);
    this.#unwatchPanics = watchPanics(() => {
      if (this.#cells.closed) return;
      if (metric && 'store' in metric) metric.store(1);
      else if (metric && 'inc' in metric) metric.inc();
      attachment.flush(); // what does not get out is counted; there is nobody to throw to
    });
  }

  /**
   * Sets the metrics marked `startTime`: how long the start of the process took, by the wall clock and in CPU time,
   * with the parent's added. What is left out is not reported. Contract: Firecracker's `ProcessTimeReporter`.
   * @throws TypeError, RangeError for a wrong value or a start in the future; MetricsError `ERR_METRICS_SCHEMA` when
   * the schema has no metric for it. Nothing is set then.
   */
  reportStartTime(times?: StartTimes): void {
    void this.#cells.attachment; // throws when closed
    const given = checkedOptions<StartTimes>('reportStartTime()', times, ['startTimeUs', 'startTimeCpuUs', 'parentCpuTimeUs']);
    const [nowUs, nowCpuUs] = binding().clocks() as unknown as [bigint, bigint];
    const parentUs = given.parentCpuTimeUs === undefined ? 0n : checkedValue('reportStartTime(): parentCpuTimeUs', given.parentCpuTimeUs);
    const reports: [StoreMetric, bigint][] = [];
    if (given.startTimeUs !== undefined) {
      reports.push([this.#startTimeMetric('wall'), since('startTimeUs', given.startTimeUs, nowUs)]);
    }
    if (given.startTimeCpuUs !== undefined) {
      const cpuUs = since('startTimeCpuUs', given.startTimeCpuUs, nowCpuUs) + parentUs;
      reports.push([this.#startTimeMetric('cpu'), BigInt.asUintN(64, cpuUs)]);
    }
    for (const [metric, us] of reports) metric.store(us);
  }

  /**
   * Samples metrics at a fixed rate, on native threads of its own, into a table of tab-separated text: a header line
   * `Time (ns)` and the names, then a row a sample, its time counted from the start and taken just before its values.
   * Values are totals, as `count()` and `fetch()` give them. Needs no `init()`. Contract: gVisor's profiling metrics.
   *
   * ```ts
   * const profile = metrics.startProfiling({ metrics: ['vcpu.exit_io_out', 'block_rootfs.read_agg.sum_us'], output:
   * 'profile.tsv' }); const { samples, missedTicks } = await profile.stop();
   * ```
   * Ticks stand on a fixed grid, the first one an interval from the start; one that has passed when its turn comes is
   * skipped and counted. From 500 us on the sampling thread sleeps from tick to tick; from 50 us on it spins for the
   * last 20 us; below, it spins all the time, which takes a processor (docs/performance.md). One profile a store at a
   * time, for all threads. It ends with `stop()`, and with the `close()` or the end of the thread that started it; it
   * never keeps the process alive. When a captured signal ends the process, the samples so far are written out after
   * the last line.
   * @throws MetricsError `ERR_METRICS_CLOSED`; then TypeError, RangeError for wrong options: no output, no metric
   * named, a name that is none; then MetricsError `ERR_METRICS_PROFILE` when a profile is running already or the output
   * cannot be opened (`cause` has `code`, `errno`, `syscall`), `ERR_METRICS_NO_SPACE` when there is no memory or
   * thread. Nothing is changed then.
   */
  startProfiling(options: ProfileOptions<ProfileName<S>> | ProfileOptions): Profile {
    return startProfile(this.#cells, this.#layout, options);
  }

  /**
   * For other native addons: an external to hand to `vmm_metrics_attach()` of `include/vmm_metrics.h`. It carries a
   * type tag, the version of that interface and the schema's fingerprint.
   */
  get native(): object {
    const { attachment } = this.#cells;
    this.#native ??= attachment.native();
    return this.#native;
  }

  /**
   * Takes back one `open()` of this thread: a helper that opens and closes the metrics leaves them open for its caller.
   * The last one gives this thread's attachment back, and ends the profile that it started, within a second. Afterwards
   * increments do nothing, and a further `close()` is harmless. (A thread has one object for all its opens, so a caller
   * that closes twice takes back the open of another.)
   *
   * The last attachment of the process flushes a last line, ends the flush thread and the capture, and frees the name.
   * A thread that ends takes back all its opens by itself, with a last line only if there is something new to say.
   */
  close(): void {
    if (this.#cells.closed || --this.#opens > 0) return;
    this.#unwatchPanics?.();
    this.#unwatchEnding?.();
    this.#unwatchDisplacement?.();
    this.#sinkHint?.stop();
    openHere.delete(this.#name);
    this.#cells.close();
  }

  /** As {@link close}, for `using metrics = Metrics.open(...)`. */
  [DISPOSE](): void {
    this.close();
  }

  #initiate(destination: string | number): boolean | Failure {
    const { attachment } = this.#cells;
    const { file, recover } = this.#place;
    if (file === undefined || !recover) return attachment.init(destination);
    const recoveries = prepareRecoveries(file, destination);
    try {
      return attachment.init(destination, recoveries.lines);
    } finally {
      recoveries.close();
    }
  }

  /** What earlier lives have left is the business of the one that has the file. */
  #tidy(file: string, errorCell: number | undefined): void {
    for (const path of tidyGenerations(file)) {
      if (errorCell !== undefined) this.#cells.attachment.add(errorCell, 1n);
      process.emitWarning(
        `The region ${shown(path)} was removed with counts that are in no line: ${GENERATIONS_MAX} newer ones with such counts are kept`,
        { type: 'MetricsWarning', code: 'METRICS_REGION_DROPPED' },
      );
    }
  }

  #startTimeMetric(clock: 'wall' | 'cpu'): StoreMetric {
    const marked = markedMetric(this.#layout, (def) => def.startTime === clock);
    if (marked === undefined)
      throw new MetricsError(ErrorCode.SCHEMA, `reportStartTime(): the schema marks no metric with startTime: '${clock}'`);
    return accessorOf(this.#cells, marked.def, marked.cell) as StoreMetric;
  }
}

function cellsOf(attachment: Attachment): ThreadCells {
  try {
    return new ThreadCells(attachment);
  } catch (error) {
    attachment.detach(); // else the store would stay open until the object is collected
    throw error;
  }
}

function since(name: string, start: number | bigint, nowUs: bigint): bigint {
  const startUs = checkedValue(`reportStartTime(): ${name}`, start);
  if (startUs > nowUs) throw new RangeError(`reportStartTime(): ${name} is in the future: ${shown(start)}, and the clock says ${nowUs}`);
  return nowUs - startUs;
}

function mismatch(name: string, difference: string): MetricsError {
  return new MetricsError(ErrorCode.LAYOUT_MISMATCH, `A store ${shown(name)} is already open with a different layout: ${difference}`);
}
