// The cells of several devices combined into the cells of one aggregate. Pure.

import type { NativeDevice } from './binding.ts';
import { CellKind, type DeviceGroupLayout, isSum } from './layout.ts';

/**
 * Combines the cells of devices, and writes the result to `combined` from `at` on. A counter includes removed devices;
 * everything else is about living devices. A minimum stays the complement that its cell holds.
 */
export function combineDevices(
  values: BigUint64Array,
  { metrics, cellKinds }: DeviceGroupLayout,
  devices: readonly Pick<NativeDevice, 'firstCell' | 'removed'>[],
  combined: BigUint64Array,
  at: number,
): void {
  combined.fill(0n, at, at + cellKinds.length);
  for (const { firstCell, removed } of devices) {
    for (let cell = 0; cell < cellKinds.length; cell++) {
      const value = values[firstCell + cell]!;
      if (value === 0n) continue; // most cells of most groups are 0, and adding big integers takes time
      const kind = cellKinds[cell];
      if (isSum(kind)) combined[at + cell] = combined[at + cell]! + value;
      else if ((kind === CellKind.min || kind === CellKind.max) && !removed && value > combined[at + cell]!) combined[at + cell] = value;
    }
  }
  for (const { def, cell } of metrics) {
    if (def.kind !== 'store') continue;
    const how = def.aggregate ?? 'sum';
    let isFirst = true;
    for (const { firstCell, removed } of devices) {
      if (removed) continue;
      const value = values[firstCell + cell]!;
      const before = combined[at + cell]!;
      if (how === 'sum') combined[at + cell] = before + value;
      else if (isFirst || (how === 'max' ? value > before : value < before)) combined[at + cell] = value;
      isFirst = false;
    }
  }
}
