// An open region file: its owner is checked, and bytes behind its end read as 0.
//
// All calls are synchronous, because Metrics.open() and init() read the region of an earlier life before they return.

import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statfsSync, statSync, writeSync } from 'node:fs';

import { shown } from '../arguments.ts';
import { binding } from '../binding.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { type Failure, failureError, isFailure } from '../failures.ts';
import { HeaderOffset, MAGIC } from './format.ts';

/** Flags of every open(): it does not wait for the other end of a pipe, and no terminal becomes the controlling one. */
const SAFELY = constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * How long to wait for a lock. A process that only checks whether the writer lives holds the lock for a moment; a
 * process that holds it longer is the writer, or is writing the last line.
 */
export const LOCK_PATIENCE_MS = 500;

/** `f_type` of /proc. */
const PROC_MAGIC = 0x9fa0;
/** A descriptor of a process in /proc: a link to the open file itself, whatever its name is now. */
const DESCRIPTOR_PATH = /^\/proc\/(?:\d+|self|thread-self)\/fd\/\d+$/;

/**
 * What a path names, by the first bytes of the file; links are followed. `other`: no region, or nothing at all.
 * `unreadable`: nobody can tell, for instance because this user may not read the file.
 */
export function fileKind(path: string): 'region' | 'other' | 'unreadable' {
  let fd: number | undefined;
  try {
    // stat() first: opening a device can have effects.
    if (!statSync(path).isFile()) return 'other';
    fd = openSync(path, constants.O_RDONLY | SAFELY);
    const magic = Buffer.alloc(8);
    const count = readSync(fd, magic, 0, 8, HeaderOffset.magic);
    return count === 8 && magic.readBigUInt64LE() === MAGIC ? 'region' : 'other';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'other' : 'unreadable';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Whose regions are read. `usual`: those of this user, and all if this process runs as root. `own`: those of this user,
 * also if that is root. `any`: all that this process can open.
 */
export type Owners = 'usual' | 'own' | 'any';

export class RegionFile {
  readonly path: string;
  /** The same for all names of this file. */
  readonly identity: string;
  readonly #fd: number;
  readonly #device: number;
  readonly #inode: number;
  readonly #owners: Owners;
  #isOpen = true;

  private constructor(path: string, fd: number, { dev, ino }: Stats, owners: Owners) {
    this.path = path;
    this.#owners = owners;
    this.identity = `${dev}:${ino}`;
    this.#fd = fd;
    this.#device = dev;
    this.#inode = ino;
  }

  /**
   * Opens the file to read it, or to read and write it.
   * @throws MetricsError `ERR_METRICS_REGION` if the path is a link or no regular file, if the file belongs to another
   * user whose regions are not read, and if the file cannot be opened.
   */
  static open(path: string, access: 'read' | 'write' = 'read', owners: Owners = 'usual'): RegionFile {
    const trouble = (text: string, cause?: unknown) => regionError(path, text, cause);
    let fd: number | undefined;
    try {
      // stat() first: opening a device can have effects.
      const before = infoOf(path);
      if (before.isSymbolicLink()) throw trouble('it is a symbolic link, and links are not followed');
      if (!before.isFile()) throw trouble('it is not a regular file');
      const noFollow = isDescriptorLink(path) ? 0 : constants.O_NOFOLLOW;
      fd = openSync(path, (access === 'read' ? constants.O_RDONLY : constants.O_RDWR) | SAFELY | noFollow);
      const info = fstatSync(fd);
      if (!info.isFile()) throw trouble('it is not a regular file');
      if (!mayRead(info.uid, owners)) throw trouble(`it belongs to user ${info.uid}, but this process runs as user ${process.geteuid!()}`);
      return new RegionFile(path, fd, info, owners);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      if (error instanceof MetricsError) throw error;
      throw trouble((error as Error).message, error);
    }
  }

  /** Whether the path is a link to a descriptor, which is the only link that is followed. */
  get isDescriptorLink(): boolean {
    return isDescriptorLink(this.path);
  }

  /** The descriptor, for native code. Only close() may close it. */
  get descriptor(): number {
    return this.#fd;
  }

  /** Whether a process holds the lock: normally the writer, which is alive then. */
  isHeld(): boolean {
    return this.#answer(binding().isLocked(this.#fd));
  }

  /** Takes the lock until close(). False if another process holds it. */
  lock(): boolean {
    return this.#answer(binding().lock(this.#fd));
  }

  /** The size of the file now: it grows while its writer lives. */
  bytes(): number {
    return this.#doing(() => fstatSync(this.#fd)).size;
  }

  /**
   * The size of the file now; undefined if the path now names another file, no file, or a file that this process may
   * not read. open() then says what is wrong.
   */
  bytesIfNamed(): number | undefined {
    try {
      const { ino, dev, uid, size } = infoOf(this.path);
      const isSame = ino === this.#inode && dev === this.#device;
      return isSame && mayRead(uid, this.#owners) ? size : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Reads `bytes` bytes from `offset` into the beginning of `into`; by default, fills all of it. Bytes behind the end
   * of the file are 0. Returns how many bytes the file had there.
   */
  read(into: Uint8Array, offset: number, bytes = into.length): number {
    return this.readAt(into, 0, bytes, offset);
  }

  /** Like read(), but fills `bytes` bytes of `into`, beginning at `begin`. */
  readAt(into: Uint8Array, begin: number, bytes: number, offset: number): number {
    let filled = 0;
    try {
      while (filled < bytes) {
        const count = readSync(this.#fd, into, begin + filled, bytes - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
    } catch (cause) {
      throw this.trouble((cause as Error).message, cause);
    }
    if (filled < bytes) into.fill(0, begin + filled, begin + bytes);
    return filled;
  }

  /** Fills `into` from `offset`, and throws if the file ends too early. */
  readAll(into: Uint8Array, offset: number): void {
    if (this.read(into, offset) < into.length) throw this.trouble('it was cut short while it was read');
  }

  /** Writes all of `from` at `offset`. */
  write(from: Uint8Array, offset: number): void {
    for (let done = 0; done < from.length; ) {
      done += this.#doing(() => writeSync(this.#fd, from, done, from.length - done, offset + done));
    }
  }

  /** A second call does nothing. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }

  /** An error that names this file. */
  trouble(text: string, cause?: unknown): MetricsError {
    return regionError(this.path, text, cause);
  }

  #doing<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw this.trouble((cause as Error).message, cause);
    }
  }

  #answer(answer: boolean | Failure): boolean {
    if (!isFailure(answer)) return answer;
    throw failureError(answer, { what: `Region file ${shown(this.path)}: its lock cannot be queried`, error: ErrorCode.REGION });
  }
}

export function regionError(path: string, trouble: string, cause?: unknown): MetricsError {
  return new MetricsError(ErrorCode.REGION, `Region file ${shown(path)}: ${trouble}`, cause === undefined ? undefined : { cause });
}

/** Whether this process reads a file of that user. */
function mayRead(owner: number, owners: Owners): boolean {
  const user = process.geteuid!();
  return owner === user || owners === 'any' || (owners === 'usual' && user === 0);
}

/** What the path names. A link is not followed, unless it leads to a descriptor. */
function infoOf(path: string): Stats {
  return isDescriptorLink(path) ? statSync(path) : lstatSync(path);
}

/**
 * A memfd has no other path. The link leads to the open file itself, so nobody can have put another file in its place.
 */
function isDescriptorLink(path: string): boolean {
  return DESCRIPTOR_PATH.test(path) && statfsSync('/proc').type === PROC_MAGIC;
}
