// The values that an export shows, as 32-bit halves: the cells of a reading, and behind them the aggregates of devices.
// 32-bit halves cost no BigInt. Pure.

import { combineDevices } from '../aggregate.ts';
import type { NativeDevice } from '../binding.ts';
import { type DeviceGroupLayout, FIRST_BUCKET, LATENCY_MAX, LATENCY_MIN, type Layout, minimumOf } from '../layout.ts';
import type { Sampled } from '../sampled.ts';

/** The values of latencies and histograms. */
interface Timed {
  /** The first value of each latency or histogram metric that has values. */
  readonly latencies: Uint32Array;
  /** The first bucket of each histogram that has values, and the number of its buckets, in turn. */
  readonly buckets: Uint32Array;
}

/** Values as 32-bit halves, two for each value, the lower half first; and as 64-bit integers in the same memory. */
export interface Words {
  readonly halves: Uint32Array;
  readonly integers: BigUint64Array;
}

/** Memory for that many values, each 0. */
export function wordsFor(values: number): Words {
  const integers = new BigUint64Array(values);
  return { halves: new Uint32Array(integers.buffer), integers };
}

/** Which devices a reading has. Two readings of the same shape have the same series. */
export class Shape {
  readonly layout: Layout;
  readonly devices: Sampled['devices'];
  /** The number of values: those of the reading, and those of all aggregates. */
  readonly values: number;
  /** For each group of devices, where the values of its aggregate begin. */
  readonly aggregates: readonly number[];
  /** What only fill() needs. */
  #timed: Timed | undefined;

  constructor({ layout, totals, devices }: Sampled) {
    this.layout = layout;
    this.devices = devices;
    let next = totals.length;
    this.aggregates = layout.devices.map(({ cellKinds }) => {
      const at = next;
      next += cellKinds.length;
      return at;
    });
    this.values = next;
  }

  /** Whether a reading has the same series. */
  fits({ layout, totals, devices }: Sampled): boolean {
    if (layout !== this.layout || (this.aggregates.length > 0 && totals.length !== this.aggregates[0])) return false;
    return devices === this.devices || devices.every((list, group) => isSameList(list, this.devices[group]!));
  }

  /** The devices of a group that have series. */
  living({ group }: DeviceGroupLayout): NativeDevice[] {
    return this.devices[group]!.filter(({ removed }) => !removed);
  }

  /**
   * Writes the values of a reading, which must fit. A bucket of a histogram gets the count of all values up to its
   * upper edge, so the last bucket has the count of all values.
   */
  fill({ totals, devices }: Sampled, { halves: words, integers: all }: Words): void {
    all.set(totals);
    for (const group of this.layout.devices) combineDevices(totals, group, devices[group.group]!, all, this.aggregates[group.group]!);
    // A cell holds the complement of a minimum.
    const { latencies, buckets } = (this.#timed ??= this.#findTimed());
    for (const latency of latencies) {
      const low = 2 * (latency + LATENCY_MIN);
      if ((words[low]! | words[low + 1]!) === 0) all[latency + LATENCY_MIN] = minimumOf(0n, all[latency + LATENCY_MAX]!);
      else {
        words[low] = ~words[low]!;
        words[low + 1] = ~words[low + 1]!;
      }
    }
    for (let i = 0; i < buckets.length; i += 2) {
      const first = buckets[i]!;
      const end = first + buckets[i + 1]!;
      for (let bucket = first + 1; bucket < end; bucket++) all[bucket] = all[bucket]! + all[bucket - 1]!;
    }
  }

  #findTimed(): Timed {
    const timed = this.layout.entries.flatMap((entry) => {
      if (entry.kind === 'utcTimestampMs') return [];
      const metrics = entry.metrics.filter(({ def }) => def.kind === 'latency' || def.kind === 'histogram');
      return this.#ownersOf(entry).flatMap((owner) => metrics.map(({ cell, scheme }) => ({ first: owner + cell, scheme })));
    });
    return {
      latencies: Uint32Array.from(timed, ({ first }) => first),
      buckets: Uint32Array.from(timed.flatMap(({ first, scheme }) => (scheme === undefined ? [] : [first + FIRST_BUCKET, scheme.buckets]))),
    };
  }

  #ownersOf(entry: Exclude<Layout['entries'][number], { kind: 'utcTimestampMs' }>): number[] {
    if (entry.kind === 'group') return [0];
    return [...this.living(entry).map(({ firstCell }) => firstCell), this.aggregates[entry.group]!];
  }
}

function isSameList(a: readonly NativeDevice[], b: readonly NativeDevice[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  return a.every((device, i) => {
    const other = b[i]!;
    return device.id === other.id && device.firstCell === other.firstCell && device.removed === other.removed;
  });
}
