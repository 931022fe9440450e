// A schema names every metric once. Types, cells, the flush program and the accessors all follow from it. Pure: no
// files, no clock, no native code.

import { checkedBoolean, checkedChoice, checkedOptions, checkedText, isPlainObject, shown } from './arguments.ts';
import { ErrorCode, MetricsError, schemaError } from './errors.ts';
import { type HistogramDef, histogram, type LatencyDef, latency, latencyScheme } from './histogram/definition.ts';
import { type Scheme, schemeOf } from './histogram/scheme.ts';
import { kvmBrandOf } from './kvm-source.ts';
import { isMade, made } from './made.ts';
import { checkedMarkers, EVENT_MARKERS, type EventMarkers, MarkerHolders, markersOf } from './markers.ts';

/**
 * The unit of a metric's value. Default: the unit that the name ends in (`_ns`, `_us`, `_ms` or `_bytes`), or else
 * `'count'`.
 */
export type Unit = 'count' | 'bytes' | 'ns' | 'us' | 'ms';

/** How the values that devices have in a store metric become one value in the aggregate. */
export type StoreAggregate = 'sum' | 'min' | 'max';

export interface IncOptions extends EventMarkers {
  readonly unit?: Unit | undefined;
}

export interface StoreOptions extends EventMarkers {
  readonly unit?: Unit | undefined;
  /** Makes `reportStartTime()` set this metric: the start time by the wall clock, or in CPU time. */
  readonly startTime?: 'wall' | 'cpu' | undefined;
  /** What the aggregate of devices shows. Default: `'sum'`. */
  readonly aggregate?: StoreAggregate | undefined;
}

export interface IncDef extends IncOptions {
  readonly kind: 'inc';
  readonly doc: string;
}
export interface StoreDef extends StoreOptions {
  readonly kind: 'store';
  readonly doc: string;
}
export type {
  HistogramDef,
  HistogramOptions,
  LatencyDef,
  LatencyHistogram,
  LatencyHistogramDef,
  LatencyOptions,
} from './histogram/definition.ts';
export { histogram, latency };
/** The definition of one metric. */
export type MetricDef = IncDef | StoreDef | LatencyDef | HistogramDef;

/** The metrics of a group, by name. */
export interface Fields {
  readonly [name: string]: MetricDef;
}

/** What `group()` returns. */
export interface GroupDef<F extends Fields = Fields> {
  readonly kind: 'group';
  readonly fields: F;
}

/** The options of `perDevice()`. */
export interface PerDeviceOptions {
  /** Whether the line has an aggregate of all devices under the group's own key, after the devices. Default: true. */
  readonly aggregate?: boolean | undefined;
  /**
   * What the aggregate shows as `min_us` and `max_us`: the extremes of all devices, or 0, as Firecracker does. Default:
   * `'extremum'`.
   */
  readonly latencyAggregate?: 'extremum' | 'zero' | undefined;
}

/** What `perDevice()` returns. */
export interface PerDeviceDef<F extends Fields = Fields> {
  readonly kind: 'perDevice';
  readonly fields: F;
  readonly aggregate: boolean;
  readonly latencyAggregate: 'extremum' | 'zero';
}

/** What `utcTimestampMs()` returns. */
export interface TimestampDef {
  readonly kind: 'utcTimestampMs';
}

/** The argument of `defineSchema()`: the keys of the line, in their order. */
export interface SchemaShape {
  readonly [key: string]: GroupDef | PerDeviceDef | TimestampDef;
}

/** A schema that `defineSchema()` has checked and frozen. */
export interface Schema<S extends SchemaShape = SchemaShape> {
  readonly shape: S;
}

/** Marks a schema that a `defineSchema()` has checked: of any copy or version of the package, in any realm. */
const BRAND = Symbol.for('vmm-metrics.schema');

/**
 * The schemas that this copy has checked. The keys are the objects that callers passed in, including schemas of other
 * copies.
 */
const checkedSchemas = new WeakMap<object, Schema>();

/**
 * The schema, if `value` comes from a `defineSchema()`. A schema of another copy of this package, or of another realm,
 * is checked again.
 * @throws MetricsError `ERR_METRICS_SCHEMA` for a schema of another copy that this copy cannot use.
 */
export function schemaOf(value: unknown): Schema | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const known = checkedSchemas.get(value);
  if (known !== undefined || !(BRAND in value)) return known;
  try {
    const schema = defineSchema((value as unknown as Schema).shape);
    checkedSchemas.set(value, schema);
    return schema;
  } catch (cause) {
    const message = `The schema comes from another copy of vmm-metrics, and this copy cannot use it: ${(cause as Error).message}`;
    throw new MetricsError(ErrorCode.SCHEMA, message, { cause });
  }
}

const UNITS: readonly Unit[] = ['count', 'bytes', 'ns', 'us', 'ms'];

/**
 * A counter: it only goes up, wraps at 2^64, and is flushed as the delta since the last flush.
 * @param doc What is counted, in words.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a wrong value.
 */
export function inc(doc: string, options?: IncOptions): IncDef {
  if (options === undefined) return made({ kind: 'inc', doc: checkedText('inc(): doc', doc) });
  const o = checkedOptions<IncOptions>('inc()', options, ['unit', ...EVENT_MARKERS]);
  return made({
    kind: 'inc',
    doc: checkedText('inc(): doc', doc),
    ...checkedMarkers('inc()', o),
    ...checkedUnit('inc()', o.unit),
    ...kvmBrandOf(options),
  });
}

/**
 * A gauge: it is set to a value and flushed as it is. No flush resets it.
 * @param doc What the value means, in words.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a wrong value.
 */
export function store(doc: string, options?: StoreOptions): StoreDef {
  if (options === undefined) return made({ kind: 'store', doc: checkedText('store(): doc', doc) });
  const o = checkedOptions<StoreOptions>('store()', options, ['unit', 'startTime', 'aggregate', ...EVENT_MARKERS]);
  if (o.startTime !== undefined) checkedChoice('store(): startTime', o.startTime, ['wall', 'cpu']);
  if (o.aggregate !== undefined) checkedChoice('store(): aggregate', o.aggregate, ['sum', 'min', 'max']);
  return made({
    kind: 'store',
    doc: checkedText('store(): doc', doc),
    ...(o.startTime !== undefined && { startTime: o.startTime }),
    ...(o.aggregate !== undefined && { aggregate: o.aggregate }),
    ...checkedMarkers('store()', o),
    ...checkedUnit('store()', o.unit),
    ...kvmBrandOf(options),
  });
}

/** The wall clock at the flush, in milliseconds since 1970 (UTC). At most once in a schema, at its top level. */
export function utcTimestampMs(): TimestampDef {
  return Object.freeze({ kind: 'utcTimestampMs' });
}

/** Metrics under one key of the line. `defineSchema()` checks them. */
export function group<const F extends Fields>(fields: F): GroupDef<F> {
  return Object.freeze({ kind: 'group', fields });
}

/**
 * Metrics that each device of a kind has. In the line, a device is under `<group>_<id>`, and the aggregate of all
 * devices is under `<group>`. Devices come and go at run time: `metrics.app.<group>.alloc(id)`.
 * @throws TypeError for an unknown option or a wrong type; RangeError for a wrong value.
 */
export function perDevice<const F extends Fields>(fields: F, options?: PerDeviceOptions): PerDeviceDef<F> {
  const o = checkedOptions<PerDeviceOptions>('perDevice()', options, ['aggregate', 'latencyAggregate']);
  if (o.aggregate !== undefined) checkedBoolean('perDevice(): aggregate', o.aggregate);
  if (o.latencyAggregate !== undefined) checkedChoice('perDevice(): latencyAggregate', o.latencyAggregate, ['extremum', 'zero']);
  return Object.freeze({ kind: 'perDevice', fields, aggregate: o.aggregate ?? true, latencyAggregate: o.latencyAggregate ?? 'extremum' });
}

/**
 * Checks a schema and freezes it. The order of its keys is the order of the line.
 *
 * ```ts
 * const schema = defineSchema({
 *   utc_timestamp_ms: utcTimestampMs(),
 *   vcpu: group({ exit_io_in: inc('KVM exits for port input') }),
 * });
 * ```
 * @throws MetricsError `ERR_METRICS_SCHEMA` for a bad or reserved key, an empty group, a value that is no metric, or a
 * marker that is given twice. The message names the path in the schema.
 */
export function defineSchema<const S extends SchemaShape>(shape: S): Schema<S> {
  const markers = new MarkerHolders();
  const entries = plainEntries(shape, 'the schema');
  const frozen = entries.map(([key, def]) => {
    const kind = kindOf(def);
    if (kind === 'utcTimestampMs') {
      markers.claim('utcTimestampMs()', key);
      return [key, utcTimestampMs()] as const;
    }
    if (kind === 'group' || kind === 'perDevice') {
      const checked = checkedGroup(key, def as GroupDef | PerDeviceDef);
      for (const [name, metric] of withOptions.get(checked)!) checkOptions(`${key}.${name}`, kind, metric, markers);
      return [key, checked] as const;
    }
    throw schemaError(key, `must be group(), perDevice() or utcTimestampMs(); got ${shownDef(def)}`);
  });
  const schema = { shape: Object.freeze(Object.fromEntries(frozen)) as unknown as S };
  Object.freeze(Object.defineProperty(schema, BRAND, { value: true }));
  checkedSchemas.set(schema, schema);
  return schema;
}

/** The unit of a metric: the unit that its definition gives, else the unit that its name ends in, else a count. */
export function unitOf(name: string, def: MetricDef): Unit {
  if (def.kind === 'latency') return 'us';
  if (def.unit !== undefined) return def.unit;
  if (name.endsWith('_ns')) return 'ns';
  if (name.endsWith('_us')) return 'us';
  if (name.endsWith('_ms')) return 'ms';
  return name.endsWith('_bytes') ? 'bytes' : 'count';
}

/** What the function of that kind returns: inc() for `inc`, and so on. */
export function makeMetric(kind: MetricDef['kind'], doc: string, options: object): MetricDef {
  return METRICS[kind](doc, options);
}

export const isMetricKind = (kind: unknown): kind is MetricDef['kind'] => Object.hasOwn(METRICS, kind as string);

/** The buckets of a metric, if it has any. In a checked schema, this throws nothing. */
export function schemeIn(name: string, def: MetricDef): Scheme | undefined {
  if (def.kind === 'histogram') return schemeOf(unitOf(name, def), def);
  return def.kind === 'latency' && def.histogram !== undefined ? latencyScheme(def.histogram) : undefined;
}

const KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Names that mean something else on every JavaScript object. */
const RESERVED = new Set(['__proto__', 'constructor', 'prototype']);
/** What makes each kind of metric. */
const METRICS: Readonly<Record<MetricDef['kind'], (doc: string, options?: object) => MetricDef>> = {
  inc,
  store,
  latency,
  histogram,
};

/**
 * The groups of checked schemas, each with its metrics that have options. Another schema can have the same group, and
 * takes it as it is.
 */
const withOptions = new WeakMap<GroupDef | PerDeviceDef, readonly (readonly [name: string, metric: MetricDef])[]>();

function checkedGroup(key: string, def: GroupDef | PerDeviceDef): GroupDef | PerDeviceDef {
  if (withOptions.has(def)) return def;
  const { kind, fields: given, ...options } = def;
  const fields = checkedFields(given, key);
  const { aggregate, latencyAggregate } = options as PerDeviceDef;
  const checked = kind === 'group' ? group(fields) : again(key, () => perDevice(fields, { aggregate, latencyAggregate }));
  const metrics = Object.entries(fields).filter(([, metric]) => hasOptions(metric));
  withOptions.set(checked, metrics);
  return checked;
}

function checkedFields(given: unknown, key: string): Fields {
  const fields: Record<string, MetricDef> = {};
  for (const [name, def] of plainEntries(given, key)) {
    const path = `${key}.${name}`;
    if (!isMetricKind(kindOf(def))) throw schemaError(path, `must be inc(), store(), latency() or histogram(); got ${shownDef(def)}`);
    fields[name] = checkedMetric(path, def as MetricDef);
  }
  return Object.freeze(fields);
}

/** Whether a definition says more than its kind and what it measures. */
export function hasOptions(def: MetricDef): boolean {
  return Object.keys(def).length > 2;
}

function checkOptions(path: string, kind: 'group' | 'perDevice', metric: MetricDef, markers: MarkerHolders): void {
  if (metric.kind === 'latency' || metric.kind === 'histogram') {
    again(path, () => schemeIn(path, metric));
    return;
  }
  for (const marker of markersOf(metric)) {
    if (kind === 'perDevice') throw schemaError(path, `${marker} can only be given to a metric of a plain group, not of devices`);
    markers.claim(marker, path);
  }
  if (kind === 'group' && metric.kind === 'store' && metric.aggregate) {
    throw schemaError(path, 'aggregate can only be given to a metric of perDevice()');
  }
}

/** A definition that is written by hand goes through the checks of inc() and the others. */
function checkedMetric(path: string, def: MetricDef): MetricDef {
  if (isMade(def)) return def;
  const { kind, doc, ...options } = def;
  return again(path, () => makeMetric(kind, doc, options));
}

function again<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new MetricsError(ErrorCode.SCHEMA, `${path}: ${(cause as Error).message}`, { cause });
  }
}

/** The own entries of a plain object, with every key checked. */
function plainEntries(object: unknown, path: string): [string, unknown][] {
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw schemaError(path, `must be an object; got ${shown(object)}`);
  // `{ __proto__: ... }` sets the prototype instead of a key, which nobody would notice.
  if (!isPlainObject(object)) throw schemaError(path, "must be a plain object without a '__proto__' key, which is reserved");
  const entries = Object.entries(object);
  if (entries.length === 0) throw schemaError(path, 'must not be empty');
  for (const [key] of entries) {
    if (RESERVED.has(key)) throw schemaError(path, `${shown(key)} is a reserved key`);
    if (!KEY.test(key)) {
      throw schemaError(path, `${shown(key)} is not a usable key: it may have letters, digits and '_', and must not start with a digit`);
    }
  }
  return entries;
}

function kindOf(def: unknown): unknown {
  return typeof def === 'object' && def !== null && 'kind' in def ? def.kind : undefined;
}

function shownDef(def: unknown): string {
  const kind = kindOf(def);
  return typeof kind === 'string' ? `${kind}()` : shown(def);
}

function checkedUnit(where: string, unit: Unit | undefined): { unit?: Unit } {
  return unit === undefined ? {} : { unit: checkedChoice(`${where}: unit`, unit, UNITS) };
}
