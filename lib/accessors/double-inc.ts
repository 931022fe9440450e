// Counters for Bun. Its engine makes a BigInt on the heap for each element of a BigUint64Array that is read, which
// takes 25 ns or more. A double of the same bytes needs no BigInt.
//
// The doubles from 0 to 2^-1021 are all multiples of 2^-1074, and the bytes of n times 2^-1074 are those of the integer
// n. So a count below 2^53 goes up by 1 when 2^-1074 is added to the double of the same bytes, and the sum is exact.
// The result is one store of eight bytes, as with `+= 1n`.

import type { ThreadCells } from '../thread-cells.ts';
import { OwnInc } from './inc.ts';
import { MOVE } from './reader.ts';

/** The double whose bytes are those of the integer 1: 2^-1074. */
const ONE = Number.MIN_VALUE;
/** The doubles whose bytes are 2^53 and 2^52. */
const END = 2 ** -1021;
const HALF = 2 ** -1022;

/** Whether counting in doubles is worth it, and right, here. */
export function countsInDoubles(): boolean {
  if (process.versions['bun'] === undefined) return false;
  const [subnormal] = new BigUint64Array(new Float64Array([HALF - ONE]).buffer);
  return subnormal === 2n ** 52n - 1n;
}

export class DoubleInc extends OwnInc {
  #doubles!: Float64Array;
  #at!: number;

  constructor(cells: ThreadCells, cell: number) {
    super(cells, cell);
    this.#mapDoubles(cells, cell);
  }

  override inc(): void {
    const now = this.#doubles[this.#at]!;
    if (now > 0 && now < END) this.#doubles[this.#at] = now + ONE;
    else super.inc(); // 0, whose double may be -0 for 2^63, and 2^53 and more, of which some are no numbers as doubles
  }

  override add(n: number | bigint): void {
    const now = this.#doubles[this.#at]!;
    if (now > 0 && now < HALF && typeof n === 'number' && n >>> 0 === n) this.#doubles[this.#at] = now + n * ONE;
    else super.add(n);
  }

  override [MOVE](cells: ThreadCells, cell: number): void {
    super[MOVE](cells, cell);
    this.#mapDoubles(cells, cell);
  }

  #mapDoubles(cells: ThreadCells, cell: number): void {
    const { view, index } = cells.own(cell);
    this.#doubles = new Float64Array(view.buffer);
    this.#at = index;
  }
}
