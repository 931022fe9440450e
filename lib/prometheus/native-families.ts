// The families of a schema as native code takes them: see native/exposition/families.h.

import type { Binding } from '../binding.ts';
import { Combine, type ExpositionFamiliesHandle } from '../binding-exposition.ts';
import { CellKind, type DeviceGroupLayout, FIRST_BUCKET, isSum, LATENCY_MIN, type Layout, type MetricLayout } from '../layout.ts';
import type { Family, Part } from './families.ts';

const made = new WeakMap<readonly Family[], ExpositionFamiliesHandle>();

/** The families of a layout for native code. They are made once. */
export function nativeFamilies(binding: Binding, layout: Layout, families: readonly Family[]): ExpositionFamiliesHandle {
  let native = made.get(families);
  if (native === undefined) made.set(families, (native = make(binding, layout, families)));
  return native;
}

function make(binding: Binding, layout: Layout, families: readonly Family[]): ExpositionFamiliesHandle {
  const texts: string[] = [];
  const parts: number[] = [];
  const rows: number[] = [];
  let at = 0;
  for (const { name, parts: own, devices, isAggregate } of families) {
    rows.push(parts.length / PART_NUMBERS, own.length, devices === undefined ? 0 : devices.group + 1, isAggregate ? 1 : 0);
    for (const part of own) {
      const pieces = [`${name}${part.suffix}`, ...ownLabel(part)];
      const lengths = pieces.map((piece) => Buffer.byteLength(piece));
      parts.push(at, ...lengths, part.cell, part.decimals);
      texts.push(...pieces);
      at += lengths.reduce((sum, length) => sum + length, 0);
    }
  }
  const plain = layout.entries.flatMap((entry) => (entry.kind === 'group' ? entry.metrics : []));
  const handle = binding.expositionFamilies({
    text: Buffer.from(texts.join('')),
    parts: Uint32Array.from(parts),
    families: Uint32Array.from(rows),
    owners: [
      { cells: layout.cellKinds.length, combine: new Uint8Array(), ...timedOf(plain) },
      ...layout.devices.map((group) => ({ cells: group.cellKinds.length, combine: combineOf(group), ...timedOf(group.metrics) })),
    ],
  });
  if (handle === undefined) throw new Error('native code refuses the families of a schema');
  return handle;
}

/** How many numbers a part has. */
const PART_NUMBERS = 6;

/** The label of a bucket after other labels, and alone. */
function ownLabel({ le }: Part): [string, string] {
  return le === undefined ? ['', ''] : [`,le="${le}"} `, `{le="${le}"} `];
}

/** The cells of latencies and histograms. */
function timedOf(metrics: readonly MetricLayout[]) {
  const timed = metrics.filter(({ def }) => def.kind === 'latency' || def.kind === 'histogram');
  return {
    minima: Uint32Array.from(timed, ({ cell }) => cell + LATENCY_MIN),
    buckets: Uint32Array.from(timed.flatMap(({ cell, scheme }) => (scheme === undefined ? [] : [cell + FIRST_BUCKET, scheme.buckets]))),
  };
}

/** The same as combineDevices() in aggregate.ts. */
function combineOf({ metrics, cellKinds }: DeviceGroupLayout): Uint8Array {
  const combine = Uint8Array.from(cellKinds, (kind) => {
    if (isSum(kind)) return Combine.sum;
    return kind === CellKind.min || kind === CellKind.max ? Combine.max : Combine.none;
  });
  for (const { def, cell } of metrics) {
    if (def.kind === 'store') combine[cell] = { sum: Combine.all, max: Combine.max, min: Combine.lowest }[def.aggregate ?? 'sum'];
  }
  return combine;
}
