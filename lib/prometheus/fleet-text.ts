// The samples of many sources as one text: family by family over all sources, since a reader of the text refuses a
// family that begins twice.

import { type Family, FamilyUnion, headerOf } from './families.ts';
import type { SourceText } from './source-text.ts';

/** How many bytes a chunk has at least, but for the last chunk. */
const CHUNK_BYTES = 1 << 18;
/** About as many bytes as the comment lines of a family take. */
const HEADER_BYTES_USUAL = 256;

/**
 * The text of all sources, in chunks that each end with a line. The last line of OpenMetrics is not part of it. The
 * sources' texts have no headers, and must not change until the last chunk was made.
 * @param isWanted Which families are part of the text. Default: all.
 * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another source; before the first
 * chunk. The message names both metrics.
 */
export function* fleetChunks(
  sources: readonly SourceText[],
  isOpenMetrics: boolean,
  isWanted: (family: Family) => boolean = () => true,
): Generator<Uint8Array> {
  const { families, placeOf } = unionOf(sources);
  const most = sources.reduce((sum, { bytes }) => sum + bytes.length, families.length * HEADER_BYTES_USUAL);
  let chunk = Buffer.allocUnsafe(Math.min(most, 2 * CHUNK_BYTES));
  let length = 0;
  const roomFor = (bytes: number) => {
    if (length + bytes <= chunk.length) return;
    const longer = Buffer.allocUnsafe(2 * (length + bytes));
    chunk.copy(longer, 0, 0, length);
    chunk = longer;
  };
  for (const [number, family] of families.entries()) {
    if (!isWanted(family)) continue;
    let hasHeader = false;
    for (let i = 0; i < sources.length; i++) {
      const place = placeOf === undefined ? number : placeOf[i]![number]!;
      if (place < 0) continue;
      const source = sources[i]!;
      const begin = source.begin(place);
      const end = source.end(place);
      if (begin === end) continue;
      if (!hasHeader) {
        hasHeader = true;
        const header = headerBytes(family, isOpenMetrics);
        roomFor(header.length);
        chunk.set(header, length);
        length += header.length;
      }
      roomFor(end - begin);
      source.copy(begin, end, chunk, length);
      length += end - begin;
      if (length < CHUNK_BYTES) continue;
      yield chunk.subarray(0, length);
      chunk = Buffer.allocUnsafe(2 * CHUNK_BYTES);
      length = 0;
    }
  }
  if (length > 0) yield chunk.subarray(0, length);
}

/** The headers of families as bytes. Rendering them takes longer than copying the samples of a source. */
const headers = new WeakMap<Family, { text?: Uint8Array; openmetrics?: Uint8Array }>();

function headerBytes(family: Family, isOpenMetrics: boolean): Uint8Array {
  let both = headers.get(family);
  if (both === undefined) headers.set(family, (both = {}));
  return (both[isOpenMetrics ? 'openmetrics' : 'text'] ??= Buffer.from(headerOf(family, isOpenMetrics)));
}

interface FamiliesTogether {
  readonly families: readonly Family[];
  readonly placeOf?: readonly Int32Array[];
}

/**
 * The families of all sources, and for each source the place of each of them among its own families, or -1. Without
 * `placeOf`, all sources have these families.
 */
export function unionOf(sources: readonly { readonly families: readonly Family[] }[]): FamiliesTogether {
  const schemas = new Set(sources.map(({ families }) => families));
  if (schemas.size <= 1) return { families: [...schemas][0] ?? [] };
  const union = new FamilyUnion();
  const indices = [...schemas].map((families) => [families, union.indicesOf(families)] as const);
  const places = new Map(indices.map(([families, of]) => [families, inverse(of, union.families.length)]));
  return { families: union.families, placeOf: sources.map(({ families }) => places.get(families)!) };
}

function inverse(indices: Int32Array, length: number): Int32Array {
  const places = new Int32Array(length).fill(-1);
  indices.forEach((index, place) => {
    places[index] = place;
  });
  return places;
}
