// Which cells of a region count, and what for. Cells are packed into slots: those of the schema, those of each living device, and
// for the devices of a group that were removed one set for all of them, since only their sum is ever shown. So a process that has plugged
// a device in and out a hundred thousand times is read into as little memory as one that has not.

import { checkedDeviceId } from '../arguments.ts';
import { CellKind, type DeviceGroupLayout, type Layout } from '../layout.ts';
import type { RegionFile } from './file.ts';
import { DIRECTORY_ENTRY_BYTES, DirectoryEntryOffset, FIRST_DIRECTORY_ROW, ID_BYTES_MAX, ROWS } from './format.ts';
import type { RegionHeader } from './header.ts';

/** A device, or all removed ones of a group: its values are in the slots from `firstCell`. */
export interface MappedDevice {
  readonly id: string;
  readonly removed: boolean;
  readonly firstCell: number;
  /** Where its cells are in the region; -1 of all removed ones together. */
  readonly regionCell: number;
}

/** Slots are memory, and so are names: more are claimed by no store that is in use, and by a hostile file for nothing. */
const SLOTS_MAX = 2 ** 19;
const LIVING_SLOTS_MAX = 2 ** 16;
const NAMED_MAX = 2 ** 15;
const NAME_BYTES_MAX = 4 << 20;

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
  /** The devices of each group, sorted by the bytes of their ids, then as they were made; where there is an aggregate, last all removed ones together. */
  readonly devices: readonly (readonly MappedDevice[])[];

  private constructor(kinds: Uint8Array, slots: Uint32Array, slotKinds: Uint8Array, devices: readonly (readonly MappedDevice[])[]) {
    this.kinds = kinds;
    this.slots = slots;
    this.slotKinds = slotKinds;
    this.devices = devices;
  }

  /** Reads the directory. Devices that are still being made are left out. */
  static read(file: RegionFile, header: RegionHeader, layout: Layout): CellMap {
    const { cellKinds } = layout;
    if (header.cellsUsed < cellKinds.length) {
      throw file.trouble(`its header is damaged: cellsUsed is ${header.cellsUsed}, and the schema alone has ${cellKinds.length} cells`);
    }
    const builder = new Builder(file, header.cellsUsed, layout);
    eachEntry(file, header, (entry) => builder.add(entry));
    return builder.finished((...parts) => new CellMap(...parts));
  }
}

interface Entry {
  readonly number: number;
  readonly group: number;
  readonly firstCell: number;
  readonly removed: number;
  readonly idBytes: number;
  /** Of the id as much as there is room for; valid while it is taken. */
  readonly id: Buffer;
}

function eachEntry(file: RegionFile, header: RegionHeader, take: (entry: Entry) => void): void {
  const perChunk = header.granuleBytes / 8;
  const buffer = Buffer.allocUnsafe(Math.min(perChunk, header.devicesUsed) * DIRECTORY_ENTRY_BYTES);
  for (let first = 0; first < header.devicesUsed; first += perChunk) {
    const count = Math.min(perChunk, header.devicesUsed - first);
    const row = (first / perChunk) * ROWS + FIRST_DIRECTORY_ROW;
    file.read(buffer.subarray(0, count * DIRECTORY_ENTRY_BYTES), header.chunksOffset + row * header.granuleBytes);
    for (let i = 0; i < count; i++) {
      const at = i * DIRECTORY_ENTRY_BYTES;
      const u32 = (offset: number) => buffer.readUInt32LE(at + offset);
      take({
        number: first + i,
        group: u32(DirectoryEntryOffset.group),
        firstCell: u32(DirectoryEntryOffset.firstCell),
        removed: u32(DirectoryEntryOffset.removed),
        idBytes: u32(DirectoryEntryOffset.idBytes),
        id: buffer.subarray(at + DirectoryEntryOffset.id, at + DIRECTORY_ENTRY_BYTES),
      });
    }
  }
}

class Builder {
  readonly #file: RegionFile;
  readonly #layout: Layout;
  readonly #kinds: Uint8Array;
  readonly #slots: Uint32Array;
  readonly #slotKinds: number[];
  /** `key` is one character a byte: so it sorts as the bytes do. */
  readonly #groups: { readonly key: string; readonly device: MappedDevice }[][];
  /** Where the removed devices of each group add up. */
  readonly #restSlots: number[];
  #living = 0;
  #named = 0;
  #nameBytes = 0;

  constructor(file: RegionFile, cellsUsed: number, layout: Layout) {
    this.#file = file;
    this.#layout = layout;
    this.#kinds = new Uint8Array(cellsUsed);
    this.#kinds.set(layout.cellKinds);
    this.#slots = new Uint32Array(cellsUsed).fill(UNCLAIMED);
    this.#slotKinds = [...layout.cellKinds];
    for (let cell = 0; cell < layout.cellKinds.length; cell++) this.#slots[cell] = cell;
    this.#groups = layout.devices.map(() => []);
    this.#restSlots = layout.devices.map((group) => (group.aggregate ? this.#newSlots(group) : -1));
  }

  add(entry: Entry): void {
    const group = this.#layout.devices[entry.group];
    if (group === undefined) throw this.#trouble(entry, `there is no group ${entry.group}`);
    const end = entry.firstCell + group.cellKinds.length;
    if (end > this.#slots.length) return; // still being made
    if (entry.removed > 1) throw this.#trouble(entry, `removed is ${entry.removed}`);
    const isRemoved = entry.removed === 1;
    this.#claim(entry, group, end);
    if (isRemoved && group.aggregate) {
      this.#mapRest(entry.firstCell, group);
      return;
    }
    // Where there is no aggregate, a removed device may still have a line of its own to come.
    const id = this.#idOf(entry);
    const firstCell = this.#newSlots(group);
    if (!isRemoved) this.#living += group.cellKinds.length;
    if (this.#slotKinds.length > SLOTS_MAX || this.#living > LIVING_SLOTS_MAX)
      throw this.#file.trouble('it has more devices than a reader takes');
    for (let i = 0; i < group.cellKinds.length; i++) this.#slots[entry.firstCell + i] = firstCell + i;
    const device = { id, removed: isRemoved, firstCell, regionCell: entry.firstCell };
    this.#groups[entry.group]!.push({ key: Buffer.from(id).toString('latin1'), device });
  }

  finished(make: (kinds: Uint8Array, slots: Uint32Array, slotKinds: Uint8Array, devices: MappedDevice[][]) => CellMap): CellMap {
    const devices = this.#groups.map((group, number) => {
      // Stable: those of one id stay as they were made.
      const sorted = group.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ device }) => device);
      const living = sorted.filter(({ removed }) => !removed);
      const twin = living.find(({ id }, i) => living[i + 1]?.id === id);
      if (twin !== undefined) throw this.#file.trouble(`its directory is damaged: ${JSON.stringify(twin.id)} is there twice`);
      const rest = this.#restSlots[number]!;
      return rest < 0 ? sorted : [...sorted, { id: '', removed: true, firstCell: rest, regionCell: -1 }];
    });
    return make(this.#kinds, this.#slots, Uint8Array.from(this.#slotKinds), devices);
  }

  #newSlots(group: DeviceGroupLayout): number {
    const first = this.#slotKinds.length;
    for (const kind of group.cellKinds) this.#slotKinds.push(kind);
    return first;
  }

  #claim(entry: Entry, { cellKinds }: DeviceGroupLayout, end: number): void {
    for (let cell = entry.firstCell; cell < end; cell++) {
      if (this.#slots[cell] !== UNCLAIMED) throw this.#trouble(entry, `cell ${cell} is another's`);
      this.#slots[cell] = UNASKED;
    }
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
    this.#nameBytes += entry.idBytes;
    if (++this.#named > NAMED_MAX || this.#nameBytes > NAME_BYTES_MAX) throw this.#file.trouble('it has more devices than a reader takes');
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

// An id may begin with U+FEFF.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
