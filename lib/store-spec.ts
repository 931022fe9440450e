// What native code is told about a store: cells, program, names and marks.

import { constants } from 'node:os';

import type { NamedMetric, StoreSpec } from './binding.ts';
import { checkDocumentLength, documentOf } from './document.ts';
import { fingerprintOf } from './fingerprint.ts';
import { type KvmPlace, kvmPlacesOf } from './kvm/places.ts';
import { type Layout, type MetricLayout, staticMetrics } from './layout.ts';
import type { EventMarkers } from './markers.ts';
import { type Identity, programOf } from './program.ts';
import { hasOptions, type MetricDef, type Schema, type StoreDef } from './schema.ts';

/** `Previous` in native/region/region_file.h */
const PREVIOUS = { keep: 0, discard: 1, refuse: 2 } as const;

/** `vmm_metrics_kind` in include/vmm_metrics.h */
const NATIVE_KIND: Record<MetricDef['kind'], number> = { inc: 0, store: 1, latency: 2 };

/** Where the values of a store live: in a file, or in memory that only this process sees. */
export interface StoreLocation {
  readonly file?: string;
  readonly previous: 'keep' | 'discard' | 'refuse';
  /** Whether `init()` writes the last lines of earlier lives. */
  readonly recover: boolean;
}

export function storeSpecOf(
  name: string,
  schema: Schema,
  layout: Layout,
  identity: Identity,
  { file, previous }: Omit<StoreLocation, 'recover'>,
): StoreSpec {
  const program = programOf(layout, identity);
  const document = documentOf(name, schema, identity);
  if (file !== undefined) checkDocumentLength(document);
  const metrics = staticMetrics(layout);
  const missed = markedMetric(layout, (def) => def.onMissedFlush === true);
  const error = markedMetric(layout, (def) => def.onError === true);
  const kvm = kvmPlacesOf(layout);
  return {
    name,
    schemaText: JSON.stringify(factsOf(layout, identity, file)),
    fingerprint: fingerprintOf(layout),
    kinds: layout.cellKinds,
    ...program,
    keys: lineKeys(layout, identity),
    metrics: metrics.map((metric) => named(metric, metric.path)),
    deviceGroups: layout.devices.map(({ key, cellKinds, metrics }) => ({
      name: key,
      kinds: cellKinds,
      metrics: metrics.map((metric) => named(metric, metric.name)),
    })),
    marks: metrics.flatMap(({ def, cell }) =>
      def.kind === 'latency' || def.onSignal === undefined
        ? []
        : [{ signal: constants.signals[def.onSignal], cell, isStore: def.kind === 'store' }],
    ),
    ...(kvm && { kvm: { vm: kvm.vm.map(ofKvm), vcpu: kvm.vcpu.map(ofKvm), vcpuGroup: kvm.vcpuGroup } }),
    ...(missed && { missedCell: missed.cell }),
    ...(error && { errorCell: error.cell }),
    ...(file !== undefined && { file }),
    previous: PREVIOUS[previous],
    document,
  };
}

/** The facts of a schema, and those of the options that all threads must agree on. */
export function factsOf(layout: Layout, { id, properties }: Identity, file: string | undefined): Layout['facts'] {
  const text = (value: unknown) => (value === undefined ? 'not given' : JSON.stringify(value));
  const sorted = properties && Object.fromEntries(Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1)));
  const kvm = kvmPlacesOf(layout);
  const places = kvm ? [...kvm.vm, ...kvm.vcpu].map(({ metric, name }) => [`${metric.path} of KVM`, name] as const) : [];
  return [...layout.facts, ...places, ['option id', text(id)], ['option properties', text(sorted)], ['option file', text(file)]];
}

/** The metric that has a marker, if there is such a metric. */
export function markedMetric(
  layout: Layout,
  isMarked: (def: EventMarkers & Pick<StoreDef, 'startTime'>) => boolean,
): MetricLayout | undefined {
  return staticMetrics(layout).find(({ def }) => hasOptions(def) && isMarked(def));
}

/** The keys that a device's line key must differ from. */
function lineKeys(layout: Layout, { id, properties }: Identity): string[] {
  // A group of devices without an aggregate has no key in the line, but no device of another group may take its key.
  const keys = layout.entries.map((entry) => entry.key);
  if (id !== undefined) keys.push('id');
  if (properties !== undefined) keys.push('properties');
  return keys;
}

function ofKvm({ name, metric }: KvmPlace): NamedMetric {
  return named(metric, name);
}

function named({ def, cell }: MetricLayout, name: string): NamedMetric {
  return { name, kind: NATIVE_KIND[def.kind], cell };
}
