// Answers that several clients share, in bounded memory. Clients that ask for the same thing within a fifth of a second
// get the same answer. A client that reads alone gets bytes that are made as the client reads them. For clients that
// read at the same time, the bytes are made once, and kept. A client that reads slowly keeps its answer in memory; if
// too many answers are kept that way, the clients with the oldest answer are cut off.

import { createGzip } from 'node:zlib';

import { type Answer, bytesOf, type Reading } from './answer.ts';

/** How long an answer is given to further clients. */
export const SHARED_MS = 200;
/** How many bytes all answers together may have. A single answer may be larger. */
const BYTES_MAX = 112 * 2 ** 20;
/** How long a new answer waits for room before the oldest one has to go. */
const PATIENCE_MS = 1000;
/** How old an answer may be that is given to further clients while there is no room for a new one. */
const CROWDED_MS = 10_000;

export interface Lease {
  /** Reads the answer from its beginning. */
  read(): Reading;
  /** How long ago the answer was made. */
  readonly ageMs: number;
  /** The same, compressed. All clients share the work. */
  gzipped(): Promise<readonly Uint8Array[]>;
  /** Says that the client has its answer, or does not want it any more. A second call does nothing. */
  release(): void;
}

export interface RenderingsOptions {
  readonly bytesMax?: number;
  readonly patienceMs?: number;
  readonly crowdedMs?: number;
}

export class Renderings {
  readonly #bytesMax: number;
  readonly #patienceMs: number;
  readonly #crowdedMs: number;
  /** The oldest one first. */
  readonly #all = new Set<Rendering>();
  /** What each kind of answer was like the last time. */
  readonly #expected = new Map<string, Expected>();
  /** Resolves when there may be room. */
  #room: Promise<void> | undefined;
  #giveRoom: () => void = () => {};

  constructor({ bytesMax = BYTES_MAX, patienceMs = PATIENCE_MS, crowdedMs = CROWDED_MS }: RenderingsOptions = {}) {
    this.#bytesMax = bytesMax;
    this.#patienceMs = patienceMs;
    this.#crowdedMs = crowdedMs;
  }

  /**
   * The answer of a key: one that is young enough, or a new one from `make`.
   * @param cut Is called if the answer has to go before release(): the caller then cuts its client off.
   */
  async lease(key: string, make: () => Answer, cut: () => void): Promise<Lease> {
    for (;;) {
      const shared = [...this.#all].find((one) => one.key === key && performance.now() - one.madeAtMs <= SHARED_MS);
      if (shared !== undefined) return this.#leaseOf(shared, cut);
      this.#drop();
      if (this.#all.size === 0 || this.#hasRoom(this.#expectedOf(key).most)) break;
      const recent = [...this.#all].findLast((one) => one.key === key && performance.now() - one.madeAtMs <= this.#crowdedMs);
      if (recent !== undefined) return this.#leaseOf(recent, cut);
      await this.#roomSoon();
    }
    const rendering = new Rendering(key, make(), this.#expectedOf(key));
    this.#all.add(rendering);
    setTimeout(() => this.#drop(), SHARED_MS + 1).unref();
    return this.#leaseOf(rendering, cut);
  }

  #hasRoom(bytes: number): boolean {
    return [...this.#all].reduce((sum, one) => sum + one.bytes, bytes) <= this.#bytesMax;
  }

  #expectedOf(key: string): Expected {
    let expected = this.#expected.get(key);
    if (expected === undefined) {
      if (this.#expected.size > 1000) this.#expected.clear();
      this.#expected.set(key, (expected = { most: 0, length: 0 }));
    }
    return expected;
  }

  #leaseOf(rendering: Rendering, cut: () => void): Lease {
    const hasOthers = rendering.cuts.size > 0;
    rendering.cuts.add(cut);
    const release = () => {
      if (rendering.cuts.delete(cut)) this.#drop();
    };
    // Without room for its bytes, they are made again for each client.
    const read = () => (hasOthers && this.#hasRoom(rendering.sharingBytes()) ? rendering.shared() : rendering.alone());
    return { read, ageMs: performance.now() - rendering.madeAtMs, gzipped: () => rendering.gzipped(), release };
  }

  /** Forgets the answers that nobody reads and that are too old to share. */
  #drop(): void {
    const before = this.#all.size;
    for (const one of this.#all) {
      if (one.cuts.size > 0 || performance.now() - one.madeAtMs <= SHARED_MS) continue;
      this.#all.delete(one);
      one.release();
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
      oldest.release();
    }
    this.#giveRoom();
  }
}

/** What the next answer of a kind is expected to be like. */
interface Expected {
  /** How much memory it takes if clients share its bytes. */
  most: number;
  /** How many bytes a client reads. */
  length: number;
}

class Rendering {
  readonly key: string;
  readonly madeAtMs = performance.now();
  /** One for each client that reads it. */
  readonly cuts = new Set<() => void>();
  readonly expected: Expected;
  readonly #answer: Answer;
  /** The bytes that clients share, as far as they were made. */
  #shared:
    | { readonly next: () => IteratorResult<Uint8Array>; readonly giveBack: Reading['giveBack']; readonly made: Uint8Array[] }
    | undefined;
  #gzipped: Promise<readonly Uint8Array[]> | undefined;

  constructor(key: string, answer: Answer, expected: Expected) {
    this.key = key;
    this.#answer = answer;
    this.expected = expected;
    expected.most = this.#most;
  }

  get #most(): number {
    return this.#answer.bytes + (this.#answer.kept === undefined ? this.expected.length : 0);
  }

  /** How much memory it takes, or will take when its clients have read it. */
  get bytes(): number {
    if (this.#shared === undefined) return this.#answer.bytes;
    return this.#answer.bytes + Math.max(this.expected.length, bytesOf(this.#shared.made));
  }

  /** How much more memory it takes if clients share its bytes. */
  sharingBytes(): number {
    if (this.#shared !== undefined || this.#answer.kept !== undefined) return 0;
    if (this.expected.length === 0) {
      // Nobody has read an answer of this kind to its end yet.
      const { chunks, giveBack } = this.alone();
      for (const chunk of chunks) giveBack(chunk);
    }
    return this.expected.length;
  }

  /** A reading for one client. */
  alone(): Reading {
    const { chunks, giveBack } = this.#answer.read();
    return { chunks: this.#counted(chunks), giveBack };
  }

  /** A reading that shares its bytes with others. */
  shared(): Reading {
    if (this.#answer.kept !== undefined) return this.#answer.read();
    if (this.#shared === undefined) {
      const { chunks, giveBack } = this.alone();
      this.#shared = { next: nextOf(chunks), giveBack, made: [] };
    }
    return { chunks: readTogether(this.#shared.next, this.#shared.made), giveBack: () => {} };
  }

  gzipped(): Promise<readonly Uint8Array[]> {
    this.#gzipped ??= gzipped(this.alone());
    return this.#gzipped;
  }

  release(): void {
    this.#answer.release();
    for (const chunk of this.#shared?.made ?? []) this.#shared!.giveBack(chunk);
  }

  *#counted(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
    let length = 0;
    for (const chunk of chunks) {
      length += chunk.length;
      yield chunk;
    }
    this.expected.length = length;
    this.expected.most = this.#most;
  }
}

/**
 * Makes the next chunk. After an error, every call throws that error: a generator would say that it is done, and the
 * next client would take the beginning of the answer for all of it.
 */
function nextOf(chunks: Iterable<Uint8Array>): () => IteratorResult<Uint8Array> {
  const iterator = chunks[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  return () => {
    if (failure !== undefined) throw failure.error;
    try {
      return iterator.next();
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
}

/** The chunks that were made, and then those that this reading is the first to need. */
function* readTogether(next: () => IteratorResult<Uint8Array>, made: Uint8Array[]): Generator<Uint8Array> {
  for (let i = 0; ; i++) {
    if (i === made.length) {
      const { done, value } = next();
      if (done) return;
      made.push(value);
    }
    yield made[i]!;
  }
}

/** Compresses on threads of Node, a chunk at a time. Level 1: more would take more time than it saves on a network. */
export async function gzipped({ chunks, giveBack }: Reading): Promise<Uint8Array[]> {
  const gzip = createGzip({ level: 1 });
  const out: Uint8Array[] = [];
  const done = new Promise<void>((resolve, reject) =>
    gzip
      .on('data', (part: Buffer) => out.push(part))
      .on('end', resolve)
      .on('error', reject),
  );
  for (const chunk of chunks) {
    if (!gzip.write(chunk, () => giveBack(chunk))) await new Promise((resolve) => gzip.once('drain', resolve));
  }
  gzip.end();
  await done;
  return out;
}
