// What native code does for readers of region files, as TypeScript sees it.

/** What a reader knows of a region file; `KnownRegionSpec` in native/region/known_region.h. */
export interface KnownRegionSpec {
  readonly descriptor: number;
  readonly path: string;
  readonly isDescriptorLink: boolean;
  readonly isHeld: boolean;
  readonly header: Uint8Array;
  readonly directory: Uint8Array;
  readonly kinds: Uint8Array;
  readonly slots: Uint32Array;
  readonly granuleBytes: number;
  readonly chunksOffset: number;
  readonly shardsUsed: number;
  /** Where the results go: the header, the values at the last flush, and the values now, one after the other. */
  readonly results: ArrayBuffer;
}

declare const knownRegion: unique symbol;
export interface KnownRegionHandle {
  readonly [knownRegion]: true;
}

/** `SampledFile` in native/profile/file_sampler.h. */
export interface SampledFile {
  readonly descriptor: number;
  readonly granuleBytes: number;
  readonly chunksOffset: number;
  readonly retiredEpoch: bigint;
  /** The chunks that have columns. */
  readonly chunks: Uint32Array;
  readonly columns: readonly {
    readonly kind: number;
    /** An index of `chunks`. */
    readonly chunk: number;
    /** Where the cell is in a row, in bytes. */
    readonly at: number;
    /** The value for ever, if the device is gone. */
    readonly gone: bigint | undefined;
  }[];
}

/** `FileSampler::Stop` in native/profile/file_sampler.h. */
export const FileSamplerStop = { paused: 0, full: 1, changed: 2, over: 3 } as const;

/** `FileSampler` in native/profile/file_sampler.h. Moments are nanoseconds on the clock of process.hrtime(). */
export interface NativeFileSampler {
  /** The files to sample from now on. Their descriptors stay open. Throws if a column is outside of its file. */
  setFiles(files: readonly SampledFile[]): void;
  /** Samples until `pauseNs` or until something else stops it. Writes rows to `text`, and returns how many bytes. */
  run(pauseNs: number, text: Uint8Array): { readonly stop: number; readonly bytes: number };
  /** Copies the values of the last sample. False: none was taken since setFiles(). */
  last(values: BigUint64Array): boolean;
  /** Counts a sample of the tick that is due, which JavaScript has taken at that moment. */
  note(nowNs: number): void;
  figures(): {
    readonly samples: number;
    readonly missedTicks: number;
    readonly lateNsMedian: number;
    readonly lateNsP99: number;
    readonly lateNsMax: number;
  };
}

/** `KnownRegion::Result` in native/region/known_region.h. */
export const KnownResult = { changed: 0, same: 1, flushed: 2 } as const;
