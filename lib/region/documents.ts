// Decodes the documents of region files. Thousands of files have the same schema, and decoding it takes a hundred times
// as long as comparing its bytes. So the last few schemas are kept with their bytes. The name, id and properties around
// a schema differ from file to file, and are decoded each time.

import { documentAround, documentFrom, type RegionDocument } from '../document.ts';
import { type LatencyCells, type Layout, layoutOf } from '../layout.ts';
import type { Schema } from '../schema.ts';

export interface DecodedDocument {
  readonly document: RegionDocument;
  readonly layout: Layout;
}

interface KeptSchema {
  readonly bytes: Buffer;
  readonly schema: Schema;
}

/** How many schemas are kept. The bytes of a schema are never longer than a document. */
const KEPT_MAX = 16;
/** The schema that was used last comes first. */
const kept: KeptSchema[] = [];

/**
 * Decodes a document, and checks all of it. `latencyCells` follows from the version of the region.
 * @throws Error, which says what is wrong with the document.
 */
export function decodedDocument(bytes: Buffer, latencyCells: LatencyCells): DecodedDocument {
  const begin = schemaBegin(bytes);
  const known = begin === undefined ? undefined : knownSchema(bytes, begin);
  if (begin !== undefined && known !== undefined) {
    const rest = textAround(bytes, begin, begin + known.bytes.length);
    if (rest !== undefined) return { document: documentAround(known.schema, rest), layout: layoutOf(known.schema, latencyCells) };
  }
  const document = documentFrom(textOf(bytes));
  if (begin !== undefined) keep(bytes, begin, document.schema);
  return { document, layout: layoutOf(document.schema, latencyCells) };
}

function knownSchema(bytes: Buffer, begin: number): KeptSchema | undefined {
  const isThere = (schema: Buffer) =>
    begin + schema.length < bytes.length && bytes.compare(schema, 0, schema.length, begin, begin + schema.length) === 0;
  const found = kept.find((one) => isThere(one.bytes));
  if (found !== undefined && found !== kept[0]) kept.unshift(...kept.splice(kept.indexOf(found), 1));
  return found;
}

/** Called for a document that was decoded, so all of it is JSON. */
function keep(bytes: Buffer, begin: number, schema: Schema): void {
  const end = objectEnd(bytes, begin);
  // If the document has a second key `schema`, these bytes are not those of `schema`.
  if (textAround(bytes, begin, end) === undefined) return;
  kept.unshift({ bytes: Buffer.from(bytes.subarray(begin, end)), schema });
  kept.length = Math.min(kept.length, KEPT_MAX);
}

const HEAD = Buffer.from('{"name":"');
const BETWEEN = Buffer.from(',"schema":');
const [QUOTE, BACKSLASH, OPEN, CLOSE] = [0x22, 0x5c, 0x7b, 0x7d];

/** Where the schema begins, if the document begins as documentOf() writes it; otherwise undefined. */
function schemaBegin(bytes: Buffer): number | undefined {
  if (bytes.compare(HEAD, 0, HEAD.length, 0, HEAD.length) !== 0) return undefined;
  const end = stringEnd(bytes, HEAD.length - 1);
  const begin = end + BETWEEN.length;
  return bytes.subarray(end, begin).equals(BETWEEN) && bytes[begin] === OPEN ? begin : undefined;
}

/** The values around the schema, by key; undefined if the text around it is not as documentOf() writes it. */
function textAround(bytes: Buffer, begin: number, end: number): Readonly<Record<string, unknown>> | undefined {
  try {
    const tail = utf8.decode(bytes.subarray(end));
    if (tail !== '}' && !tail.startsWith(',')) return undefined;
    const { name } = JSON.parse(`${utf8.decode(bytes.subarray(0, begin))}0}`) as { name: unknown };
    const more = tail === '}' ? {} : (JSON.parse(`{${tail.slice(1)}`) as object);
    const keys = Object.keys(more);
    const isKnown = keys.every((key) => key === 'id' || key === 'properties');
    return isKnown && (tail === '}' || keys.length > 0) ? { name, ...more } : undefined;
  } catch {
    return undefined;
  }
}

/** Where the JSON string at `begin` ends; the end of the bytes if the string does not end. */
function stringEnd(bytes: Buffer, begin: number): number {
  for (let i = begin + 1; i < bytes.length; i++) {
    if (bytes[i] === BACKSLASH) i++;
    else if (bytes[i] === QUOTE) return i + 1;
  }
  return bytes.length;
}

/** Where the JSON object at `begin` ends. */
function objectEnd(bytes: Buffer, begin: number): number {
  let depth = 0;
  for (let i = begin; i < bytes.length; i++) {
    if (bytes[i] === QUOTE) i = stringEnd(bytes, i) - 1;
    else if (bytes[i] === OPEN) depth++;
    else if (bytes[i] === CLOSE && --depth === 0) return i + 1;
  }
  return bytes.length;
}

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new Error('its document is not UTF-8', { cause });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
