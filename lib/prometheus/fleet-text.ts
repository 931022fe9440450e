// The samples of many sources as one text: family by family over all sources, since a reader of the text refuses a
// family that begins twice.

import { headerBytes } from './header-bytes.ts';
import { CHUNK_BYTES, type RenderedText, type Renderer, type SamplesOptions, type SourceSamples, type TextOptions } from './rendering.ts';
import { SourceText } from './source-text.ts';
import { unionOf } from './union.ts';

/** About as many bytes as the comment lines of a family take. */
const HEADER_BYTES_USUAL = 256;

/** The renderer without native code. */
export class JavaScriptRenderer implements Renderer {
  samplesOf(options: SamplesOptions): SourceSamples {
    return new SourceText({ ...options, isOpenMetrics: false, hasHeaders: false });
  }

  /** The text is made at once, and kept, because the next reading of a source changes its text. */
  textOf(sources: readonly SourceSamples[], options: TextOptions): RenderedText {
    let chunks: readonly Uint8Array[] = [...fleetChunks(sources as readonly SourceText[], options)];
    return {
      isKept: true,
      bytes: chunks.reduce((sum, { length }) => sum + length, 0),
      chunks: () => chunks,
      release: () => {
        chunks = [];
      },
    };
  }
}

function* fleetChunks(sources: readonly SourceText[], { isOpenMetrics, isWanted = () => true }: TextOptions): Generator<Uint8Array> {
  const { families, placeOf } = unionOf(sources);
  const most = sources.reduce((sum, { length }) => sum + length, families.length * HEADER_BYTES_USUAL);
  let chunk = Buffer.allocUnsafe(Math.min(most, 2 * CHUNK_BYTES));
  let length = 0;
  const roomFor = (bytes: number) => {
    if (length + bytes <= chunk.length) return;
    const longer = Buffer.allocUnsafe(2 * (length + bytes));
    longer.set(chunk.subarray(0, length));
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
