// Which cells of a region count, and what for. Cells are packed into slots: those of the schema, those of each living
// device, and for the devices of a group that were removed one set for all of them, since only their sum is ever shown.
// So a process that has plugged a device in and out a hundred thousand times is read into as little memory as one that
// has not. What a writer can make fits; a hostile file can claim no more.

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
   * The devices of each group, sorted by the bytes of their ids, then as they were made; last all removed ones
   * together, but those that have a line of their own to come, where there is no aggregate.
   */
  readonly devices: readonly (readonly MappedDevice[])[];

  private constructor(kinds: Uint8Array, slots: Uint32Array, slotKinds: Uint8Array, devices: readonly (readonly MappedDevice[])[]) {
    this.kinds = kinds;
    this.slots = slots;
    this.slotKinds = slotKinds;
    this.devices = devices;
  }

  /**
   * Reads the directory. Devices that are still being made are left out. `isHeld`: its writer lives, so that entries
   * may be of later moments than those before them. Of one epoch they fit together all the same.
   */
  static read(file: RegionFile, header: RegionHeader, layout: Layout, isHeld: boolean): CellMap {
    const { cellKinds } = layout;
    if (header.cellsUsed < cellKinds.length) {
      throw file.trouble(`its header is damaged: cellsUsed is ${header.cellsUsed}, and the schema alone has ${cellKinds.length} cells`);
    }
    const builder = new Builder(file, header, layout, isHeld);
    eachEntry(file, header, (entry) => builder.add(entry));
    return builder.finished((...parts) => new CellMap(...parts));
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

function eachEntry(file: RegionFile, header: RegionHeader, take: (entry: Entry) => void): void {
  const perChunk = header.granuleBytes / 8;
  const bytes = Math.min(perChunk, header.devicesUsed) * DIRECTORY_ENTRY_BYTES;
  let buffer = Buffer.allocUnsafe(bytes);
  let again = Buffer.allocUnsafe(bytes);
  for (let first = 0; first < header.devicesUsed; first += perChunk) {
    const count = Math.min(perChunk, header.devicesUsed - first);
    const row = (first / perChunk) * ROWS + FIRST_DIRECTORY_ROW;
    const read = (into: Buffer) =>
      file.read(into.subarray(0, count * DIRECTORY_ENTRY_BYTES), header.chunksOffset + row * header.granuleBytes);
    read(buffer);
    // An entry that is used again is written while it is free, so that half of one is never read twice.
    for (let times = 0; times < READ_AGAIN_MAX; times++) {
      read(again);
      if (buffer.compare(again, 0, count * DIRECTORY_ENTRY_BYTES, 0, count * DIRECTORY_ENTRY_BYTES) === 0) break;
      [buffer, again] = [again, buffer];
    }
    for (let i = 0; i < count; i++) {
      const at = i * DIRECTORY_ENTRY_BYTES;
      const u32 = (offset: number) => buffer.readUInt32LE(at + offset);
      take({
        number: first + i,
        group: u32(DirectoryEntryOffset.group),
        firstCell: u32(DirectoryEntryOffset.firstCell),
        state: u32(DirectoryEntryOffset.state),
        idBytes: u32(DirectoryEntryOffset.idBytes),
        id: buffer.subarray(at + DirectoryEntryOffset.id, at + DIRECTORY_ENTRY_BYTES),
      });
    }
  }
}

class Builder {
  readonly #file: RegionFile;
  readonly #header: RegionHeader;
  readonly #layout: Layout;
  readonly #isHeld: boolean;
  readonly #kinds: Uint8Array;
  readonly #slots: Uint32Array;
  readonly #slotKinds: number[];
  /** `key` is one character a byte: so it sorts as the bytes do. */
  readonly #groups: { readonly key: string; readonly device: MappedDevice }[][];
  /** Where the removed devices of each group add up. */
  readonly #restSlots: number[];
  #named = 0;

  constructor(file: RegionFile, header: RegionHeader, layout: Layout, isHeld: boolean) {
    this.#file = file;
    this.#header = header;
    this.#layout = layout;
    this.#isHeld = isHeld;
    this.#kinds = new Uint8Array(header.cellsUsed);
    this.#kinds.set(layout.cellKinds);
    this.#slots = new Uint32Array(header.cellsUsed).fill(UNCLAIMED);
    this.#slotKinds = [...layout.cellKinds];
    for (let cell = 0; cell < layout.cellKinds.length; cell++) this.#slots[cell] = cell;
    this.#groups = layout.devices.map(() => []);
    this.#restSlots = layout.devices.map((group) => this.#newSlots(group));
  }

  /** Where memory was lost, an entry may be lost too, or a part of it: the device is missing then. */
  add(entry: Entry): void {
    try {
      this.#add(entry);
    } catch (error) {
      if (!this.#header.degraded) throw error;
    }
  }

  #add(entry: Entry): void {
    const state = this.#stateOf(entry);
    if (state === EntryState.free) return;
    const group = this.#layout.devices[entry.group];
    if (group === undefined) throw this.#trouble(entry, `there is no group ${entry.group}`);
    const end = entry.firstCell + group.cellKinds.length;
    if (end > this.#slots.length) return; // still being made
    // An entry that comes later may have the cells of one that was retired and is free by now.
    if (state === RETIRED && this.#isHeld) return;
    this.#claim(entry, group, end);
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
      if (twin !== undefined && !this.#isHeld)
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

  #claim(entry: Entry, { cellKinds }: DeviceGroupLayout, end: number): void {
    for (let cell = entry.firstCell; cell < end; cell++) {
      if (this.#slots[cell] !== UNCLAIMED) throw this.#trouble(entry, `cell ${cell} is another's`);
    }
    this.#slots.fill(UNASKED, entry.firstCell, end);
    this.#kinds.set(cellKinds, entry.firstCell);
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
