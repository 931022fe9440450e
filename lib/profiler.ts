// Profiles: what is asked for, and what comes back at the end. The sampling itself is native, see
// native/profile/profile.h.

import { checkedBoolean, checkedDestination, checkedNumber, checkedOptions, shownDestination } from './arguments.ts';
import { binding, type NativeProfile } from './binding.ts';
import { ASYNC_DISPOSE } from './dispose.ts';
import { ErrorCode } from './errors.ts';
import { failureError, isFailure } from './failures.ts';
import type { Layout } from './layout.ts';
import { annotationOf, checkedNames, columnOf, headerOf } from './profile/columns.ts';
import type { ThreadCells } from './thread-cells.ts';

/** `Name` is what an editor offers; any text is taken. */
export interface ProfileOptions<Name extends string = string> {
  /**
   * What to sample, in the order of the columns: a list, or text with commas between the names. A name is
   * `group.metric`, for a device that is there `group_<id>.metric`, and for a latency metric one of its parts,
   * `.min_us`, `.max_us` or `.sum_us`. A device that is removed meanwhile is sampled all the same. Each takes 128 kB of
   * memory. The names are checked when the profile starts.
   */
  readonly metrics: readonly (Name | (string & {}))[] | string;
  /**
   * Where the rows go: a path, which is made or emptied (not when it is a region file, or the file that `init()` got,
   * or the output of another profile), or a descriptor, which is duplicated and not emptied. A pipe needs no reader
   * meanwhile, but what nobody has read when the profile ends goes with it; one that is full makes the sampling back
   * off once 16,000 rows wait. Rows reach the output within a fifth of a second or so.
   */
  readonly output: string | number;
  /** Microseconds from tick to tick, 0.1 to a day, fractions too, in whole nanoseconds. Default: 1000. */
  readonly intervalUs?: number | undefined;
  /**
   * Whether there is a first line with the start time, the interval and each column's kind and unit, and a last one
   * with the figures that `stop()` gives, both marked by a `#`. Default: false.
   */
  readonly annotate?: boolean | undefined;
}

/** How a profile went. */
export interface ProfileStats {
  /** Rows taken, with the last one, which `stop()` takes. */
  readonly samples: number;
  /** Ticks that had passed when their turn came, for instance because the thread had no processor. */
  readonly missedTicks: number;
  /** How often 16,000 rows were waiting for the output, and the sampling paused for 100 intervals. */
  readonly backOffs: number;
  /** How long after their ticks the samples were taken, in nanoseconds; the median and p99 are up to 3 % too low. */
  readonly lateNs: { readonly median: number; readonly p99: number; readonly max: number };
}

/** A profile that is running. It belongs to the thread that started it. */
export interface Profile extends AsyncDisposable {
  /**
   * Takes one last sample, writes out what is left and closes the output. Takes at most a second, whatever the output
   * does, and does not block the event loop. Called again, it gives the same result, also after `close()`.
   *
   * Rejects with MetricsError `ERR_METRICS_PROFILE` when rows did not reach the output (`cause` has `code`, `errno`,
   * `syscall`).
   */
  stop(): Promise<ProfileStats>;
}

const DEFAULT_INTERVAL_US = 1000;
const MIN_INTERVAL_US = 0.1; // to read the clock and a few cells takes about as long
const MAX_INTERVAL_US = 86_400_000_000; // a day

export function startProfile(cells: ThreadCells, layout: Layout, given: unknown): Profile {
  void cells.attachment; // throws when closed
  const where = 'startProfiling()';
  const options = checkedOptions<ProfileOptions>(where, given, ['metrics', 'output', 'intervalUs', 'annotate']);
  const output = checkedDestination(`${where}: output`, options.output);
  const names = checkedNames(`${where}: metrics`, options.metrics);
  const columns = names.map((name) => columnOf(`${where}: metrics`, name, layout, (group) => cells.devicesOf(group)));
  const { intervalUs = DEFAULT_INTERVAL_US } = options;
  checkedNumber(`${where}: intervalUs`, intervalUs, MIN_INTERVAL_US, MAX_INTERVAL_US);
  const annotate = options.annotate !== undefined && checkedBoolean(`${where}: annotate`, options.annotate);

  // Anew: a getter of the options may have closed it.
  const started = cells.attachment.startProfiling(
    Uint32Array.from(columns, ({ cell }) => cell),
    Math.round(intervalUs * 1000),
    headerOf(names),
    annotate ? annotationOf(columns) : undefined,
    output,
  );
  if (!isFailure(started)) return new RunningProfile(started, output);
  throw failureError(started, {
    what: `Cannot write a profile to ${shownDestination(output)}`,
    error: ErrorCode.PROFILE,
    path: typeof output === 'string' ? output : undefined,
  });
}

class RunningProfile implements Profile {
  readonly #native: NativeProfile;
  readonly #output: string | number;
  #stopped: Promise<ProfileStats> | undefined;

  constructor(native: NativeProfile, output: string | number) {
    this.#native = native;
    this.#output = output;
  }

  stop(): Promise<ProfileStats> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [ASYNC_DISPOSE](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<ProfileStats> {
    const { samples, missedTicks, backOffs, lateNsMedian, lateNsP99, lateNsMax, failure } = await binding().stopProfiling(this.#native);
    if (failure !== undefined) {
      throw failureError(failure, { what: `Failed to write the profile to ${shownDestination(this.#output)}`, error: ErrorCode.PROFILE });
    }
    return { samples, missedTicks, backOffs, lateNs: { median: lateNsMedian, p99: lateNsP99, max: lateNsMax } };
  }
}
