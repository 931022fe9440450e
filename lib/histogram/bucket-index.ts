// Finds the bucket of a value without a branch, with one load from a table. include/vmm_metrics_histogram.h finds it in
// the same way, with the same table. Pure.
//
// The exponent and the first bits of the mantissa of `value + 1` number the entries of the table. The values of one
// entry are so few that at most one edge lies among them. An entry is (bucket + 1) * 2^44 - 1 - edge: adding the value
// carries into the bits above if the value is greater than the edge, so these bits are the bucket. `value + 1` has an
// exponent even if the value is 0.

import { edgesOf, GRID, type Scheme, VALUE_BITS } from './scheme.ts';

const CARRY = 2 ** VALUE_BITS;

export interface BucketIndex {
  readonly scheme: Scheme;
  /** One unit of the values is so many units of the table. */
  readonly perUnit: number;
  /** The upper edge of the last bucket. Larger values must be replaced by this one. */
  readonly limit: number;
  /** How far the upper half of a double is shifted to the right to give an entry's number, plus `base`. */
  readonly mantissaBits: number;
  readonly shift: number;
  readonly base: number;
  /** All numbers are whole, and below 2^53. */
  readonly table: Float64Array;
}

const made = new Map<string, BucketIndex>();

/** The index of a scheme; the same object for equal schemes. */
export function bucketIndexOf(scheme: Scheme): BucketIndex {
  const { unit, scale, first, buckets } = scheme;
  const key = `${unit} ${scale} ${first} ${buckets}`;
  const index = made.get(key) ?? makeIndex(scheme);
  made.set(key, index);
  return index;
}

/** The bucket of a whole number of at least 0. */
export function bucketOf({ limit, shift, base, table }: BucketIndex, value: number): number {
  const inside = value < limit ? value : limit;
  float[0] = inside + 1;
  return ((table[(halves[1]! >>> shift) - base]! + inside) / CARRY) | 0;
}

const float = new Float64Array(1);
const halves = new Int32Array(float.buffer);

function makeIndex(scheme: Scheme): BucketIndex {
  const edges = edgesOf(scheme);
  const limit = edges.at(-1)!;
  const mantissaBits = scheme.scale + 1;
  const shift = 20 - mantissaBits;
  const base = 1023 << mantissaBits;
  const entries = entryOf(limit, shift) - base + 1;
  const table = new Float64Array(entries);
  let bucket = 0;
  for (let entry = 0; entry < entries; entry++) {
    const least = leastOf(entry, mantissaBits);
    while (bucket < edges.length - 1 && edges[bucket]! < least) bucket++;
    table[entry] = (bucket + 1) * CARRY - 1 - edges[bucket]!;
  }
  return { scheme, perUnit: GRID[scheme.unit].perUnit, limit, mantissaBits, shift, base, table };
}

function entryOf(value: number, shift: number): number {
  float[0] = value + 1;
  return halves[1]! >>> shift;
}

/** The least whole number of an entry, or of the entries after it if the entry has none. */
function leastOf(entry: number, mantissaBits: number): number {
  const steps = 2 ** mantissaBits;
  const start = 2 ** Math.floor(entry / steps) * (1 + (entry % steps) / steps);
  return Math.ceil(start) - 1;
}
