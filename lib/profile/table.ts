// A profile's file, read: what `startProfiling()` wrote. Pure; it is given the bytes.

import { VALUE_MAX } from '../arguments.ts';
import { nameOf, TIME_FIELD } from './fields.ts';

/** A column of values. */
export interface TableColumn {
  /** As it was given to `startProfiling()`. */
  readonly name: string;
  /**
   * Whether it only goes up, so that its rate is what there is to see. Where the file does not say, a guess from name
   * and values.
   */
  readonly kind: 'inc' | 'store';
  readonly unit: string;
  readonly values: BigUint64Array;
}

export interface ProfileTable {
  /** When it was started, as text in UTC; where the file says. */
  readonly start?: string;
  readonly intervalNs: number;
  /** How it went, as the last comment says it. */
  readonly figures: Readonly<Record<string, number>>;
  /** Whether a first comment is there, but no last one: nobody stopped it, or not yet. */
  readonly isUnfinished: boolean;
  /** Whether there was a last row without its end. */
  readonly isCut: boolean;
  /** Whether kinds and units are guesses. */
  readonly isGuessed: boolean;
  /**
   * Ticks without a row, as the last comment says; where there is none, as the grid tells; unknown when the interval
   * is.
   */
  readonly missedTicks?: number;
  /** Nanoseconds since the start, row by row; they rise. */
  readonly timesNs: Float64Array; // at least one
  /** Rows before which ticks were missed. */
  readonly gaps: ReadonlySet<number>;
  readonly columns: readonly TableColumn[];
}

/** The text is not a profile. The message says why; it begins with a verb, and the name of the file goes in front. */
export class ProfileTextError extends Error {}

const NEWLINE = 10;
const TAB = 9;
const HASH = 35;
const ZERO = 48;
/** A number of so many digits is exact as a double. */
const EXACT_DIGITS = 15;

/**
 * Reads a profile. A last row without its end, as a killed process leaves it, is left out.
 * @throws ProfileTextError
 */
export function profileTableOf(bytes: Buffer): ProfileTable {
  const comments: string[] = [];
  let header: string[] | undefined;
  let at = 0;
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  for (; at < end && header === undefined; ) {
    const lineEnd = bytes.indexOf(NEWLINE, at);
    const line = bytes.toString('utf8', at, lineEnd);
    if (bytes[at] === HASH) comments.push(line);
    else header = line.split('\t').map(nameOf);
    at = lineEnd + 1;
  }
  if (header === undefined || header[0] !== TIME_FIELD || header.length < 2) {
    throw new ProfileTextError(`is not a profile: it has no header line with '${TIME_FIELD}' and names of metrics`);
  }

  let lines = 0;
  for (let i = at; i < end; i++) if (bytes[i] === NEWLINE) lines++;
  const timesNs = new Float64Array(lines);
  const columns = Array.from({ length: header.length - 1 }, () => new BigUint64Array(lines));
  let row = 0;
  for (let line = comments.length + 2; at < end; line++) {
    if (bytes[at] === HASH) {
      const lineEnd = bytes.indexOf(NEWLINE, at);
      comments.push(bytes.toString('utf8', at, lineEnd));
      at = lineEnd + 1;
      continue;
    }
    for (let column = 0; column < header.length; column++) {
      const isLast = column === header.length - 1;
      const fieldEnd = bytes.indexOf(isLast ? NEWLINE : TAB, at);
      const value = numberIn(bytes, at, fieldEnd);
      if (value === undefined) {
        const isHeader = bytes.toString('latin1', at, fieldEnd) === TIME_FIELD;
        throw new ProfileTextError(
          isHeader
            ? `is not a profile: line ${line} is a second header, but a file holds one profile`
            : `is not a profile: field ${column + 1} of line ${line} is not a number from 0 to 2^64-1`,
        );
      }
      if (column > 0) columns[column - 1]![row] = BigInt(value);
      else timesNs[row] = Number(value);
      at = fieldEnd + 1;
    }
    if (row > 0 && !(timesNs[row]! > timesNs[row - 1]!))
      throw new ProfileTextError(`is not a profile: the time of line ${line} is not after the time of the line before`);
    row++;
  }
  if (row === 0) throw new ProfileTextError('has no samples');
  const notes = notesIn(comments);
  const times = timesNs.subarray(0, row);
  const { missedTicks, ...spacing } = spacingOf(times, notes.intervalNs);
  const missed = notes.figures['missed_ticks'] ?? missedTicks;
  return {
    ...(notes.start !== undefined && { start: notes.start }),
    ...spacing,
    ...(missed !== undefined && { missedTicks: missed }),
    figures: notes.figures,
    isUnfinished: notes.intervalNs !== undefined && notes.figures['samples'] === undefined,
    isCut: end < bytes.length && bytes[end] !== HASH,
    isGuessed: notes.columns.length < columns.length,
    timesNs: times,
    columns: columns.map((all, i) => {
      const values = all.subarray(0, row);
      const name = header[i + 1]!;
      const [kind, unit] = notes.columns[i] ?? guessed(name, values);
      return { name, kind: kind === 'store' ? 'store' : 'inc', unit, values };
    }),
  };
}

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

/** What `annotate` put there. */
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

/** With the interval, the grid tells which ticks were missed; without it, a step that is much longer than most. */
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
