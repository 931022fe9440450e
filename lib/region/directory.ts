// The directory of a region: the entries of its devices. A second reading reads the bytes again, and decodes them only
// if they changed.

import type { RegionFile } from './file.ts';
import { DIRECTORY_ENTRY_BYTES, DirectoryEntryOffset, FIRST_DIRECTORY_ROW, ROWS } from './format.ts';
import type { RegionHeader } from './header.ts';
import { scratchPages } from './pages.ts';

export interface DirectoryEntry {
  readonly number: number;
  readonly group: number;
  readonly firstCell: number;
  readonly state: number;
  readonly idBytes: number;
  /** The space for the id. Valid only during the call. */
  readonly id: Buffer;
}

const READ_AGAIN_MAX = 10;
/** A directory with more entries than this is not kept in memory: a hostile file may claim a million entries. */
const KEPT_ENTRIES_MAX = 4096;

export class Directory {
  /**
   * The entries of the last eachEntry(); undefined if they were not kept, or if `take` threw. Empty if the writer
   * counts the changes of the directory: then nobody compares entries.
   */
  #kept: Buffer | undefined;

  /** The bytes that tell whether the directory has changed. */
  get kept(): Uint8Array | undefined {
    return this.#kept;
  }

  /** Reads all entries, and passes them to `take` in order. */
  eachEntry(file: RegionFile, header: RegionHeader, take: (entry: DirectoryEntry) => void): void {
    this.#kept = undefined;
    const keptEntries = header.directoryChanges === 0n ? header.devicesUsed : 0;
    const kept = keptEntries <= KEPT_ENTRIES_MAX ? Buffer.alloc(keptEntries * DIRECTORY_ENTRY_BYTES) : undefined;
    let [buffer, again] = twoBuffers(Math.min(header.granuleBytes / 8, header.devicesUsed) * DIRECTORY_ENTRY_BYTES);
    for (const { first, count, offset } of chunksOf(header)) {
      const bytes = count * DIRECTORY_ENTRY_BYTES;
      file.read(buffer, offset, bytes);
      // Two equal reads are consistent: the writer changes an entry only while it is free.
      for (let times = 0; times < READ_AGAIN_MAX; times++) {
        file.read(again, offset, bytes);
        if (buffer.compare(again, 0, bytes, 0, bytes) === 0) break;
        [buffer, again] = [again, buffer];
      }
      if (keptEntries > 0) kept?.set(buffer.subarray(0, bytes), first * DIRECTORY_ENTRY_BYTES);
      for (let i = 0; i < count; i++) take(entryAt(buffer, i, first));
    }
    this.#kept = kept;
  }

  /**
   * Whether the file still contains exactly the entries of the last eachEntry(). One read is enough: if entries are
   * equal to consistent ones, they are consistent too.
   */
  isUnchanged(file: RegionFile, header: RegionHeader): boolean {
    const kept = this.#kept;
    if (kept?.length !== header.devicesUsed * DIRECTORY_ENTRY_BYTES) return false;
    for (const { first, count, offset } of chunksOf(header)) {
      const bytes = count * DIRECTORY_ENTRY_BYTES;
      const { bytes: now } = scratchPages(bytes);
      file.read(now, offset, bytes);
      const begin = first * DIRECTORY_ENTRY_BYTES;
      if (now.compare(kept, begin, begin + bytes, 0, bytes) !== 0) return false;
    }
    return true;
  }
}

/** Two buffers of zeros with at least that many bytes. All callers in a thread share them, until the next call. */
function twoBuffers(bytes: number): [Buffer, Buffer] {
  if (bytes > SHARED_BYTES_MAX) return [Buffer.alloc(bytes), Buffer.alloc(bytes)];
  if (shared[0].length < bytes) shared = [Buffer.allocUnsafeSlow(bytes), Buffer.allocUnsafeSlow(bytes)];
  for (const buffer of shared) buffer.fill(0, 0, bytes);
  return shared;
}

let shared: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
const SHARED_BYTES_MAX = 1 << 18;

function* chunksOf({ devicesUsed, granuleBytes, chunksOffset }: RegionHeader) {
  const perChunk = granuleBytes / 8;
  for (let first = 0; first < devicesUsed; first += perChunk) {
    const row = (first / perChunk) * ROWS + FIRST_DIRECTORY_ROW;
    yield { first, count: Math.min(perChunk, devicesUsed - first), offset: chunksOffset + row * granuleBytes };
  }
}

function entryAt(buffer: Buffer, index: number, first: number): DirectoryEntry {
  const at = index * DIRECTORY_ENTRY_BYTES;
  const u32 = (offset: number) => buffer.readUInt32LE(at + offset);
  return {
    number: first + index,
    group: u32(DirectoryEntryOffset.group),
    firstCell: u32(DirectoryEntryOffset.firstCell),
    state: u32(DirectoryEntryOffset.state),
    idBytes: u32(DirectoryEntryOffset.idBytes),
    id: buffer.subarray(at + DirectoryEntryOffset.id, at + DIRECTORY_ENTRY_BYTES),
  };
}
