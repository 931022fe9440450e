// The samples of many sources as one text: family by family over all sources, since a reader of the text refuses a
// family that begins twice.

import { type Family, FamilyUnion, headerOf } from './families.ts';
import { EOF, type SourceText } from './source-text.ts';

/** How many bytes a chunk has at least, but for the last chunk. */
const CHUNK_BYTES = 1 << 18;

/**
 * The text of all sources, in chunks that each end with a line. The sources' texts have no headers, and must not change
 * until the last chunk was made.
 * @param isWanted Which families are part of the text. Default: all.
 * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another source; before the first
 * chunk. The message names both metrics.
 */
export function* fleetChunks(
  sources: readonly SourceText[],
  isOpenMetrics: boolean,
  isWanted: (family: Family) => boolean = () => true,
): Generator<Uint8Array> {
  const union = new FamilyUnion();
  /** For each schema, the index of each family of the union; -1 for a family that the schema lacks. */
  const own = new Map<readonly Family[], Int32Array>();
  for (const { families } of sources) if (!own.has(families)) own.set(families, union.indicesOf(families));
  const places = new Map([...own].map(([families, indices]) => [families, inverse(indices, union.families.length)]));
  const placeOf = sources.map(({ families }) => places.get(families)!);

  let chunk = Buffer.allocUnsafe(2 * CHUNK_BYTES);
  let length = 0;
  const roomFor = (bytes: number) => {
    if (length + bytes <= chunk.length) return;
    const longer = Buffer.allocUnsafe(2 * (length + bytes));
    chunk.copy(longer, 0, 0, length);
    chunk = longer;
  };
  for (const [number, family] of union.families.entries()) {
    if (!isWanted(family)) continue;
    let hasHeader = false;
    for (let i = 0; i < sources.length; i++) {
      const place = placeOf[i]![number]!;
      if (place < 0) continue;
      const source = sources[i]!;
      const begin = source.begin(place);
      const end = source.end(place);
      if (begin === end) continue;
      if (!hasHeader) {
        hasHeader = true;
        const header = headerOf(family, isOpenMetrics);
        roomFor(3 * header.length);
        length += chunk.write(header, length);
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
  if (isOpenMetrics) {
    roomFor(EOF.length);
    length += EOF.copy(chunk, length);
  }
  if (length > 0) yield chunk.subarray(0, length);
}

function inverse(indices: Int32Array, length: number): Int32Array {
  const places = new Int32Array(length).fill(-1);
  indices.forEach((index, place) => {
    places[index] = place;
  });
  return places;
}
