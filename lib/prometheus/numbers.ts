// The values of one store as numbers, for clients that keep numbers: family by family, with the devices of each sample.
// Numbers are exact up to 2^53.

import type { Sampled } from '../sampled.ts';
import type { Family, Part } from './families.ts';
import { Shape, wordsFor } from './values.ts';

/** Who has samples in a family. */
export interface NumberOwner {
  /** The device's id; undefined for a group, and for all devices together. */
  readonly device: string | undefined;
  /** Its first value. */
  readonly first: number;
}

/** The values of one reading after the other. */
export class Numbers {
  #shape: Shape | undefined;
  #words = wordsFor(0);

  /** Returns whether the owners are the same as before. */
  update(sampled: Sampled): boolean {
    const isSame = this.#shape?.fits(sampled) === true;
    if (!isSame) {
      this.#shape = new Shape(sampled);
      this.#words = wordsFor(this.#shape.values);
    }
    this.#shape!.fill(sampled, this.#words);
    return isSame;
  }

  /** Those who have samples in a family, in the order of an exposition. */
  ownersOf({ devices, isAggregate }: Family): NumberOwner[] {
    if (devices === undefined) return [{ device: undefined, first: 0 }];
    if (isAggregate) return [{ device: undefined, first: this.#shape!.aggregates[devices.group]! }];
    return this.#shape!.living(devices).map(({ id, firstCell }) => ({ device: id, first: firstCell }));
  }

  /** A value in its base unit. Below 2^53 of the cell's unit, it is the double that is nearest to the exact decimal. */
  at({ first }: NumberOwner, { cell, decimals }: Part): number {
    const low = 2 * (first + cell);
    const { halves } = this.#words;
    return (halves[low + 1]! * 2 ** 32 + halves[low]!) / 10 ** decimals;
  }

  /** A value in the unit of its cell. `index`: its owner's first value and its cell together. */
  valueAt(index: number): number {
    return this.#words.halves[2 * index + 1]! * 2 ** 32 + this.#words.halves[2 * index]!;
  }

  /** The cell's value, exactly. */
  integerAt({ first }: NumberOwner, { cell }: Part): bigint {
    return this.#words.integers[first + cell]!;
  }
}
