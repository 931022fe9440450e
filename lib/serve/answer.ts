// An answer with metrics, which several clients may read. If native code renders it, only its values are kept, and its
// bytes are made each time that the answer is read.

import type { ChunkMemory } from './chunk-memory.ts';

/** What a reader reads, chunk by chunk. */
export interface Reading {
  readonly chunks: Iterable<Uint8Array>;
  /** Says that the reader is done with a chunk. */
  readonly giveBack: (chunk: Uint8Array) => void;
}

export interface Answer {
  /** How much memory it keeps until release(). */
  readonly bytes: number;
  /** Its chunks, if they are kept: all readings share them. */
  readonly kept: readonly Uint8Array[] | undefined;
  /** Begins to read it. Several readings may take turns. */
  read(): Reading;
  /** Frees its memory. All readings end, even in the middle. */
  release(): void;
}

const keepsAll = () => {};

/** An answer whose bytes are there already. */
export function wholeAnswer(kept: readonly Uint8Array[]): Answer {
  return { bytes: bytesOf(kept), kept, read: () => ({ chunks: kept, giveBack: keepsAll }), release: keepsAll };
}

export interface StreamedText {
  readonly bytes: number;
  /** The chunks of one reading. */
  chunks(): Iterable<Uint8Array>;
  release(): void;
}

/** An answer whose bytes are made while it is read, in this memory. */
export function streamedAnswer({ bytes, chunks, release }: StreamedText, memory: ChunkMemory): Answer {
  return { bytes, kept: undefined, read: () => ({ chunks: chunks(), giveBack: (chunk) => memory.giveBack([chunk]) }), release };
}

export function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}
