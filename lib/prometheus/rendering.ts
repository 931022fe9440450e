// How the samples of many sources become one text. There are two renderers, which give the same bytes: one in native
// code, and one in JavaScript for a process without the addon. A single source needs neither: of its SourceText, only
// the numbers that changed are written.

import type { Sampled } from '../sampled.ts';
import type { Family } from './families.ts';

export interface SamplesOptions {
  readonly prefix: string;
  /** The labels of every sample, as they stand between braces; may be empty. */
  readonly labels: string;
}

/** The samples of one source. */
export interface SourceSamples {
  /** The families, some of which may have no samples. */
  readonly families: readonly Family[];
  /**
   * Takes a reading. Its values must not change until the next text of the samples was made.
   * @throws MetricsError `ERR_METRICS_SCHEMA` if two metrics would have the same name.
   */
  update(sampled: Sampled): void;
}

/** How long a chunk is, about. */
export const CHUNK_BYTES = 1 << 18;

/** Gives the memory of a chunk, which has at least that many bytes. */
export type Memory = (bytes: number) => Uint8Array;

export interface TextOptions {
  readonly isOpenMetrics: boolean;
  /** Which families are part of the text. Left out: all. */
  readonly isWanted?: ((family: Family) => boolean) | undefined;
}

/** The samples of several sources at one moment, as one text that can be read many times. */
export interface RenderedText {
  /** How much memory it keeps until release(). */
  readonly bytes: number;
  /** Whether the chunks are kept until release(). If not, each reading makes chunks of its own. */
  readonly isKept: boolean;
  /**
   * Reads the text from its beginning, in chunks that each end with a line. The last line of OpenMetrics is not part of
   * it. Several readings may take turns.
   * @param memory Default: new memory.
   */
  chunks(memory?: Memory): Iterable<Uint8Array>;
  /** Frees its memory. All readings end, even in the middle of the text. */
  release(): void;
}

export interface Renderer {
  samplesOf(options: SamplesOptions): SourceSamples;
  /**
   * The samples of several sources, which must be samples of this renderer, with their last readings.
   * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another source. The message names
   * both metrics.
   */
  textOf(sources: readonly SourceSamples[], options: TextOptions): RenderedText;
}
