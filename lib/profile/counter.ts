// A counter of a profile: it only goes up, but it may pass 2^64, and it restarts with its process. Pure.

/** The values of a counter, and the rows at which it restarted from 0. */
export interface Counter {
  readonly values: BigUint64Array;
  readonly restarts: readonly number[];
}

/** A counter that falls by more than this has passed 2^64; one that falls by less has restarted. */
const HALF = 2n ** 63n;

export function counterOf(values: BigUint64Array): Counter {
  const restarts: number[] = [];
  for (let row = 1; row < values.length; row++) {
    const [before, after] = [values[row - 1]!, values[row]!];
    if (after < before && before - after <= HALF) restarts.push(row);
  }
  return { values, restarts };
}

/** How much a counter went up from one row to a later one. */
export function increase({ values, restarts }: Counter, from: number, to: number): bigint {
  let total = 0n;
  let begin = values[from]!;
  for (let i = firstAfter(restarts, from); i < restarts.length && restarts[i]! <= to; i++) {
    const row = restarts[i]!;
    total += BigInt.asUintN(64, values[row - 1]! - begin);
    begin = 0n;
  }
  return total + BigInt.asUintN(64, values[to]! - begin);
}

/** The index of the first number greater than `bound` in an ascending list. */
function firstAfter(ascending: readonly number[], bound: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The increase per second, from one row to a later one. */
export function rateBetween(counter: Counter, timesNs: Float64Array, from: number, to: number): number {
  return (Number(increase(counter, from, to)) * 1e9) / (timesNs[to]! - timesNs[from]!);
}
