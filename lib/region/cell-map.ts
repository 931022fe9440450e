// Which cells of a region count, and what for. Cells are packed into slots: those of the schema, those of each living device, and
// for the devices of a group that were removed one set for all of them, since only their sum is ever shown. So a process that has plugged
// a device in and out a hundred thousand times is read into as little memory as one that has not. What a writer can make fits; a hostile
// file can claim no more.

import { checkedDeviceId } from '../arguments.ts';
import { CellKind, type DeviceGroupLayout, type Layout } from '../layout.ts';
import type { RegionFile } from './file.ts';
import {
  DEVICES_MAX,
  DIRECTORY_ENTRY_BYTES,
  DirectoryEntryOffset,
  ENTRY_STATE_BITS,
  EntryState,
  FIRST_DIRECTORY_ROW,
  ID_BYTES_MAX,
  ROWS,
} from './format.ts';
import type { RegionHeader } from './header.ts';

/** A device, or all removed ones of a group: its values are in the slots from `firstCell`. */
export interface MappedDevice {
  readonly id: string;
  readonly removed: boolean;
  readonly firstCell: number;
  /** Where its cells are in the region; -1 of all removed ones together. */
  readonly regionCell: number;
  /** Its entry of the directory, and what the entry's state was. */
  readonly entry: number;
  readonly state: number;
}

/** A cell that has no slot: it belongs to nobody; or nobody asks for its value. */
const UNCLAIMED = 0xffff_ffff;
const UNASKED = 0xffff_fffe;

export class CellMap {
  /** What each cell of the region is, by CellKind. */
  readonly kinds: Uint8Array;
  /** The slot of each cell; one that is past the last for a cell without. */
  readonly slots: Uint32Array;
  /** What each slot is. */
  readonly slotKinds: Uint8Array;
  /**
   * The devices of each group, sorted by the bytes of their ids, then as they were made; last all removed ones together, but those that have
   * a line of their own to come, where there is no aggregate.
   */
  readonly devices: readonly (readonly MappedDevice[])[];

  private constructor(kinds: Uint8Array, slots: Uint32Array, slotKinds: Uint8Array, devices: readonly (readonly MappedDevice[])[]) {
    this.kinds = kinds;
    this.slots = slots;
    this.slotKinds = slotKinds;
    this.devices = devices;
  }

  /**
   * Reads the directory. Devices that are still being made are left out. Undefined: entries changed hands while they were read, so that
   * what was read is of no one moment. `isMoving`: it is taken as it is then; when two entries claim the same cells, the first one has them.
   */
  static read(file: RegionFile, header: RegionHeader, layout: Layout, isMoving: boolean): CellMap | undefined {
    const { cellKinds } = layout;
    if (header.cellsUsed < cellKinds.length) {
      throw file.trouble(`its header is damaged: cellsUsed is ${header.cellsUsed}, and the schema alone has ${cellKinds.length} cells`);
    }
    const builder = new Builder(file, header, layout, isMoving);
    const directory = new Directory(file, header);
    try {
      directory.each((entry) => builder.add(entry));
      const map = builder.finished((...parts) => new CellMap(...parts));
      return isMoving || directory.isAsRead() ? map : undefined;
    } catch (error) {
      // No damage, if the entries are of different moments.
      if (isMoving || directory.isAsRead()) throw error;
      return undefined;
    }
  }
}

interface Entry {
  readonly number: number;
  readonly group: number;
  readonly firstCell: number;
  readonly state: number;
  readonly idBytes: number;
  /** Of the id as much as there is room for; valid while it is taken. */
  readonly id: Buffer;
}

const READ_AGAIN_MAX = 10;

/** The entries of a region, which a living process may change while they are read. */
class Directory {
  readonly #file: RegionFile;
  readonly #header: RegionHeader;
  readonly #perChunk: number;
  /** Of each entry that was read. No entry has the same state twice, unless nothing of it changed. */
  readonly #states: Uint32Array;
  #read = 0;
  /** Whether each chunk was read twice alike: then its entries are of one moment. */
  #isSteady = true;

  constructor(file: RegionFile, header: RegionHeader) {
    this.#file = file;
    this.#header = header;
    this.#perChunk = header.granuleBytes / 8;
    this.#states = new Uint32Array(header.devicesUsed);
  }

  each(take: (entry: Entry) => void): void {
    let buffer = this.#buffer();
    let again = this.#buffer();
    for (let first = 0; first < this.#states.length; first += this.#perChunk) {
      const bytes = this.#readChunk(first, buffer);
      // An entry that is used again is written while it is free, so that half of one is never read twice.
      for (let times = 0; ; times++) {
        this.#readChunk(first, again);
        if (buffer.compare(again, 0, bytes, 0, bytes) === 0) break;
        [buffer, again] = [again, buffer];
        if (times < READ_AGAIN_MAX) continue;
        this.#isSteady = false;
        break;
      }
      const count = bytes / DIRECTORY_ENTRY_BYTES;
      for (let i = 0; i < count; i++) this.#states[first + i] = stateAt(buffer, i);
      this.#read = first + count;
      for (let i = 0; i < count; i++) {
        const at = i * DIRECTORY_ENTRY_BYTES;
        take({
          number: first + i,
          group: buffer.readUInt32LE(at + DirectoryEntryOffset.group),
          firstCell: buffer.readUInt32LE(at + DirectoryEntryOffset.firstCell),
          state: this.#states[first + i]!,
          idBytes: buffer.readUInt32LE(at + DirectoryEntryOffset.idBytes),
          id: buffer.subarray(at + DirectoryEntryOffset.id, at + DIRECTORY_ENTRY_BYTES),
        });
      }
    }
  }

  /** Whether all entries that were read are what they were: then there was a moment, after the last one was read, at which they all were. */
  isAsRead(): boolean {
    if (!this.#isSteady) return false;
    if (this.#read <= this.#perChunk) return true; // one chunk, of one moment
    const buffer = this.#buffer();
    for (let first = 0; first < this.#read; first += this.#perChunk) {
      const count = this.#readChunk(first, buffer) / DIRECTORY_ENTRY_BYTES;
      for (let i = 0; i < count; i++) if (stateAt(buffer, i) !== this.#states[first + i]) return false;
    }
    return true;
  }

  #buffer(): Buffer {
    return Buffer.allocUnsafe(Math.min(this.#perChunk, this.#states.length) * DIRECTORY_ENTRY_BYTES);
  }

  /** Says how many bytes the entries of the chunk take. */
  #readChunk(first: number, into: Buffer): number {
    const { chunksOffset, granuleBytes } = this.#header;
    const bytes = Math.min(this.#perChunk, this.#states.length - first) * DIRECTORY_ENTRY_BYTES;
    this.#file.read(into.subarray(0, bytes), chunksOffset + ((first / this.#perChunk) * ROWS + FIRST_DIRECTORY_ROW) * granuleBytes);
    return bytes;
  }
}

function stateAt(buffer: Buffer, entry: number): number {
  return buffer.readUInt32LE(entry * DIRECTORY_ENTRY_BYTES + DirectoryEntryOffset.state);
}

class Builder {
  readonly #file: RegionFile;
  readonly #header: RegionHeader;
  readonly #layout: Layout;
  readonly #isMoving: boolean;
  readonly #kinds: Uint8Array;
  readonly #slots: Uint32Array;
  readonly #slotKinds: number[];
  /** `key` is one character a byte: so it sorts as the bytes do. */
  readonly #groups: { readonly key: string; readonly device: MappedDevice }[][];
  /** Where the removed devices of each group add up. */
  readonly #restSlots: number[];
  #named = 0;

  constructor(file: RegionFile, header: RegionHeader, layout: Layout, isMoving: boolean) {
    this.#file = file;
    this.#header = header;
    this.#layout = layout;
    this.#isMoving = isMoving;
    this.#kinds = new Uint8Array(header.cellsUsed);
    this.#kinds.set(layout.cellKinds);
    this.#slots = new Uint32Array(header.cellsUsed).fill(UNCLAIMED);
    this.#slotKinds = [...layout.cellKinds];
    for (let cell = 0; cell < layout.cellKinds.length; cell++) this.#slots[cell] = cell;
    this.#groups = layout.devices.map(() => []);
    this.#restSlots = layout.devices.map((group) => this.#newSlots(group));
  }

  add(entry: Entry): void {
    const state = this.#stateOf(entry);
    if (state === EntryState.free) return;
    const group = this.#layout.devices[entry.group];
    if (group === undefined) throw this.#trouble(entry, `there is no group ${entry.group}`);
    const end = entry.firstCell + group.cellKinds.length;
    if (end > this.#slots.length) return; // still being made
    if (!this.#claim(entry, group, end)) return;
    if (state === RETIRED) return;
    const isRemoved = state !== EntryState.living;
    if (state === EntryState.rest || (isRemoved && group.aggregate)) {
      this.#mapRest(entry.firstCell, group);
      return;
    }
    // Where there is no aggregate, a removed device may still have a line of its own to come.
    const id = this.#idOf(entry);
    const firstCell = this.#newSlots(group);
    for (let i = 0; i < group.cellKinds.length; i++) this.#slots[entry.firstCell + i] = firstCell + i;
    const device = { id, removed: isRemoved, firstCell, regionCell: entry.firstCell, entry: entry.number, state: entry.state };
    this.#groups[entry.group]!.push({ key: Buffer.from(id).toString('latin1'), device });
  }

  finished(make: (kinds: Uint8Array, slots: Uint32Array, slotKinds: Uint8Array, devices: MappedDevice[][]) => CellMap): CellMap {
    const devices = this.#groups.map((group, number) => {
      // As they were made: in version 1, where no entry is used again, in the order of the entries.
      const age = ({ device }: { device: MappedDevice }) => device.state >>> ENTRY_STATE_BITS;
      const sorted = group.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : age(a) - age(b))).map(({ device }) => device);
      const living = sorted.filter(({ removed }) => !removed);
      const twin = living.find(({ id }, i) => living[i + 1]?.id === id);
      if (twin !== undefined && !this.#isMoving)
        throw this.#file.trouble(`its directory is damaged: ${JSON.stringify(twin.id)} is there twice`);
      // Of two that have an id, the one that was made first has been removed since it was read.
      const all = sorted.map((device, i) => (sorted[i + 1]?.id === device.id ? { ...device, removed: true } : device));
      return [...all, { id: '', removed: true, firstCell: this.#restSlots[number]!, regionCell: -1, entry: -1, state: 0 }];
    });
    return make(this.#kinds, this.#slots, Uint8Array.from(this.#slotKinds), devices);
  }

  /** What an entry counts as now. */
  #stateOf(entry: Entry): number {
    const state = entry.state & (2 ** ENTRY_STATE_BITS - 1);
    const { retiredEpoch } = this.#header;
    const countBits = 32 - ENTRY_STATE_BITS;
    switch (state) {
      case EntryState.retiring:
        // Its epoch is to come: the totals of retired devices are without it.
        return entry.state >>> ENTRY_STATE_BITS === Number(BigInt.asUintN(countBits, retiredEpoch + 1n)) ? EntryState.removed : RETIRED;
      case EntryState.retiredEven:
      case EntryState.retiredOdd:
        return (state === EntryState.retiredOdd) === ((retiredEpoch & 1n) === 1n) ? EntryState.rest : RETIRED;
      case EntryState.living:
      case EntryState.removed:
      case EntryState.free:
      case EntryState.rest:
        return state;
    }
    throw this.#trouble(entry, `state is ${entry.state}`);
  }

  #newSlots(group: DeviceGroupLayout): number {
    const first = this.#slotKinds.length;
    for (const kind of group.cellKinds) this.#slotKinds.push(kind);
    return first;
  }

  /** False when they are another's, and may be, see `isMoving`. */
  #claim(entry: Entry, { cellKinds }: DeviceGroupLayout, end: number): boolean {
    for (let cell = entry.firstCell; cell < end; cell++) {
      if (this.#slots[cell] === UNCLAIMED) continue;
      if (this.#isMoving) return false;
      throw this.#trouble(entry, `cell ${cell} is another's`);
    }
    this.#slots.fill(UNASKED, entry.firstCell, end);
    this.#kinds.set(cellKinds, entry.firstCell);
    return true;
  }

  #mapRest(regionCell: number, group: DeviceGroupLayout): void {
    const slot = this.#restSlots[group.group]!;
    for (let i = 0; i < group.cellKinds.length; i++) {
      if (group.cellKinds[i] === CellKind.inc) this.#slots[regionCell + i] = slot + i;
    }
  }

  #idOf(entry: Entry): string {
    if (entry.idBytes < 1 || entry.idBytes > ID_BYTES_MAX) throw this.#trouble(entry, `idBytes is ${entry.idBytes}`);
    if (++this.#named > DEVICES_MAX) throw this.#file.trouble('it has more devices than a reader takes');
    try {
      return checkedDeviceId(utf8.decode(entry.id.subarray(0, entry.idBytes)));
    } catch (cause) {
      throw this.#trouble(entry, 'its id is no UTF-8 without NUL', cause);
    }
  }

  #trouble({ number }: Entry, text: string, cause?: unknown) {
    return this.#file.trouble(`entry ${number} of its directory is damaged: ${text}`, cause);
  }
}

/** No state of an entry: what its cells have is in the totals of retired devices, or in their other copy. */
const RETIRED = -1;

// An id may begin with U+FEFF.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
