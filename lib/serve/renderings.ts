// Answers that several clients share, in bounded memory. Clients that ask for the same thing within a fifth of a second
// get the same bytes. A client that reads slowly keeps its answer in memory; if too many answers are kept that way, the
// clients with the oldest answer are cut off.

import { createGzip } from 'node:zlib';

/** How long an answer is given to further clients. */
export const SHARED_MS = 200;
/** How many bytes all answers together may have. A single answer may be larger. */
const BYTES_MAX = 96 * 2 ** 20;
/** How long a new answer waits for room before the oldest one has to go. */
const PATIENCE_MS = 1000;
/** How old an answer may be that is given to further clients while there is no room for a new one. */
const CROWDED_MS = 10_000;

export interface Lease {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** How long ago the answer was made. */
  readonly ageMs: number;
  /** The same, compressed. All clients share the work. */
  gzipped(): Promise<readonly Uint8Array[]>;
  /** Says that the client has its answer, or does not want it any more. A second call does nothing. */
  release(): void;
}

export interface RenderingsOptions {
  /** Takes back the chunks of an answer that nobody reads any more. Default: the garbage collector does. */
  readonly giveBack?: (chunks: readonly Uint8Array[]) => void;
  readonly bytesMax?: number;
  readonly patienceMs?: number;
  readonly crowdedMs?: number;
}

export class Renderings {
  readonly #bytesMax: number;
  readonly #patienceMs: number;
  readonly #crowdedMs: number;
  readonly #giveBack: (chunks: readonly Uint8Array[]) => void;
  /** The oldest one first. */
  readonly #all = new Set<Rendering>();
  /** How long each kind of answer was the last time. */
  readonly #expected = new Map<string, number>();
  /** Resolves when there may be room. */
  #room: Promise<void> | undefined;
  #giveRoom: () => void = () => {};

  constructor({ bytesMax = BYTES_MAX, patienceMs = PATIENCE_MS, crowdedMs = CROWDED_MS, giveBack = () => {} }: RenderingsOptions = {}) {
    this.#giveBack = giveBack;
    this.#bytesMax = bytesMax;
    this.#patienceMs = patienceMs;
    this.#crowdedMs = crowdedMs;
  }

  /**
   * The answer of a key: one that is young enough, or a new one from `make`.
   * @param cut Is called if the answer has to go before release(): the caller then cuts its client off.
   */
  async lease(key: string, make: () => Iterable<Uint8Array>, cut: () => void): Promise<Lease> {
    for (;;) {
      const shared = [...this.#all].find((one) => one.key === key && performance.now() - one.madeAtMs <= SHARED_MS);
      if (shared !== undefined) return this.#leaseOf(shared, cut);
      this.#drop();
      const bytes = [...this.#all].reduce((sum, one) => sum + one.bytes, 0);
      if (this.#all.size === 0 || bytes + (this.#expected.get(key) ?? 0) <= this.#bytesMax) break;
      const recent = [...this.#all].findLast((one) => one.key === key && performance.now() - one.madeAtMs <= this.#crowdedMs);
      if (recent !== undefined) return this.#leaseOf(recent, cut);
      await this.#roomSoon();
    }
    const rendering = new Rendering(key, [...make()]);
    if (!this.#expected.has(key) && this.#expected.size > 1000) this.#expected.clear();
    this.#expected.set(key, rendering.bytes);
    this.#all.add(rendering);
    setTimeout(() => this.#drop(), SHARED_MS + 1).unref();
    return this.#leaseOf(rendering, cut);
  }

  #leaseOf(rendering: Rendering, cut: () => void): Lease {
    rendering.cuts.add(cut);
    const release = () => {
      if (rendering.cuts.delete(cut)) this.#drop();
    };
    const ageMs = performance.now() - rendering.madeAtMs;
    return { chunks: rendering.chunks, bytes: rendering.bytes, ageMs, gzipped: () => rendering.gzipped(), release };
  }

  /** Forgets the answers that nobody reads and that are too old to share. */
  #drop(): void {
    const before = this.#all.size;
    for (const one of this.#all) {
      if (one.cuts.size > 0 || performance.now() - one.madeAtMs <= SHARED_MS) continue;
      this.#all.delete(one);
      this.#giveBack(one.chunks);
    }
    if (this.#all.size < before) this.#giveRoom();
  }

  /** Resolves when an answer has gone, or else makes the oldest one go. */
  #roomSoon(): Promise<void> {
    this.#room ??= new Promise((resolve) => {
      const timer = setTimeout(() => this.#cutOldest(), this.#patienceMs);
      this.#giveRoom = () => {
        clearTimeout(timer);
        this.#room = undefined;
        this.#giveRoom = () => {};
        resolve();
      };
    });
    return this.#room;
  }

  #cutOldest(): void {
    const [oldest] = this.#all;
    if (oldest !== undefined) {
      this.#all.delete(oldest);
      for (const cut of oldest.cuts) cut();
      oldest.cuts.clear();
    }
    this.#giveRoom();
  }
}

class Rendering {
  readonly key: string;
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  readonly madeAtMs = performance.now();
  /** One for each client that reads it. */
  readonly cuts = new Set<() => void>();
  #gzipped: Promise<readonly Uint8Array[]> | undefined;

  constructor(key: string, chunks: readonly Uint8Array[]) {
    this.key = key;
    this.chunks = chunks;
    this.bytes = bytesOf(chunks);
  }

  gzipped(): Promise<readonly Uint8Array[]> {
    this.#gzipped ??= gzipped(this.chunks);
    return this.#gzipped;
  }
}

export function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

/** Compresses on threads of Node, a chunk at a time. Level 1: more would take more time than it saves on a network. */
export async function gzipped(chunks: Iterable<Uint8Array>): Promise<Uint8Array[]> {
  const gzip = createGzip({ level: 1 });
  const out: Uint8Array[] = [];
  const done = new Promise<void>((resolve, reject) =>
    gzip
      .on('data', (part: Buffer) => out.push(part))
      .on('end', resolve)
      .on('error', reject),
  );
  for (const chunk of chunks) {
    if (!gzip.write(chunk)) await new Promise((resolve) => gzip.once('drain', resolve));
  }
  gzip.end();
  await done;
  return out;
}
