// The document of a region: a store's name, schema and identity as JSON, for readers. Pure.

import { checkedChoice, checkedPlainObject, checkedText, shown } from './arguments.ts';
import { ErrorCode, MetricsError } from './errors.ts';
import { type Identity, keyClash } from './program.ts';
import { DOCUMENT_BYTES_MAX } from './region/format.ts';
import {
  defineSchema,
  type Fields,
  type GroupDef,
  group,
  isMetricKind,
  type MetricDef,
  makeMetric,
  type PerDeviceDef,
  perDevice,
  type Schema,
  type SchemaShape,
  type TimestampDef,
  utcTimestampMs,
} from './schema.ts';

/** What the document says about a store. */
export interface RegionDocument {
  readonly name: string;
  readonly schema: Schema;
  readonly identity: Identity;
}

/** The document of a store. The document of a region file must pass checkDocumentLength() too. */
export function documentOf(name: string, schema: Schema, { id, properties }: Identity): string {
  const shape = Object.fromEntries(Object.entries(schema.shape).map(([key, def]) => [key, plainEntry(def)]));
  // JSON keeps the order of the keys, and leaves out what is undefined.
  return JSON.stringify({ name, schema: shape, id, properties });
}

/** @throws MetricsError `ERR_METRICS_SCHEMA` for a document that is longer than a reader of a region file accepts. */
export function checkDocumentLength(document: string): void {
  const bytes = Buffer.byteLength(document);
  if (bytes <= DOCUMENT_BYTES_MAX) return;
  const what = 'The name, schema, id and properties';
  throw new MetricsError(ErrorCode.SCHEMA, `${what} take ${bytes} bytes as JSON; a region file has room for ${DOCUMENT_BYTES_MAX}`);
}

function plainEntry(def: SchemaShape[string]): object {
  if (def.kind === 'utcTimestampMs') return { kind: def.kind };
  if (def.kind === 'group') return { kind: def.kind, fields: def.fields };
  return { kind: def.kind, fields: def.fields, aggregate: def.aggregate, latencyAggregate: def.latencyAggregate };
}

/**
 * The store of a document, checked as if it were opened here.
 * @throws MetricsError `ERR_METRICS_REGION` for everything that documentOf() does not write. The message names what is
 * wrong.
 */
export function documentFrom(text: string): RegionDocument {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    // The message of V8 quotes the text, which may be anything.
    throw damaged('it is not JSON', cause);
  }
  const { schema, ...rest } = known(parsed, 'the document', ['name', 'schema', 'id', 'properties']);
  return documentAround(schemaFrom(schema), rest);
}

function schemaFrom(schema: unknown): Schema {
  const shape: [string, SchemaShape[string]][] = Object.entries(record(schema, 'schema')).map(([key, entry]) => [
    key,
    entryFrom(entry, `schema.${shortened(key)}`),
  ]);
  // A key `__proto__` is the object's own here, as JSON.parse makes it, and is refused.
  return checked(() => defineSchema(Object.fromEntries(shape)), 'schema: ');
}

/**
 * The document with this schema and the other values of documentOf(), which are checked here.
 * @throws As documentFrom().
 */
export function documentAround(schema: Schema, { name, id, properties }: Readonly<Record<string, unknown>>): RegionDocument {
  const document = {
    name: checked(() => checkedText('name', name)),
    schema,
    identity: {
      ...(id !== undefined && { id: checked(() => checkedText('id', id)) }),
      ...(properties !== undefined && { properties: propertiesFrom(properties) }),
    },
  };
  const clash = keyClash(document.identity, document.schema);
  if (clash !== undefined) throw damaged(clash);
  return document;
}

function entryFrom(entry: unknown, path: string): GroupDef | PerDeviceDef | TimestampDef {
  const kind = checked(() => checkedChoice(`${path}.kind`, record(entry, path)['kind'], ['utcTimestampMs', 'group', 'perDevice']));
  if (kind === 'utcTimestampMs') {
    known(entry, path, ['kind']);
    return utcTimestampMs();
  }
  if (kind === 'group') return group(fieldsFrom(known(entry, path, ['kind', 'fields'])['fields'], path));
  const { fields, aggregate, latencyAggregate } = known(entry, path, ['kind', 'fields', 'aggregate', 'latencyAggregate']);
  return checked(() => perDevice(fieldsFrom(fields, path), { aggregate, latencyAggregate } as never), `${path}: `);
}

function fieldsFrom(fields: unknown, path: string): Fields {
  const metrics = Object.entries(record(fields, `${path}.fields`)).map(([name, def]): [string, MetricDef] => {
    const at = `${path}.fields.${shortened(name)}`;
    const { kind, doc, ...options } = record(def, at);
    const metric = checked(() => {
      if (isMetricKind(kind)) return makeMetric(kind, doc as string, options);
      throw new TypeError(`must be a metric; got ${shown(def)}`);
    }, `${at}: `);
    return [name, metric];
  });
  return Object.fromEntries(metrics);
}

function propertiesFrom(properties: unknown): Readonly<Record<string, string>> {
  const all = record(properties, 'properties');
  // JSON.parse makes every key the object's own, `__proto__` too.
  for (const [key, value] of Object.entries(all)) {
    checked(() => checkedText(`properties.${shortened(checkedText('a key of properties', key))}`, value));
  }
  return all as Record<string, string>;
}

function record(value: unknown, path: string): Record<string, unknown> {
  return checked(() => checkedPlainObject(path, value)) as Record<string, unknown>;
}

function known(value: unknown, path: string, names: readonly string[]): Record<string, unknown> {
  const all = record(value, path);
  for (const name of Object.keys(all)) {
    if (!names.includes(name)) throw damaged(`${path} has ${shown(name)}, which this version does not know`);
  }
  return all;
}

/** The result of `make`. If `make` throws, the document is damaged, and `path` goes before the message of its error. */
function checked<T>(make: () => T, path = ''): T {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof MetricsError && cause.code === ErrorCode.REGION) throw cause;
    throw damaged(`${path}${shortened((cause as Error).message, 200)}`, cause);
  }
}

function shortened(text: string, length = 80): string {
  return text.length > length ? `${text.slice(0, length - 3)}...` : text;
}

function damaged(trouble: string, cause?: unknown): MetricsError {
  return new MetricsError(ErrorCode.REGION, `its document is damaged: ${trouble}`, cause === undefined ? undefined : { cause });
}
