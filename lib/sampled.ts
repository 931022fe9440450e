// The values of a store as a reader took them, for exports. The export bundles find them by a symbol, because they are
// bundles of their own, which cannot see the private fields of `Metrics`.

import type { NativeDevice } from './binding.ts';
import type { Layout } from './layout.ts';

/** Values that were read once. The next sample of a store may write its totals to the same memory. */
export interface Sampled {
  readonly layout: Layout;
  /** The sum of each cell, or of each slot of a region. */
  readonly totals: BigUint64Array;
  /**
   * For each group of devices, its devices sorted by the bytes of their ids, and its removed devices: either each of
   * them, or all as one device. The cells of a device are in `totals` from its `firstCell` on.
   */
  readonly devices: readonly (readonly NativeDevice[])[];
}

/** The method that takes the values now. The number is the version of `Sampled`. */
export const SAMPLE: unique symbol = Symbol.for('vmm-metrics.sample.1') as never;

export interface Sampling {
  [SAMPLE](): Sampled;
}

/** Gives an object the method. The method is not enumerable, so it is no part of the plain data around it. */
export function withSample<T extends object>(object: T, sample: () => Sampled): T & Sampling {
  return Object.defineProperty(object, SAMPLE, { value: sample }) as T & Sampling;
}
