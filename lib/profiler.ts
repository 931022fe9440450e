// Profiles: their options, and how they went. Native code samples, see native/profile/profile.h.

import { checkedBoolean, checkedDestination, checkedNumber, checkedOptions, shownDestination } from './arguments.ts';
import { binding, type NativeProfile } from './binding.ts';
import { ASYNC_DISPOSE } from './dispose.ts';
import { ErrorCode } from './errors.ts';
import { failureError, isFailure } from './failures.ts';
import type { Layout } from './layout.ts';
import { annotationOf, checkedNames, columnOf, headerLineOf } from './profile/columns.ts';
import type { ThreadCells } from './thread-cells.ts';

/**
 * The options of a profile. `Name` is what an editor suggests; other text is allowed too, and is checked at the start.
 */
export interface ProfileOptions<Name extends string = string> {
  /**
   * The metrics to sample, in the order of the columns: a list of names, or text with commas between the names. A name
   * is `group.metric`, or `group_<id>.metric` for a device that exists when the profile starts. For a latency metric,
   * the name of a part follows: `.min_us`, `.max_us` or `.sum_us`. A device that is removed during the profile is still
   * sampled. Each column takes 128 kB of memory.
   */
  readonly metrics: readonly (Name | (string & {}))[] | string;
  /**
   * Where the rows go: a path, whose file is created or emptied, or a descriptor, which is duplicated and not emptied.
   * A path must not name a region file, the file that `init()` got, or the output of another profile. Rows reach the
   * output within about 0.2 s. A pipe needs no reader, but rows that nobody has read when the profile ends are lost.
   * When a full pipe keeps 16,000 rows waiting, the sampling backs off.
   */
  readonly output: string | number;
  /** Microseconds between two ticks, from 0.1 to a day, rounded to whole nanoseconds. Default: 1000. */
  readonly intervalUs?: number | undefined;
  /**
   * Whether the table has comment lines, which begin with `#`: a first line with the start time, the interval, and the
   * kind and unit of each column, and a last line with the figures that `stop()` returns. Default: false.
   */
  readonly annotate?: boolean | undefined;
}

/** How a profile went. */
export interface ProfileStats {
  /** How many rows were taken; `stop()` takes the last one. */
  readonly samples: number;
  /** How many ticks were skipped because their time had passed, for instance because the thread had no processor. */
  readonly missedTicks: number;
  /** How often sampling paused for 100 intervals, because 16,000 rows were waiting for the output. */
  readonly backOffs: number;
  /** How long after its tick a sample was taken, in nanoseconds. The median and the p99 are up to 3 % too low. */
  readonly lateNs: { readonly median: number; readonly p99: number; readonly max: number };
}

/** A running profile. It belongs to the thread that started it, and may be stopped in that thread only. */
export interface Profile extends AsyncDisposable {
  /**
   * Takes one last sample, writes the rows that are left, and closes the output. Takes at most a second, whatever the
   * output does, and does not block the event loop. A second call gives the same result, also after `close()`.
   * @throws MetricsError `ERR_METRICS_PROFILE` when rows did not reach the output: the promise is rejected. `cause` has
   * `code`, `errno`, `syscall`.
   */
  stop(): Promise<ProfileStats>;
}

export const DEFAULT_INTERVAL_US = 1000;
const MIN_INTERVAL_US = 0.1; // reading the clock and a few cells takes about as long
export const MAX_INTERVAL_US = 86_400_000_000; // a day

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

  // Reads `cells.attachment` again, because a getter of the options may have closed the attachment.
  const started = cells.attachment.startProfiling(
    Uint32Array.from(columns, ({ cell }) => cell),
    Math.round(intervalUs * 1000),
    headerLineOf(names),
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
