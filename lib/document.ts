// The document of a region: what else a reader needs to know of a store, as JSON. Pure.

import { shown } from './arguments.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import type { Identity } from './program.ts';
import { DOCUMENT_BYTES_MAX } from './region/format.ts';
import {
  defineSchema,
  type Fields,
  type GroupDef,
  group,
  inc,
  latency,
  type MetricDef,
  type PerDeviceDef,
  perDevice,
  type Schema,
  type SchemaShape,
  store,
  utcTimestampMs,
} from './schema.ts';

/** A store by its document. */
export interface RegionDocument {
  readonly name: string;
  readonly schema: Schema;
  readonly identity: Identity;
}

/** The document of a store, for its region. Check its length for a region that others read: checkDocumentLength(). */
export function documentOf(name: string, schema: Schema, { id, properties }: Identity): string {
  const shape = Object.fromEntries(Object.entries(schema.shape).map(([key, def]) => [key, plainEntry(def)]));
  // What stands under a key is taken as it is: JSON keeps the order of keys, and what is undefined is left out.
  return JSON.stringify({ name, schema: shape, id, properties });
}

/** @throws MetricsError `ERR_METRICS_SCHEMA` for a document that is longer than a reader of a region file accepts. */
export function checkDocumentLength(document: string): void {
  const bytes = Buffer.byteLength(document);
  if (bytes <= DOCUMENT_BYTES_MAX) return;
  const what = 'The name, schema, id and properties';
  throw new MetricsError(ErrorCode.SCHEMA, `${what} take ${bytes} bytes as JSON; a region has room for ${DOCUMENT_BYTES_MAX}`);
}

function plainEntry(def: SchemaShape[string]): object {
  if (def.kind === 'utcTimestampMs') return { kind: def.kind };
  if (def.kind === 'group') return { kind: def.kind, fields: def.fields };
  return { kind: def.kind, fields: def.fields, aggregate: def.aggregate, latencyAggregate: def.latencyAggregate };
}

/**
 * The store of a document, checked as if it had been opened here.
 * @throws MetricsError `ERR_METRICS_REGION`, naming what is wrong, for whatever documentOf() does not write.
 */
export function documentFrom(text: string): RegionDocument {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    // The message of V8 quotes the text, which may be anything.
    throw refusal('is not JSON', cause);
  }
  const { name, schema, id, properties } = known(parsed, 'the document', ['name', 'schema', 'id', 'properties']);
  const shape: [string, SchemaShape[string]][] = Object.entries(record(schema, 'schema')).map(([key, entry]) => [
    key,
    entryFrom(entry, `schema.${shortened(key)}`),
  ]);
  const document = {
    name: textFrom(name, 'name'),
    // A key `__proto__` is the object's own here, as it is in what JSON.parse gives, and is refused.
    schema: checked('schema', () => defineSchema(Object.fromEntries(shape))),
    identity: {
      ...(id !== undefined && { id: textFrom(id, 'id') }),
      ...(properties !== undefined && { properties: propertiesFrom(properties) }),
    },
  };
  for (const key of Object.keys(document.identity)) {
    if (Object.hasOwn(document.schema.shape, key)) throw refusal(`has both a metric group and an option '${key}'`);
  }
  return document;
}

function entryFrom(entry: unknown, path: string): GroupDef | PerDeviceDef | ReturnType<typeof utcTimestampMs> {
  const { kind } = record(entry, path);
  if (kind === 'utcTimestampMs') {
    known(entry, path, ['kind']);
    return utcTimestampMs();
  }
  if (kind === 'group') return group(fieldsFrom(known(entry, path, ['kind', 'fields'])['fields'], path));
  if (kind !== 'perDevice') throw refusal(`${path}.kind must be 'utcTimestampMs', 'group' or 'perDevice'; it is ${shown(kind)}`);
  const { fields, aggregate, latencyAggregate } = known(entry, path, ['kind', 'fields', 'aggregate', 'latencyAggregate']);
  return checked(path, () => perDevice(fieldsFrom(fields, path), { aggregate, latencyAggregate } as never));
}

function fieldsFrom(fields: unknown, path: string): Fields {
  const metrics = Object.entries(record(fields, `${path}.fields`)).map(([name, def]): [string, MetricDef] => {
    const at = `${path}.fields.${shortened(name)}`;
    const { kind, doc, ...options } = record(def, at);
    return [
      name,
      checked(at, () => {
        if (kind === 'inc') return inc(doc as string, options);
        if (kind === 'store') return store(doc as string, options);
        if (kind === 'latency' && Object.keys(options).length === 0) return latency(doc as string);
        throw refusal(`${at} is no metric: it is ${shown(def)}`);
      }),
    ];
  });
  return Object.fromEntries(metrics);
}

function propertiesFrom(properties: unknown): Readonly<Record<string, string>> {
  const all = record(properties, 'properties');
  // JSON.parse gives every key as the object's own, `__proto__` too.
  for (const [key, value] of Object.entries(all)) textFrom(value, `properties.${shortened(textFrom(key, 'a key of properties'))}`);
  return all as Record<string, string>;
}

function record(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refusal(`${path} must be an object; it is ${shown(value)}`);
  return value as Record<string, unknown>;
}

function known(value: unknown, path: string, names: readonly string[]): Record<string, unknown> {
  const all = record(value, path);
  for (const name of Object.keys(all)) {
    if (!names.includes(name)) throw refusal(`${path} has ${shown(name)}, which this version does not know`);
  }
  return all;
}

/** Text that a line can carry: well-formed. */
function textFrom(value: unknown, path: string): string {
  if (typeof value !== 'string') throw refusal(`${path} must be a string; it is ${shown(value)}`);
  if (!value.isWellFormed()) throw refusal(`${path} has a lone surrogate`);
  return value;
}

function checked<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof MetricsError && cause.code === ErrorCode.REGION) throw cause;
    throw refusal(`${path}: ${shortened((cause as Error).message, 200)}`, cause);
  }
}

function shortened(text: string, length = 80): string {
  return text.length > length ? `${text.slice(0, length - 3)}...` : text;
}

function refusal(trouble: string, cause?: unknown): MetricsError {
  return new MetricsError(ErrorCode.REGION, `The document of a region ${trouble}`, cause === undefined ? undefined : { cause });
}
