// What native code does for expositions, as TypeScript sees it.

/** The families of a schema; `MetricFamilies` in native/exposition/families.h. */
export interface ExpositionFamiliesSpec {
  readonly text: Uint8Array;
  /** Six numbers a part; `FamilyPart`. */
  readonly parts: Uint32Array;
  /** Four numbers a family; `MetricFamily`. */
  readonly families: Uint32Array;
  /** The plain groups, then each group of devices; `OwnerCells`. */
  readonly owners: readonly {
    readonly cells: number;
    /** A `Combine` for each cell; empty for the plain groups. */
    readonly combine: Uint8Array;
    readonly minima: Uint32Array;
    /** The first bucket and the number of buckets of each histogram, in turn. */
    readonly buckets: Uint32Array;
  }[];
}

/** `Combine` in native/exposition/families.h. */
export const Combine = { none: 0, sum: 1, max: 2, all: 3, lowest: 4 } as const;

/** One source; `SourceSpec` in native/exposition/source.h. */
export interface ExpositionSourceSpec {
  readonly labels: Uint8Array;
  readonly plainLabelBytes: number;
  /** Four numbers a device; `SourceDevice`. */
  readonly devices: Uint32Array;
  readonly cells: number;
}

/** Which samples of which sources a text has; `ExpositionTextSpec` in native/exposition/text.h. */
export interface ExpositionTextSpec {
  readonly sources: readonly ExpositionSourceHandle[];
  /** For each source, the values of a reading, as many as its cells. They are copied. */
  readonly totals: readonly BigUint64Array[];
  readonly rows: Uint32Array;
  readonly places: Int32Array;
  readonly headers: Uint8Array;
  readonly headerEnds: Uint32Array;
}

declare const families: unique symbol;
export interface ExpositionFamiliesHandle {
  readonly [families]: true;
}
declare const source: unique symbol;
export interface ExpositionSourceHandle {
  readonly [source]: true;
}
declare const text: unique symbol;
export interface ExpositionTextHandle {
  readonly [text]: true;
}

declare const reading: unique symbol;
export interface ExpositionReadingHandle {
  readonly [reading]: true;
}

export interface NativeExposition {
  /** These three return undefined if the spec is not consistent. */
  expositionFamilies(spec: ExpositionFamiliesSpec): ExpositionFamiliesHandle | undefined;
  expositionSource(families: ExpositionFamiliesHandle, spec: ExpositionSourceSpec): ExpositionSourceHandle | undefined;
  expositionText(spec: ExpositionTextSpec): ExpositionTextHandle | undefined;
  /** How much memory the text takes. */
  expositionTextBytes(text: ExpositionTextHandle): number;
  /** Begins to read the text; undefined after releaseExposition(). */
  readExposition(text: ExpositionTextHandle): ExpositionReadingHandle | undefined;
  /** Frees the memory of the text. Its readings end. */
  releaseExposition(text: ExpositionTextHandle): void;
  /**
   * Writes the next lines, as many as there is room for. `result` gets the number of bytes that were written, and how
   * many the next line needs at most; 0 if no line is left.
   */
  writeExposition(reading: ExpositionReadingHandle, out: Uint8Array, result: Uint32Array): void;
}
