// Profiles: which cells the names mean, and what comes back at the end. The sampling itself is native, see native/profile.h.

import { checkedBoolean, checkedDestination, checkedOptions, checkedText, shown } from './arguments.ts';
import { type Attachment, binding, isFailure, type NativeProfile, systemError } from './binding.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import { LATENCY_MAX, LATENCY_MIN, LATENCY_SUM, type Layout, type MetricLayout } from './layout.ts';
import { type Unit, unitOf } from './schema.ts';

export interface ProfileOptions {
  /**
   * What to sample, in the order of the columns: a list, or text with commas between the names. A name is `group.metric`, for a device
   * that is there `group_<id>.metric`, and for a latency metric one of its parts, `.min_us`, `.max_us` or `.sum_us`. A device that is
   * removed meanwhile is sampled all the same. Each takes 128 kB of memory.
   */
  readonly metrics: readonly string[] | string;
  /**
   * Where the rows go: a path, which is made or emptied, or a descriptor, which is duplicated and not emptied. A pipe needs no reader; one
   * that is full makes the sampling back off once 16,000 rows wait. Rows reach the output within a fifth of a second or so.
   */
  readonly output: string | number;
  /** Microseconds from tick to tick, 0.1 to a day, fractions too, in whole nanoseconds. Default: 1000. */
  readonly intervalUs?: number;
  /**
   * Whether there is a first line with the start time, the interval and each column's kind and unit, and a last one with the figures that
   * `stop()` gives, both marked by a `#`. Default: false.
   */
  readonly annotate?: boolean;
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
   * Takes one last sample, writes out what is left and closes the output. Takes at most a second, whatever the output does, and does not
   * block the event loop. Called again, it gives the same result, also after `close()`.
   *
   * Rejects with MetricsError `ERR_METRICS_PROFILE` when rows did not reach the output (`cause` has `code`, `errno`, `syscall`).
   */
  stop(): Promise<ProfileStats>;
}

/** A column: its name, its cell, and what is to be known to read it. */
export interface ProfileColumn {
  readonly name: string;
  readonly cell: number;
  /** Whether it only goes up, as `inc`, or is a value of its own. */
  readonly kind: 'inc' | 'store';
  readonly unit: Unit;
}

const MIN_INTERVAL_US = 0.1; // to read the clock and a few cells takes about as long
const MAX_INTERVAL_US = 86_400_000_000;

export function startProfile(attachment: Attachment, layout: Layout, given: unknown): Profile {
  const where = 'startProfiling()';
  const options = checkedOptions<ProfileOptions>(where, given, ['metrics', 'output', 'intervalUs', 'annotate']);
  const output = checkedDestination(`${where}: output`, options.output);
  const names = checkedNames(`${where}: metrics`, options.metrics);
  const columns = names.map((name) => columnOf(`${where}: metrics`, name, layout, attachment));
  const intervalUs = checkedInterval(`${where}: intervalUs`, options.intervalUs ?? 1000);
  const annotate = options.annotate !== undefined && checkedBoolean(`${where}: annotate`, options.annotate);

  const started = attachment.startProfiling(
    Uint32Array.from(columns, ({ cell }) => cell),
    Math.round(intervalUs * 1000),
    `${['Time (ns)', ...names].map(escaped).join('\t')}\n`,
    annotate ? columns.map(({ kind, unit }) => `\t${kind} ${unit}`).join('') : undefined,
    output,
  );
  if (!isFailure(started)) return new RunningProfile(started, output);
  if (started.reason === 'taken') {
    throw new MetricsError(ErrorCode.PROFILE, 'A profile of these metrics has already been started; stop() it first');
  }
  const cause = systemError(started, typeof output === 'string' ? output : undefined);
  if (started.reason === 'open') {
    throw new MetricsError(ErrorCode.PROFILE, `Cannot open the output of the profile ${shown(output)}: ${cause.message}`, { cause });
  }
  throw new MetricsError(ErrorCode.NO_SPACE, `The profile cannot be started: ${cause.message}`, { cause });
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<ProfileStats> {
    const { samples, missedTicks, backOffs, lateNsMedian, lateNsP99, lateNsMax, failure } = await binding().stopProfiling(this.#native);
    if (failure !== undefined) {
      const cause = systemError(failure);
      throw new MetricsError(ErrorCode.PROFILE, `Failed to write the profile to ${shown(this.#output)}: ${cause.message}`, { cause });
    }
    return { samples, missedTicks, backOffs, lateNs: { median: lateNsMedian, p99: lateNsP99, max: lateNsMax } };
  }
}

function checkedInterval(name: string, value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number; got ${shown(value)}`);
  if (!(value >= MIN_INTERVAL_US && value <= MAX_INTERVAL_US)) {
    throw new RangeError(`${name} must be from ${MIN_INTERVAL_US} to ${MAX_INTERVAL_US} (a day); got ${shown(value)}`);
  }
  return value;
}

function checkedNames(name: string, value: unknown): readonly string[] {
  if (typeof value !== 'string' && !Array.isArray(value)) {
    throw new TypeError(`${name} must be a list of names, or text with commas between them; got ${shown(value)}`);
  }
  const names: unknown[] = Array.isArray(value) ? value : value.trim() === '' ? [] : value.split(',').map((text) => text.trim());
  if (names.length === 0) throw new RangeError(`${name} must name at least one metric; got ${shown(value)}`);
  return names.map((one, i) => checkedText(`${name}[${i}]`, one));
}

/** The column that a name means. A device's id may have dots, so that only the devices that are there tell where it ends. */
function columnOf(argument: string, name: string, layout: Layout, attachment: Attachment): ProfileColumn {
  const found: ProfileColumn[] = [];
  let hint = '';
  const look = (key: string, metrics: readonly MetricLayout[], firstCell: number) => {
    if (!name.startsWith(`${key}.`)) return;
    const rest = name.slice(key.length + 1);
    for (const metric of metrics) {
      for (const column of columnsOf(metric)) if (column.name === rest) found.push({ ...column, name, cell: firstCell + column.cell });
      if (metric.name === rest && metric.def.kind === 'latency') hint = `: of a latency metric it takes a part, '${name}.sum_us' for one`;
    }
  };
  for (const entry of layout.entries) {
    if (entry.kind === 'group') look(entry.key, entry.metrics, 0);
    if (entry.kind !== 'perDevice') continue;
    if (name.startsWith(`${entry.key}.`))
      hint = `: ${entry.key} are devices, such as '${entry.key}_<id>.${name.slice(entry.key.length + 1)}'`;
    if (!name.startsWith(`${entry.key}_`)) continue;
    for (const { id, firstCell, removed } of attachment.devices(entry.group)) {
      if (!removed) look(`${entry.key}_${id}`, entry.metrics, firstCell);
    }
  }
  if (found.length > 1) throw new RangeError(`${argument}: ${shown(name)} means a metric of more than one device`);
  const [column] = found;
  if (column === undefined) throw new RangeError(`${argument}: there is no metric ${shown(name)}${hint}`);
  return column;
}

/** What can be sampled of a metric; the names and cells are counted from its group's or device's. */
function columnsOf({ name, def, cell }: MetricLayout): ProfileColumn[] {
  if (def.kind !== 'latency') return [{ name, cell, kind: def.kind, unit: unitOf(name, def) }];
  return [
    { name: `${name}.min_us`, cell: cell + LATENCY_MIN, kind: 'store', unit: 'us' },
    { name: `${name}.max_us`, cell: cell + LATENCY_MAX, kind: 'store', unit: 'us' },
    { name: `${name}.sum_us`, cell: cell + LATENCY_SUM, kind: 'inc', unit: 'us' },
  ];
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** A name as a field of the header: an id may have a tab or a newline in it. */
function escaped(name: string): string {
  return name.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!);
}
