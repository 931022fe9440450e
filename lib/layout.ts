// The layout of a schema: which cells each metric has. Pure, so that every thread and process computes the same layout.

import { VALUE_MAX } from './arguments.ts';
import type { Scheme } from './histogram/scheme.ts';
import { type Fields, hasOptions, type MetricDef, type Schema, type StoreDef, schemeIn } from './schema.ts';

/** What a cell holds. The numbers are those of `CellKind` in native/region/cell.h. */
export const CellKind = { none: 0, inc: 1, store: 2, min: 3, max: 4, tally: 5, bucket: 6 } as const;

/** Whether the value of a cell is the sum over all shards. */
export function isSum(kind: number | undefined): boolean {
  return kind === CellKind.inc || kind === CellKind.tally || kind === CellKind.bucket;
}

/** No metric's cells cross a multiple of this number of cells; `kRunCells` in native/region/format.h. */
const RUN_CELLS = 512;

/** The cells of a latency or histogram metric, counted from its first cell. */
export const LATENCY_MIN = 0;
export const LATENCY_MAX = 1;
export const LATENCY_SUM = 2;
/** In no line. A region of version 1 or 2 has no such cell. */
export const LATENCY_COUNT = 3;
/** The first bucket of a metric that has buckets. */
export const FIRST_BUCKET = 4;

/**
 * The minimum of a latency metric; 0 before the first duration. The cell holds the complement of the minimum, so that
 * an untouched cell, which is 0, means that there was no duration. 0 is also the complement of 2^64-1; `max`, the
 * largest duration, tells the two cases apart.
 */
export function minimumOf(complement: bigint, max: bigint): bigint {
  if (complement !== 0n) return BigInt.asUintN(64, ~complement);
  return max === VALUE_MAX ? max : 0n;
}

/** `counted`: a latency metric has a cell for its count. `uncounted`: as in regions of the versions 1 and 2. */
export type LatencyCells = 'counted' | 'uncounted';

const UNCOUNTED = [CellKind.min, CellKind.max, CellKind.inc];
const COUNTED = [...UNCOUNTED, CellKind.inc];

function cellsOf(def: MetricDef, scheme: Scheme | undefined, latencyCells: LatencyCells): readonly number[] {
  if (scheme !== undefined) {
    // No line shows the buckets of a latency, so no bank holds them.
    const kind = def.kind === 'latency' ? CellKind.tally : CellKind.bucket;
    return [...COUNTED, ...Array.from({ length: scheme.buckets }, () => kind)];
  }
  if (def.kind === 'latency') return latencyCells === 'counted' ? COUNTED : UNCOUNTED;
  return [def.kind === 'inc' ? CellKind.inc : CellKind.store];
}

/** One metric. A device's cells are counted from its own first cell. */
export interface MetricLayout {
  readonly name: string;
  /** Its group and its name, with a dot between them. */
  readonly path: string;
  readonly def: MetricDef;
  readonly cell: number;
  /** The buckets of a histogram, or of a latency's hidden histogram. */
  readonly scheme?: Scheme;
}

export interface GroupLayout {
  readonly kind: 'group';
  readonly key: string;
  readonly metrics: readonly MetricLayout[];
}

export interface DeviceGroupLayout {
  readonly kind: 'perDevice';
  readonly key: string;
  /** The number of the group among the groups of devices, from 0, in the order of the schema. */
  readonly group: number;
  readonly metrics: readonly MetricLayout[];
  /** The kinds of one device's cells. */
  readonly cellKinds: Uint8Array;
  readonly aggregate: boolean;
  readonly latencyAggregate: 'extremum' | 'zero';
}

export interface TimestampLayout {
  readonly kind: 'utcTimestampMs';
  readonly key: string;
}

export interface Layout {
  readonly latencyCells: LatencyCells;
  /** In the order of the schema, which is the order of the line. */
  readonly entries: readonly (GroupLayout | DeviceGroupLayout | TimestampLayout)[];
  readonly devices: readonly DeviceGroupLayout[];
  /** The kinds of all cells except those of devices. */
  readonly cellKinds: Uint8Array;
  /** Everything that all threads must agree on, as `[path, what it is]`. Descriptions and units are not part of it. */
  readonly facts: readonly (readonly [path: string, fact: string])[];
}

const layouts = { counted: new WeakMap<Schema, Layout>(), uncounted: new WeakMap<Schema, Layout>() };

/** The layout of a schema, which is always the same object. Only readers of old regions ask for `uncounted`. */
export function layoutOf(schema: Schema, latencyCells: LatencyCells = 'counted'): Layout {
  const made = layouts[latencyCells];
  const layout = made.get(schema) ?? makeLayout(schema, latencyCells);
  made.set(schema, layout);
  return layout;
}

function makeLayout(schema: Schema, latencyCells: LatencyCells): Layout {
  const facts: [string, string][] = [];
  const shared = new CellCounter(latencyCells);
  const devices: DeviceGroupLayout[] = [];
  const entries = Object.entries(schema.shape).map(([key, def]) => {
    if (def.kind === 'utcTimestampMs') {
      facts.push([key, 'utcTimestampMs()']);
      return { kind: def.kind, key };
    }
    if (def.kind === 'group') {
      facts.push([key, 'group()']);
      return { kind: def.kind, key, metrics: shared.place(key, def.fields, facts) };
    }
    facts.push([key, `perDevice(aggregate: ${def.aggregate}, latencyAggregate: ${def.latencyAggregate})`]);
    const own = new CellCounter(latencyCells);
    const metrics = own.place(key, def.fields, facts);
    const { aggregate, latencyAggregate } = def;
    const entry: DeviceGroupLayout = {
      kind: def.kind,
      key,
      group: devices.length,
      metrics,
      cellKinds: own.kinds(),
      aggregate,
      latencyAggregate,
    };
    devices.push(entry);
    return entry;
  });
  return { latencyCells, entries, devices, cellKinds: shared.kinds(), facts };
}

/**
 * The first difference between the facts of an open store and those of a call that opens it again, as a sentence;
 * undefined when there is none.
 */
export function firstDifference(open: Layout['facts'], call: Layout['facts']): string | undefined {
  for (let i = 0; i < Math.max(open.length, call.length); i++) {
    const a = open[i];
    const b = call[i];
    if (a && b && a[0] === b[0]) {
      if (a[1] !== b[1]) return `${a[0]} is ${a[1]} in the open store and ${b[1]} in this call`;
      continue;
    }
    if (b && !open.some(([path]) => path === b[0])) return `${b[0]} is missing in the open store`;
    if (a && !call.some(([path]) => path === a[0])) return `${a[0]} is missing in this call`;
    return `the open store has ${a?.[0]} where this call has ${b?.[0]}`;
  }
  return undefined;
}

/** Every metric of a plain group. */
export function staticMetrics(layout: Layout): MetricLayout[] {
  return layout.entries.flatMap((entry) => (entry.kind === 'group' ? entry.metrics : []));
}

class CellCounter {
  readonly #kinds: number[] = [];
  readonly #latencyCells: LatencyCells;

  constructor(latencyCells: LatencyCells) {
    this.#latencyCells = latencyCells;
  }

  place(key: string, fields: Fields, facts: [string, string][]): MetricLayout[] {
    const kinds = this.#kinds;
    const metrics: MetricLayout[] = [];
    for (const name of Object.keys(fields)) {
      const def = fields[name]!;
      const path = `${key}.${name}`;
      const scheme = schemeIn(name, def);
      facts.push([path, factOf(def, scheme, this.#latencyCells)]);
      const cells = cellsOf(def, scheme, this.#latencyCells);
      while ((kinds.length % RUN_CELLS) + cells.length > RUN_CELLS) kinds.push(CellKind.none);
      metrics.push({ name, path, def, cell: kinds.length, ...(scheme && { scheme }) });
      kinds.push(...cells);
    }
    return metrics;
  }

  kinds(): Uint8Array {
    return Uint8Array.from(this.#kinds);
  }
}

/** The options that all threads must agree on: each thread must raise the same metric for an event. */
const MARKERS = ['onSignal', 'onPanic', 'onMissedFlush', 'onError', 'startTime', 'aggregate'] as const;

function factOf(def: MetricDef, scheme: Scheme | undefined, latencyCells: LatencyCells): string {
  // The fingerprint tells native code that was built for a schema whether the metric has a count.
  const counted = def.kind === 'latency' && latencyCells === 'counted' ? ['counted'] : [];
  if (scheme !== undefined) {
    const { unit, scale, first, buckets } = scheme;
    return `${def.kind}(${[...counted, `unit: ${unit}, scale: ${scale}, first: ${first}, buckets: ${buckets}`].join(', ')})`;
  }
  if (def.kind === 'latency') return `latency(${counted})`;
  const { kind } = def;
  if (!hasOptions(def)) return `${kind}()`;
  const options = MARKERS.flatMap((marker) => {
    const value = (def as StoreDef)[marker];
    return value === undefined ? [] : [`${marker}: ${value}`];
  });
  return `${kind}(${options.join(', ')})`;
}
