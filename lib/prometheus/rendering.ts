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
   * Shows the values of a reading.
   * @throws MetricsError `ERR_METRICS_SCHEMA` if two metrics would have the same name.
   */
  update(sampled: Sampled): void;
}

/** How long a chunk is, about. */
export const CHUNK_BYTES = 1 << 18;

export interface ChunkOptions {
  readonly isOpenMetrics: boolean;
  /** Which families are part of the text. Left out: all. */
  readonly isWanted?: ((family: Family) => boolean) | undefined;
  /** Gives the memory of a chunk, which has at least that many bytes. Default: new memory. */
  readonly memory?: ((bytes: number) => Uint8Array) | undefined;
}

export interface Renderer {
  samplesOf(options: SamplesOptions): SourceSamples;
  /**
   * The samples of several sources as one text, in chunks that each end with a line. The last line of OpenMetrics is
   * not part of it. The samples are those of this renderer, and must not be updated until the last chunk was made.
   * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another source; before the first
   * chunk. The message names both metrics.
   */
  chunks(sources: readonly SourceSamples[], options: ChunkOptions): Iterable<Uint8Array>;
}
