// What native code is told about a store: cells, program, names and marks.

import { constants } from 'node:os';

import type { BucketTable, NamedMetric, StoreSpec } from './binding.ts';
import { checkDocumentLength, documentOf } from './document.ts';
import { fingerprintOf } from './fingerprint.ts';
import { type BucketIndex, bucketIndexOf } from './histogram/bucket-index.ts';
import type { Scheme } from './histogram/scheme.ts';
import { type KvmPlace, kvmPlacesOf } from './kvm/places.ts';
import { type Layout, type MetricLayout, staticMetrics } from './layout.ts';
import type { EventMarkers } from './markers.ts';
import { type Identity, programOf } from './program.ts';
import { hasOptions, type MetricDef, type Schema, type StoreDef } from './schema.ts';

/** `Previous` in native/region/region_file.h */
const PREVIOUS = { keep: 0, discard: 1, refuse: 2 } as const;

/** `vmm_metrics_kind` in include/vmm_metrics.h */
const NATIVE_KIND: Record<MetricDef['kind'], number> = { inc: 0, store: 1, latency: 2, histogram: 3 };

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
  const { histograms, ...program } = programOf(layout, identity);
  const tables = new Tables();
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
    histograms: Int32Array.from(histograms.flatMap(({ group, firstBucket, scheme }) => [group, firstBucket, tables.numberOf(scheme)])),
    metrics: metrics.map((metric) => named(metric, metric.path, tables)),
    deviceGroups: layout.devices.map(({ key, cellKinds, metrics }) => ({
      name: key,
      kinds: cellKinds,
      metrics: metrics.map((metric) => named(metric, metric.name, tables)),
    })),
    marks: metrics.flatMap(({ def, cell }) =>
      def.kind === 'latency' || def.kind === 'histogram' || def.onSignal === undefined
        ? []
        : [{ signal: constants.signals[def.onSignal], cell, isStore: def.kind === 'store' }],
    ),
    ...(kvm && { kvm: { vm: kvm.vm.map(ofKvm), vcpu: kvm.vcpu.map(ofKvm), vcpuGroup: kvm.vcpuGroup } }),
    ...(missed && { missedCell: missed.cell }),
    ...(error && { errorCell: error.cell }),
    ...(file !== undefined && { file }),
    previous: PREVIOUS[previous],
    document,
    tables: tables.all,
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
  return staticMetrics(layout).find(({ def }) => (def.kind === 'inc' || def.kind === 'store') && hasOptions(def) && isMarked(def));
}

/** The keys that a device's line key must differ from. */
function lineKeys(layout: Layout, { id, properties }: Identity): string[] {
  // A group of devices without an aggregate has no key in the line, but no device of another group may take its key.
  const keys = layout.entries.map((entry) => entry.key);
  if (id !== undefined) keys.push('id');
  if (properties !== undefined) keys.push('properties');
  return keys;
}

/** KVM's statistics are counters and gauges. */
function ofKvm({ name, metric: { def, cell } }: KvmPlace): NamedMetric {
  return { name, kind: NATIVE_KIND[def.kind], cell };
}

function named({ def, cell, scheme }: MetricLayout, name: string, tables: Tables): NamedMetric {
  // An older header knows no buckets, so it must not find a latency that has some.
  if (scheme !== undefined) return { name, kind: NATIVE_KIND.histogram, cell, table: tables.numberOf(scheme) };
  return { name, kind: NATIVE_KIND[def.kind], cell };
}

/** The tables of a store. Metrics with the same buckets share one. */
class Tables {
  readonly all: BucketTable[] = [];
  readonly #numbers = new Map<BucketIndex, number>();

  numberOf(scheme: Scheme): number {
    const index = bucketIndexOf(scheme);
    const known = this.#numbers.get(index);
    if (known !== undefined) return known;
    const { table, limit, perUnit, mantissaBits } = index;
    this.all.push({ table, limit, perUnit, mantissaBits, buckets: scheme.buckets, firstIndex: scheme.first });
    this.#numbers.set(index, this.all.length - 1);
    return this.all.length - 1;
  }
}
