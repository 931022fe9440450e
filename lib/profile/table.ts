// Parses the table of a profile, which `startProfiling()` or `vmm-metrics profile` wrote. Pure: callers pass in the
// bytes.

import { VALUE_MAX } from '../arguments.ts';
import { nameOf, TIME_FIELD } from './fields.ts';

/** A column of values. */
export interface TableColumn {
  /** The name as `startProfiling()` got it. */
  readonly name: string;
  /** `inc`: the values only go up, so a page shows their rate. Without annotations, a guess from name and values. */
  readonly kind: 'inc' | 'store';
  readonly unit: string;
  readonly values: BigUint64Array;
}

export interface ProfileTable {
  /** The start time, as text in UTC, if the file contains it. */
  readonly start?: string;
  readonly intervalNs: number;
  /** The figures of the last comment: `samples`, `missed_ticks` and so on. */
  readonly figures: Readonly<Record<string, number>>;
  /**
   * Whether the last comment is missing although the first one is there: the profile is still running, or was never
   * stopped.
   */
  readonly isUnfinished: boolean;
  /** Whether a last row without its newline was left out. */
  readonly isCut: boolean;
  /** Whether kinds and units are guesses, because the file has no annotations. */
  readonly isGuessed: boolean;
  /**
   * How many ticks have no row: the figure of the last comment, or else computed from the times. Left out if the file
   * does not contain the interval.
   */
  readonly missedTicks?: number;
  /** Nanoseconds since the start, one for each row, ascending. There is at least one row. */
  readonly timesNs: Float64Array;
  /** The numbers of rows before which ticks were missed. */
  readonly gaps: ReadonlySet<number>;
  readonly columns: readonly TableColumn[];
}

/**
 * The text is not a profile. The message says why, and begins with a verb, so that the name of the file can go in
 * front.
 */
export class ProfileTextError extends Error {}

const NEWLINE = 10;
const TAB = 9;
const HASH = 35;
const ZERO = 48;
/** A double is exact for every number of up to this many digits. */
const EXACT_DIGITS = 15;

/**
 * Reads the table of a profile. A last row without its newline, as a killed process leaves it, is left out.
 * @throws ProfileTextError
 */
export function profileTableOf(bytes: Buffer): ProfileTable {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  const { names, comments, headerEnd } = headerIn(bytes, end);
  const { timesNs, columns } = rowsIn(bytes, headerEnd, end, names.length, comments);
  if (timesNs.length === 0) throw new ProfileTextError('has no samples');
  const notes = notesIn(comments);
  const { missedTicks, ...spacing } = spacingOf(timesNs, notes.intervalNs);
  const missed = notes.figures['missed_ticks'] ?? missedTicks;
  return {
    ...(notes.start !== undefined && { start: notes.start }),
    ...spacing,
    ...(missed !== undefined && { missedTicks: missed }),
    figures: notes.figures,
    isUnfinished: notes.intervalNs !== undefined && notes.figures['samples'] === undefined,
    isCut: end < bytes.length && bytes[end] !== HASH,
    isGuessed: notes.columns.length < columns.length,
    timesNs,
    columns: columns.map((values, i) => {
      const [kind, unit] = notes.columns[i] ?? guessed(names[i]!, values);
      return { name: names[i]!, kind: kind === 'store' ? 'store' : 'inc', unit, values };
    }),
  };
}

/** The names of the columns, the comments before the header, and where the header line ends. */
function headerIn(bytes: Buffer, end: number): { names: string[]; comments: string[]; headerEnd: number } {
  const comments: string[] = [];
  for (let at = 0; at < end; ) {
    const lineEnd = bytes.indexOf(NEWLINE, at);
    const line = bytes.toString('utf8', at, lineEnd);
    at = lineEnd + 1;
    if (line.startsWith('#')) {
      comments.push(line);
      continue;
    }
    const [time, ...names] = line.split('\t').map(nameOf);
    if (time === TIME_FIELD && names.length > 0) return { names, comments, headerEnd: at };
    break;
  }
  throw new ProfileTextError(`is not a profile: it has no header line with '${TIME_FIELD}' and names of metrics`);
}

/** The rows from `at` to `end`. Adds the comments between and after them to `comments`. */
function rowsIn(bytes: Buffer, at: number, end: number, columnCount: number, comments: string[]) {
  let lines = 0;
  for (let i = at; i < end; i++) if (bytes[i] === NEWLINE) lines++;
  const timesNs = new Float64Array(lines);
  const columns = Array.from({ length: columnCount }, () => new BigUint64Array(lines));
  let row = 0;
  for (let line = comments.length + 2; at < end; line++) {
    if (bytes[at] === HASH) {
      const lineEnd = bytes.indexOf(NEWLINE, at);
      comments.push(bytes.toString('utf8', at, lineEnd));
      at = lineEnd + 1;
      continue;
    }
    for (let field = 0; field <= columnCount; field++) {
      const fieldEnd = bytes.indexOf(field === columnCount ? NEWLINE : TAB, at);
      const value = numberIn(bytes, at, fieldEnd);
      if (value === undefined) throw fieldError(bytes.toString('latin1', at, fieldEnd), field + 1, line);
      if (field > 0) columns[field - 1]![row] = BigInt(value);
      else timesNs[row] = Number(value);
      at = fieldEnd + 1;
    }
    if (row > 0 && !(timesNs[row]! > timesNs[row - 1]!)) {
      throw new ProfileTextError(`is not a profile: the time of line ${line} is not after the time of the line before`);
    }
    row++;
  }
  return { timesNs: timesNs.subarray(0, row), columns: columns.map((values) => values.subarray(0, row)) };
}

function fieldError(text: string, field: number, line: number): ProfileTextError {
  return new ProfileTextError(
    text === TIME_FIELD
      ? `is not a profile: line ${line} is a second header, but a file contains only one profile`
      : `is not a profile: field ${field} of line ${line} is not a number from 0 to 2^64-1`,
  );
}

/** The number in decimal digits, or undefined if there is none. */
function numberIn(bytes: Buffer, from: number, to: number): number | bigint | undefined {
  if (to <= from) return undefined;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = bytes[i]! - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  if (to - from <= EXACT_DIGITS) return value;
  const exact = BigInt(bytes.toString('latin1', from, to));
  return exact > VALUE_MAX ? undefined : exact;
}

/** The contents of the comments that `annotate` adds. */
function notesIn(comments: readonly string[]) {
  const [first = '', ...rest] = comments;
  const [start, ...columns] = first.split('\t');
  const intervalNs = Number(/ interval_ns=(\d+)/.exec(start!)?.[1] ?? Number.NaN);
  const figures = [...(rest.at(-1) ?? '').matchAll(/(\w+)=(\d+)/g)].map(([, name, value]) => [name!, Number(value)] as const);
  return {
    start: /start=(\S+)/.exec(start!)?.[1],
    intervalNs: intervalNs > 0 ? intervalNs : undefined,
    columns: columns.map((text) => text.split(' ') as [kind: string, unit: string]),
    figures: Object.fromEntries(figures),
  };
}

/**
 * Where ticks were missed. If the interval is known, its grid tells. If not, ticks were missed where a step is much
 * longer than most.
 */
function spacingOf(timesNs: Float64Array, known: number | undefined) {
  const steps = timesNs.subarray(1).map((time, i) => time - timesNs[i]!);
  const intervalNs = known ?? steps.toSorted()[steps.length >> 1] ?? 1;
  const gaps = new Set<number>();
  let missed = Math.max(0, Math.floor(timesNs[0]! / intervalNs) - 1);
  for (let row = 1; row < timesNs.length; row++) {
    const ticks =
      known === undefined
        ? Math.round(steps[row - 1]! / intervalNs)
        : Math.floor(timesNs[row]! / intervalNs) - Math.floor(timesNs[row - 1]! / intervalNs);
    if (ticks <= 1) continue;
    gaps.add(row);
    missed += ticks - 1;
  }
  return { intervalNs, gaps, missedTicks: known === undefined ? undefined : missed };
}

function guessed(name: string, values: BigUint64Array): [kind: string, unit: string] {
  const unit = /_(us|ms|bytes)$/.exec(name)?.[1] ?? 'count';
  if (/\.(min|max)_us$/.test(name)) return ['store', unit];
  return [values.every((value, i) => i === 0 || value >= values[i - 1]!) ? 'inc' : 'store', unit];
}
