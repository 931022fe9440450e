// A schema names every metric once; types, cells, the flush program and the accessors all follow from it.
// Pure: no files, no clock, no native code.

import { constants } from 'node:os';

import {
  type CapturableSignal,
  checkedBoolean,
  checkedChoice,
  checkedOptions,
  checkedSignal,
  checkedText,
  isPlainObject,
  shown,
} from './arguments.ts';
import { ErrorCode, MetricsError } from './errors.ts';

/** Unit of a metric's value. Left out, it follows from the name: `_us`, `_ms`, `_bytes`, else a count. */
export type Unit = 'count' | 'bytes' | 'us' | 'ms';

/** How a store metric of several devices becomes one number in their aggregate. */
export type StoreAggregate = 'sum' | 'min' | 'max';

/** Events that raise a metric by themselves. Each marker is given to at most one metric of a schema. */
export interface EventMarkers {
  /** Raised when this signal is captured: an inc metric by 1, a store metric set to 1. */
  readonly onSignal?: CapturableSignal | undefined;
  /** Raised when an uncaught exception or unhandled rejection is about to end the process or a worker. */
  readonly onPanic?: boolean | undefined;
  /** Raised by each flush whose whole line did not get out. */
  readonly onMissedFlush?: boolean | undefined;
  /** Raised by other trouble of the store itself. */
  readonly onError?: boolean | undefined;
}

export interface IncOptions extends EventMarkers {
  readonly unit?: Unit | undefined;
}

export interface StoreOptions extends EventMarkers {
  readonly unit?: Unit | undefined;
  /** The metric that `reportStartTime()` sets from this clock. */
  readonly startTime?: 'wall' | 'cpu' | undefined;
  /** In the aggregate of devices. Default: `'sum'`. */
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
export interface LatencyDef {
  readonly kind: 'latency';
  readonly doc: string;
}
export type MetricDef = IncDef | StoreDef | LatencyDef;

export interface Fields {
  readonly [name: string]: MetricDef;
}

export interface GroupDef<F extends Fields = Fields> {
  readonly kind: 'group';
  readonly fields: F;
}

export interface PerDeviceOptions {
  /** Whether the line has the sum of all devices under the group's own key, after them. Default: true. */
  readonly aggregate?: boolean | undefined;
  /**
   * What the aggregate shows as `min_us` and `max_us`: the true extremum of the devices (default), or 0 as Firecracker
   * prints.
   */
  readonly latencyAggregate?: 'extremum' | 'zero' | undefined;
}

export interface PerDeviceDef<F extends Fields = Fields> {
  readonly kind: 'perDevice';
  readonly fields: F;
  readonly aggregate: boolean;
  readonly latencyAggregate: 'extremum' | 'zero';
}

export interface TimestampDef {
  readonly kind: 'utcTimestampMs';
}

export interface SchemaShape {
  readonly [key: string]: GroupDef | PerDeviceDef | TimestampDef;
}

/** A checked, frozen schema, as `defineSchema()` gives it. */
export interface Schema<S extends SchemaShape = SchemaShape> {
  readonly shape: S;
}

/** On each schema that a `defineSchema()` checked, whichever copy of this package, realm or version it is of. */
const BRAND = Symbol.for('vmm-metrics.schema');

/** Schemas that this `defineSchema()` checked, by what was given: those of other copies were checked again. */
const checkedSchemas = new WeakMap<object, Schema>();

/**
 * The schema, if `value` comes from a `defineSchema()`. One of another copy of this package, or of another realm, is
 * checked again.
 * @throws MetricsError `ERR_METRICS_SCHEMA` for a schema of another copy that this one cannot take.
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
    const message = `The schema is of another copy of vmm-metrics, and this one cannot take it: ${(cause as Error).message}`;
    throw new MetricsError(ErrorCode.SCHEMA, message, { cause });
  }
}

const EVENT_MARKERS = ['onSignal', 'onPanic', 'onMissedFlush', 'onError'] as const;
const UNITS: readonly Unit[] = ['count', 'bytes', 'us', 'ms'];

/**
 * A counter: only goes up, wraps at 2^64, and is flushed as the delta since the last flush.
 * @param doc What is counted, for people.
 * @throws TypeError for an unknown option or a wrong type.
 */
export function inc(doc: string, options?: IncOptions): IncDef {
  const o = checkedOptions<IncOptions>('inc()', options, ['unit', ...EVENT_MARKERS]);
  return Object.freeze({
    kind: 'inc',
    doc: checkedText('inc(): doc', doc),
    ...checkedMarkers('inc()', o),
    ...checkedUnit('inc()', o.unit),
  });
}

/**
 * A gauge: set to a value, and flushed as it is; no flush resets it.
 * @param doc What the value says, for people.
 * @throws TypeError for an unknown option or a wrong type.
 */
export function store(doc: string, options?: StoreOptions): StoreDef {
  const o = checkedOptions<StoreOptions>('store()', options, ['unit', 'startTime', 'aggregate', ...EVENT_MARKERS]);
  if (o.startTime !== undefined) checkedChoice('store(): startTime', o.startTime, ['wall', 'cpu']);
  if (o.aggregate !== undefined) checkedChoice('store(): aggregate', o.aggregate, ['sum', 'min', 'max']);
  return Object.freeze({
    kind: 'store',
    doc: checkedText('store(): doc', doc),
    ...(o.startTime !== undefined && { startTime: o.startTime }),
    ...(o.aggregate !== undefined && { aggregate: o.aggregate }),
    ...checkedMarkers('store()', o),
    ...checkedUnit('store()', o.unit),
  });
}

/**
 * Durations in microseconds, flushed as an object of `min_us` and `max_us` (since the store was opened) and `sum_us`
 * (the delta since the last flush). How many there were is not in it: count them in an inc metric beside it.
 * @param doc What is timed, for people.
 */
export function latency(doc: string): LatencyDef {
  return Object.freeze({ kind: 'latency', doc: checkedText('latency(): doc', doc) });
}

/** The wall clock at the time of the flush, in milliseconds since 1970. At most once, at the top of a schema. */
export function utcTimestampMs(): TimestampDef {
  return Object.freeze({ kind: 'utcTimestampMs' });
}

/** Metrics under one key of the line. */
export function group<const F extends Fields>(fields: F): GroupDef<F> {
  return Object.freeze({ kind: 'group', fields });
}

/**
 * Metrics of each device of a kind, under `<group>_<id>` in the line, and their aggregate under `<group>`.
 * Devices come and go at run time: `metrics.app.<group>.alloc(id)`.
 * @throws TypeError for an unknown option or a wrong type.
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
 * @throws MetricsError `ERR_METRICS_SCHEMA`, naming the path, for a bad or reserved key, an empty group, something that
 * is no metric, or a marker given twice.
 */
export function defineSchema<const S extends SchemaShape>(shape: S): Schema<S> {
  const markers = new Map<string, string>();
  const entries = plainEntries(shape, 'the schema');
  const frozen = entries.map(([key, def]) => {
    const kind = kindOf(def);
    if (kind === 'utcTimestampMs') {
      claimMarker(markers, 'utcTimestampMs()', key);
      return [key, utcTimestampMs()] as const;
    }
    if (kind === 'group' || kind === 'perDevice') {
      const { fields: given, ...options } = def as GroupDef | PerDeviceDef;
      const fields = checkedFields(kind, given, key, markers);
      if (kind === 'group') return [key, group(fields)] as const;
      const { aggregate, latencyAggregate } = options as PerDeviceDef;
      return [key, again(key, () => perDevice(fields, { aggregate, latencyAggregate }))] as const;
    }
    throw schemaError(key, `must be group(), perDevice() or utcTimestampMs(); got ${shownDef(def)}`);
  });
  const schema = { shape: Object.freeze(Object.fromEntries(frozen)) as unknown as S };
  Object.freeze(Object.defineProperty(schema, BRAND, { value: true }));
  checkedSchemas.set(schema, schema);
  return schema;
}

/** The unit of a metric: as given, else as its name says, else a count. */
export function unitOf(name: string, def: MetricDef): Unit {
  if (def.kind === 'latency') return 'us';
  if (def.unit !== undefined) return def.unit;
  if (name.endsWith('_us')) return 'us';
  if (name.endsWith('_ms')) return 'ms';
  return name.endsWith('_bytes') ? 'bytes' : 'count';
}

const KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Names that mean something else on a JavaScript object. */
const RESERVED = new Set(['__proto__', 'constructor', 'prototype']);
const METRIC_KINDS = new Set<unknown>(['inc', 'store', 'latency']);

function checkedFields(kind: 'group' | 'perDevice', fields: unknown, key: string, markers: Map<string, string>): Fields {
  const checked = plainEntries(fields, key).map(([name, def]) => {
    const path = `${key}.${name}`;
    if (!METRIC_KINDS.has(kindOf(def))) throw schemaError(path, `must be inc(), store() or latency(); got ${shownDef(def)}`);
    const metric = checkedAgain(path, def as MetricDef);
    if (metric.kind === 'latency') return [name, metric] as const;
    const given = [
      ...EVENT_MARKERS.filter((m) => metric[m]).map((m) => (m === 'onSignal' ? `onSignal: ${signalName(metric.onSignal)}` : m)),
      ...(metric.kind === 'store' && metric.startTime ? [`startTime: ${metric.startTime}`] : []),
    ];
    for (const marker of given) {
      if (kind === 'perDevice') throw schemaError(path, `${marker} belongs on a metric of a plain group, not of devices`);
      claimMarker(markers, marker, path);
    }
    if (kind === 'group' && metric.kind === 'store' && metric.aggregate) {
      throw schemaError(path, 'aggregate has a meaning only in perDevice()');
    }
    return [name, metric] as const;
  });
  return Object.freeze(Object.fromEntries(checked));
}

/**
 * A definition that somebody wrote by hand goes through the same checks as one that inc(), store() or latency() made.
 */
function checkedAgain(path: string, def: MetricDef): MetricDef {
  const { kind, doc, ...options } = def;
  return again(path, () => (kind === 'inc' ? inc(doc, options) : kind === 'store' ? store(doc, options) : latency(doc)));
}

function again<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new MetricsError(ErrorCode.SCHEMA, `${path}: ${(cause as Error).message}`, { cause });
  }
}

/** One name for each signal: some have two. */
function signalName(signal: CapturableSignal | undefined): string {
  const number = constants.signals[signal!];
  return Object.entries(constants.signals).find(([, n]) => n === number)![0];
}

/** The own entries of a plain object, with every key checked. */
function plainEntries(object: unknown, path: string): [string, unknown][] {
  if (typeof object !== 'object' || object === null || Array.isArray(object))
    throw schemaError(path, `must be an object; got ${shown(object)}`);
  // `{ __proto__: ... }` sets the prototype instead of a key, and would vanish without a word.
  if (!isPlainObject(object)) throw schemaError(path, "must be a plain object, and '__proto__' is a reserved key");
  const entries = Object.entries(object);
  if (entries.length === 0) throw schemaError(path, 'must not be empty');
  const nested = path === 'the schema' ? '' : `${path}.`;
  for (const [key] of entries) {
    if (RESERVED.has(key)) throw schemaError(`${nested}${key}`, 'is a reserved key');
    if (!KEY.test(key)) throw schemaError(`${nested}${key}`, `is not a usable key: letters, digits and '_', not starting with a digit`);
  }
  return entries;
}

function claimMarker(markers: Map<string, string>, marker: string, path: string): void {
  const holder = markers.get(marker);
  if (holder !== undefined) throw schemaError(path, `${marker} is given twice, the first time to ${holder}`);
  markers.set(marker, path);
}

function kindOf(def: unknown): unknown {
  return typeof def === 'object' && def !== null && 'kind' in def ? def.kind : undefined;
}

function shownDef(def: unknown): string {
  const kind = kindOf(def);
  return typeof kind === 'string' ? `${kind}()` : shown(def);
}

function schemaError(path: string, problem: string): MetricsError {
  return new MetricsError(ErrorCode.SCHEMA, `${path}: ${problem}`);
}

function checkedMarkers(where: string, o: EventMarkers): EventMarkers {
  if (o.onSignal !== undefined) {
    checkedSignal(`${where}: onSignal`, o.onSignal);
  }
  const given: { -readonly [M in keyof EventMarkers]: EventMarkers[M] } = {};
  if (o.onSignal !== undefined) given.onSignal = o.onSignal;
  for (const marker of ['onPanic', 'onMissedFlush', 'onError'] as const) {
    const value = o[marker];
    if (value !== undefined && checkedBoolean(`${where}: ${marker}`, value)) given[marker] = true;
  }
  return given;
}

function checkedUnit(where: string, unit: Unit | undefined): { unit?: Unit } {
  return unit === undefined ? {} : { unit: checkedChoice(`${where}: unit`, unit, UNITS) };
}
