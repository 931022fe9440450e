// A sink that a test changes while lines are in flight, and reads in parts.

import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';

import { flagsOf, makeFifo, Reader } from './sinks.ts';

/**
 * `link`: a path that is a symlink, pointed elsewhere now and then. `descriptor`: the descriptor of a pipe, which
 * blocks or not as its caller has set it.
 */
export type SinkKind = 'file' | 'fifo' | 'link' | 'descriptor';

/** The changes of a sink. A change that does not fit a sink does nothing. */
export const CHANGES = ['fill', 'leave', 'rotate', 'remove', 'truncate', 'folder', 'leftover', 'point'] as const;
export type Change = (typeof CHANGES)[number];

const PAGE = 4096;

/** A file or pipe that lines are read from. */
class Place {
  readonly path: string;
  readonly kind: 'file' | 'fifo' | 'full';
  /** Whether it contains half a line, whose rest never comes because the sink changed. */
  isTorn = false;
  /** How many bytes were read from it. */
  received = 0;
  #reader: Reader | undefined;
  #unread = Buffer.alloc(0);
  /** How many bytes before the lines are the test's own. */
  #filler = 0;
  #leftover = '';
  #rotations = 0;

  constructor(path: string, kind: Place['kind']) {
    this.path = path;
    this.kind = kind;
    if (kind === 'fifo') {
      makeFifo(path);
      this.#reader = new Reader(path);
    }
  }

  get isFile(): boolean {
    return this.kind === 'file' && existsSync(this.path) && statSync(this.path).isFile();
  }

  /** Reads more, and returns the complete lines. */
  read(limit?: number): string[] {
    if (this.kind === 'full' || (this.kind === 'file' && !this.isFile)) return [];
    this.#reader ??= new Reader(this.path);
    let bytes = this.#reader.read(limit);
    this.received += bytes.length;
    const filler = Math.min(this.#filler, bytes.length);
    this.#filler -= filler;
    bytes = bytes.subarray(filler);
    this.#unread = Buffer.concat([this.#unread, bytes]);
    const end = this.#unread.lastIndexOf('\n') + 1;
    const lines = this.#unread.subarray(0, end).toString().split('\n').slice(0, -1);
    this.#unread = this.#unread.subarray(end);
    if (this.#leftover !== '' && lines.length > 0) {
      if (lines.shift() !== this.#leftover) throw new Error('what stood in the file before was not ended by a newline');
      this.#leftover = '';
    }
    return lines;
  }

  /** The sink changes to another place. If half a line is left here, the sink never comes back. */
  abandon(): void {
    if (this.#unread.length > 0 && this.#leftover === '') this.isTorn = true;
  }

  /** After a read(). */
  change(change: Change, amount: number): void {
    if (this.kind === 'fifo') {
      if (change === 'fill') this.#fill(amount);
      // The next read opens it again.
      if (change === 'leave') this.#forget();
      if (change === 'rotate') {
        const next = makeFifo(`${this.path}.next`);
        this.#startAnew();
        renameSync(next, this.path);
        this.#reader = new Reader(this.path);
      }
      return;
    }
    if (this.kind !== 'file') return;
    if (existsSync(this.path) && !this.isFile) rmdirSync(this.path);
    if (change === 'truncate' && this.isFile) {
      truncateSync(this.path);
      this.#startAnew();
    }
    if (change === 'rotate' || change === 'remove' || change === 'folder' || change === 'leftover') {
      if (this.isFile && change === 'rotate') renameSync(this.path, `${this.path}.${this.#rotations++}`);
      rmSync(this.path, { force: true });
      this.#startAnew();
    }
    if (change === 'folder') mkdirSync(this.path);
    if (change === 'leftover') {
      this.#leftover = 'half a li';
      writeFileSync(this.path, this.#leftover);
    }
  }

  repair(): void {
    if (this.kind === 'file' && existsSync(this.path) && !this.isFile) rmdirSync(this.path);
    this.#reader ??= this.kind === 'fifo' ? new Reader(this.path) : undefined;
  }

  close(): void {
    this.#forget();
  }

  /** Fills a pipe, and then makes room for `room % 5` pages. Does nothing while half a line is in the pipe. */
  #fill(room: number): void {
    if (this.#unread.length > 0) return;
    const fd = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#reader ??= new Reader(this.path);
    try {
      for (;;) this.#filler += writeSync(fd, Buffer.alloc(PAGE, '~'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    } finally {
      closeSync(fd);
    }
    this.read((room % 5) * PAGE);
  }

  #startAnew(): void {
    this.#forget();
    this.#unread = Buffer.alloc(0);
    this.#filler = 0;
    this.#leftover = '';
  }

  #forget(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }
}

export class FlakySink {
  /** The argument of init(). */
  readonly destination: string | number;
  readonly #places: Place[];
  readonly #link: string | undefined;
  readonly #descriptor: { readonly fd: number; readonly flags: number } | undefined;
  #at: Place;

  constructor(folder: string, kind: SinkKind) {
    this.#places =
      kind === 'link'
        ? [
            new Place(`${folder}/file`, 'file'),
            new Place(`${folder}/fifo`, 'fifo'),
            new Place('/dev/full', 'full'),
            new Place(`${folder}/other`, 'file'),
          ]
        : [new Place(`${folder}/sink`, kind === 'file' ? 'file' : 'fifo')];
    this.#at = this.#places[0]!;
    this.destination = this.#at.path;
    if (kind === 'link') {
      this.#link = `${folder}/link`;
      symlinkSync(this.#at.path, this.#link);
      this.destination = this.#link;
    }
    if (kind === 'descriptor') {
      const fd = openSync(this.#at.path, constants.O_WRONLY);
      this.#descriptor = { fd, flags: flagsOf(fd) };
      this.destination = fd;
    }
  }

  /** How many bytes were read from it, whole lines or not. */
  get received(): number {
    return this.#places.reduce((sum, { received }) => sum + received, 0);
  }

  /** The lines that are complete after another `limit` bytes, in order. */
  read(limit?: number): string[] {
    return this.#at.read(limit);
  }

  /** The lines that were written before the change. */
  change(change: Change, amount: number): string[] {
    const lines = this.read();
    if (change === 'point') this.#point(this.#places[amount % this.#places.length]!);
    else if (change !== 'rotate' || this.#descriptor === undefined) this.#at.change(change, amount);
    return lines;
  }

  /** Repairs the sink: the next line is written once there is room. Returns the lines that were written before. */
  repair(): string[] {
    const lines = this.read();
    if (this.#at.kind === 'full') this.#point(this.#places[0]!);
    this.#at.repair();
    return lines;
  }

  /** Throws if the flags of the caller's descriptor changed. */
  close(): void {
    for (const place of this.#places) place.close();
    if (this.#descriptor === undefined) return;
    const { fd, flags } = this.#descriptor;
    const now = flagsOf(fd);
    closeSync(fd);
    if (now !== flags) throw new Error(`the descriptor's flags were ${flags} and are ${now}`);
  }

  #point(place: Place): void {
    if (this.#link === undefined || place === this.#at || place.isTorn) return;
    this.#at.abandon();
    this.#at = place;
    symlinkSync(place.path, `${this.#link}.next`);
    renameSync(`${this.#link}.next`, this.#link);
  }
}
