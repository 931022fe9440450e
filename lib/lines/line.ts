// One flushed line: a JSON object whose numbers are integers of up to 64 bits. Pure.

import type { CountedBuckets } from '../profile/heat-map.ts';

/** The numbers of a line. */
export interface LineNumbers {
  /** The time of the flush, in milliseconds since 1970, if the line has one. */
  readonly timeMs: number | undefined;
  /** The metrics in the order of the line: paths such as `vcpu.exit_io_out` and `block_rootfs.read_agg.sum_us`. */
  readonly numbers: readonly (readonly [path: string, value: bigint])[];
  /** The buckets of histograms: what was counted since the line before. */
  readonly distributions: readonly (readonly [path: string, counted: CountedBuckets])[];
}

/** A double is exact for every integer of up to this many digits. */
const LONG = /\d{16}/;
const STRING_OR_LONG = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])\d{16,}(?![\d.eE])/g;

/**
 * The numbers of a line; undefined if the text is torn: not one JSON object. `timeKey` is the key of the line's time.
 */
export function numbersOf(text: string, timeKey: string): LineNumbers | undefined {
  const line = parsed(text);
  if (line === undefined) return undefined;
  const time = line[timeKey];
  const found: Found = { numbers: [], distributions: [] };
  for (const [key, value] of Object.entries(line)) if (key !== timeKey) collect(key, value, found);
  return { timeMs: typeof time === 'number' && time >= 0 ? time : undefined, ...found };
}

/** What a line contains, so far. */
interface Found {
  readonly numbers: [string, bigint][];
  readonly distributions: [string, CountedBuckets][];
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    let value: unknown = JSON.parse(text);
    // JSON.parse rounds long integers, so they become strings first. NUL occurs in no string that a line contains.
    if (LONG.test(text)) {
      value = JSON.parse(text.replace(STRING_OR_LONG, (token) => (token.startsWith('"') ? token : `"\\u0000${token}"`)));
    }
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function collect(path: string, value: unknown, found: Found): void {
  const number = integerOf(value);
  if (number !== undefined) found.numbers.push([path, number]);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const counted = bucketsIn(value as Readonly<Record<string, unknown>>);
  if (counted !== undefined) found.distributions.push([path, counted]);
  for (const [key, part] of Object.entries(value)) collect(`${path}.${key}`, part, found);
}

function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  return typeof value === 'string' && /^\0\d+$/.test(value) ? BigInt(value.slice(1)) : undefined;
}

/** The buckets of a histogram, if the object is one. Doubles are exact enough for a picture. */
function bucketsIn({
  scale,
  offset,
  zero_count: zeros,
  bucket_counts: buckets,
}: Readonly<Record<string, unknown>>): CountedBuckets | undefined {
  const zeroCount = integerOf(zeros);
  if (!Number.isSafeInteger(scale) || !Number.isSafeInteger(offset) || zeroCount === undefined || !Array.isArray(buckets)) return undefined;
  const counts = buckets.map(integerOf);
  if (counts.includes(undefined)) return undefined;
  return { scale: scale as number, offset: offset as number, zeroCount: Number(zeroCount), counts: counts.map(Number) };
}
