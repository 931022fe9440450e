// A region file that is open for reading: whose it is was checked, and what is not there reads as 0.

import { constants, readSync } from 'node:fs';
import { type FileHandle, lstat, open, stat, statfs } from 'node:fs/promises';

import { shown } from '../arguments.ts';
import { binding, type Failure, isFailure, systemError } from '../binding.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { HeaderOffset, MAGIC } from './format.ts';

/** What all readers give to open(): nothing waits for a pipe's other end, and no link leads elsewhere. */
const SAFELY = constants.O_NONBLOCK | constants.O_NOCTTY;

/** `f_type` of /proc. */
const PROC_MAGIC = 0x9fa0;
/** A descriptor of a process, as /proc shows it: a link to the open file itself, whatever its name is by now. */
const DESCRIPTOR_PATH = /^\/proc\/(?:\d+|self|thread-self)\/fd\/\d+$/;

/** Whether a path names a region, so that nothing else may be written there; what cannot be looked at is none. */
export async function isRegion(path: string): Promise<boolean> {
  let file: FileHandle | undefined;
  try {
    // A look before: to open a device can do things.
    if (!(await stat(path)).isFile()) return false;
    file = await open(path, constants.O_RDONLY | SAFELY);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, HeaderOffset.magic);
    return bytesRead === 8 && buffer.readBigUInt64LE() === MAGIC;
  } catch {
    return false;
  } finally {
    await file?.close();
  }
}

export class RegionFile {
  readonly path: string;
  /** Which file this is, however it is called. */
  readonly identity: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle, identity: string) {
    this.path = path;
    this.identity = identity;
    this.#handle = handle;
  }

  /** Opens the file to read it, or to write it too. */
  static async open(path: string, access: 'read' | 'write' = 'read'): Promise<RegionFile> {
    const trouble = (text: string, cause?: unknown) => regionError(path, text, cause);
    let handle: FileHandle | undefined;
    try {
      const isDescriptor = await isDescriptorLink(path);
      // A look before: to open a device can do things.
      const before = isDescriptor ? await stat(path) : await lstat(path);
      if (before.isSymbolicLink()) throw trouble('it is a symbolic link, which is not followed');
      if (!before.isFile()) throw trouble('it is not a regular file');
      const noFollow = isDescriptor ? 0 : constants.O_NOFOLLOW;
      handle = await open(path, (access === 'read' ? constants.O_RDONLY : constants.O_RDWR) | SAFELY | noFollow);
      const info = await handle.stat();
      if (!info.isFile()) throw trouble('it is not a regular file');
      const user = process.geteuid!();
      if (user !== 0 && info.uid !== user) throw trouble(`it belongs to user ${info.uid}, and this is user ${user}`);
      return new RegionFile(path, handle, `${info.dev}:${info.ino}`);
    } catch (error) {
      await handle?.close();
      if (error instanceof MetricsError) throw error;
      throw trouble((error as Error).message, error);
    }
  }

  /** Whether somebody holds the file: its writer lives. */
  isHeld(): boolean {
    return this.#answer(binding().isLocked(this.#handle.fd));
  }

  /** Takes the file; false when somebody has it. Until it is closed. */
  lock(): boolean {
    return this.#answer(binding().lock(this.#handle.fd));
  }

  /** How long it is by now: a living writer makes it grow. */
  async bytes(): Promise<number> {
    return (await this.#doing(this.#handle.stat())).size;
  }

  /** Fills all of `into` from `offset`, behind the end of the file with zeros; says how many bytes there were. */
  async read(into: Uint8Array, offset: number): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const { bytesRead } = await this.#doing(this.#handle.read(into, filled, into.length - filled, offset + filled));
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    into.fill(0, filled);
    return filled;
  }

  /** Reads all of `into`, while nothing else of this thread goes on: of some bytes that takes a tenth of the time of read(). */
  readNow(into: Uint8Array, offset: number): void {
    let filled = 0;
    try {
      for (let count = 1; count > 0 && filled < into.length; filled += count) {
        count = readSync(this.#handle.fd, into, filled, into.length - filled, offset + filled);
      }
    } catch (cause) {
      throw this.trouble((cause as Error).message, cause);
    }
    if (filled < into.length) throw this.trouble('it was cut short while it was read');
  }

  /** Writes all of `from` at `offset`. */
  async write(from: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < from.length; ) {
      const { bytesWritten } = await this.#doing(this.#handle.write(from, done, from.length - done, offset + done));
      done += bytesWritten;
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** What is wrong with this file, as an error. */
  trouble(text: string, cause?: unknown): MetricsError {
    return regionError(this.path, text, cause);
  }

  async #doing<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      throw this.trouble((cause as Error).message, cause);
    }
  }

  #answer(answer: boolean | Failure): boolean {
    if (!isFailure(answer)) return answer;
    const cause = systemError(answer);
    throw this.trouble(`its lock cannot be asked for: ${cause.message}`, cause);
  }
}

export function regionError(path: string, trouble: string, cause?: unknown): MetricsError {
  return new MetricsError(ErrorCode.REGION, `Region file ${shown(path)}: ${trouble}`, cause === undefined ? undefined : { cause });
}

/** A memfd has no other path than this. It leads to the open file alone, so there is no name that somebody could have exchanged. */
async function isDescriptorLink(path: string): Promise<boolean> {
  return DESCRIPTOR_PATH.test(path) && (await statfs('/proc')).type === PROC_MAGIC;
}
