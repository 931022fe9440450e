// Which bucket a value belongs to, by exact arithmetic.

import { GRID, type Scheme } from '../../lib/histogram/scheme.ts';

/** Whether value <= perBase * 2^(index / 2^scale). */
export function isAtMost(value: bigint, index: number, { unit, scale }: Scheme): boolean {
  const power = 2n ** BigInt(scale);
  const [left, right] = [value ** power, BigInt(GRID[unit].perBase) ** power];
  return index >= 0 ? left <= right << BigInt(index) : left << BigInt(-index) <= right;
}

/** By bisection over exact edges. */
export function exactBucket(scheme: Scheme, value: bigint): number {
  let [from, to] = [0, scheme.buckets - 1];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (isAtMost(value, scheme.first + middle, scheme)) to = middle;
    else from = middle + 1;
  }
  return from;
}
