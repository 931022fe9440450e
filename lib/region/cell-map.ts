// Which cells of a region have values, and which device or group the values belong to. A reader packs them into slots:
// the cells of the schema, those of each living device, and one set per group for all its removed devices, because only
// their sum is shown. So a reader needs no more memory after a device was plugged in and out a hundred thousand times.
// Every region that a writer can make fits, and a hostile file cannot make a reader use more.

import { checkedDeviceId } from '../arguments.ts';
import { type DeviceGroupLayout, isSum, type Layout } from '../layout.ts';
import type { Directory, DirectoryEntry } from './directory.ts';
import type { RegionFile } from './file.ts';
import { DEVICES_MAX, ENTRY_STATE_BITS, EntryState, ID_BYTES_MAX } from './format.ts';
import type { RegionHeader } from './header.ts';

/** A device, or all removed devices of a group. Its values are in the slots from `firstCell`. */
export interface MappedDevice {
  readonly id: string;
  readonly removed: boolean;
  readonly firstCell: number;
  /** Its first cell in the region; -1 for all removed devices together. */
  readonly regionCell: number;
  /** The number of its directory entry, and the entry's state when it was read. */
  readonly entry: number;
  readonly state: number;
}

/** Cells without a slot. UNCLAIMED: no device has the cell. UNUSED: a device has it, but no reader needs its value. */
const UNCLAIMED = 0xffff_ffff;
const UNUSED = 0xffff_fffe;

export class CellMap {
  /** The CellKind of each cell in the region. */
  readonly kinds: Uint8Array;
  /** The slot of each cell; a number past the last slot if the cell has none. */
  readonly slots: Uint32Array;
  /** The CellKind of each slot. */
  readonly slotKinds: Uint8Array;
  /**
   * The devices of each group, sorted by the bytes of their ids, then by age. Removed devices are together in the last
   * element. In a group without an aggregate, each removed device that still has pending deltas has an element of its
   * own.
   */
  readonly devices: readonly (readonly MappedDevice[])[];

  private constructor(kinds: Uint8Array, slots: Uint32Array, slotKinds: Uint8Array, devices: readonly (readonly MappedDevice[])[]) {
    this.kinds = kinds;
    this.slots = slots;
    this.slotKinds = slotKinds;
    this.devices = devices;
  }

  /**
   * Reads the directory, without devices that are still being made. `isHeld` says that the writer lives: an entry may
   * then be newer than the entries before it, but within one epoch they still fit together.
   */
  static read(file: RegionFile, header: RegionHeader, layout: Layout, isHeld: boolean, directory: Directory): CellMap {
    const { cellKinds } = layout;
    if (header.cellsUsed < cellKinds.length) {
      throw file.trouble(`its header is damaged: cellsUsed is ${header.cellsUsed}, but the schema alone has ${cellKinds.length} cells`);
    }
    const builder = new Builder(file, header, layout, isHeld);
    directory.eachEntry(file, header, (entry) => builder.add(entry));
    return builder.finished((...parts) => new CellMap(...parts));
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
  /** `key` has one character for each byte of the id, so it sorts like the bytes. */
  readonly #groups: { readonly key: string; readonly device: MappedDevice }[][];
  /** For each group, the first slot of all its removed devices. */
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

  /** In a degraded region, an entry or half of an entry may be lost. Then its device is missing. */
  add(entry: DirectoryEntry): void {
    try {
      this.#add(entry);
    } catch (error) {
      if (!this.#header.degraded) throw error;
    }
  }

  #add(entry: DirectoryEntry): void {
    const state = this.#currentState(entry);
    if (state === EntryState.free) return;
    const group = this.#layout.devices[entry.group];
    if (group === undefined) throw this.#trouble(entry, `group ${entry.group} does not exist`);
    const end = entry.firstCell + group.cellKinds.length;
    if (end > this.#slots.length) return; // still being made
    // Skip it: a later entry may already use the cells of this retired device.
    if (state === RETIRED && this.#isHeld) return;
    this.#claim(entry, group, end);
    if (state === RETIRED) return;
    const isRemoved = state !== EntryState.living;
    if (state === EntryState.rest || (isRemoved && group.aggregate)) {
      this.#mapRest(entry.firstCell, group);
      return;
    }
    // Without an aggregate, a removed device may still have deltas for a line.
    const id = this.#idOf(entry);
    const firstCell = this.#newSlots(group);
    for (let i = 0; i < group.cellKinds.length; i++) this.#slots[entry.firstCell + i] = firstCell + i;
    const device = { id, removed: isRemoved, firstCell, regionCell: entry.firstCell, entry: entry.number, state: entry.state };
    this.#groups[entry.group]!.push({ key: Buffer.from(id).toString('latin1'), device });
  }

  finished(make: (kinds: Uint8Array, slots: Uint32Array, slotKinds: Uint8Array, devices: MappedDevice[][]) => CellMap): CellMap {
    const devices = this.#groups.map((group, number) => {
      // In version 1 all ages are 0, and the entries are in the order in which the devices were made.
      const age = ({ device }: { device: MappedDevice }) => device.state >>> ENTRY_STATE_BITS;
      const sorted = group.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : age(a) - age(b))).map(({ device }) => device);
      const living = sorted.filter(({ removed }) => !removed);
      const twin = living.find(({ id }, i) => living[i + 1]?.id === id);
      if (twin !== undefined && !this.#isHeld)
        throw this.#file.trouble(`its directory is damaged: it has two devices ${JSON.stringify(twin.id)}`);
      // If two have the same id, the older one was removed after its entry was read.
      const all = sorted.map((device, i) => (sorted[i + 1]?.id === device.id ? { ...device, removed: true } : device));
      return [...all, { id: '', removed: true, firstCell: this.#restSlots[number]!, regionCell: -1, entry: -1, state: 0 }];
    });
    return make(
      interned('kinds', this.#kinds),
      interned('slots', this.#slots),
      interned('slotKinds', Uint8Array.from(this.#slotKinds)),
      devices,
    );
  }

  /** The state of an entry in this epoch. */
  #currentState(entry: DirectoryEntry): number {
    const state = entry.state & (2 ** ENTRY_STATE_BITS - 1);
    const { retiredEpoch } = this.#header;
    const countBits = 32 - ENTRY_STATE_BITS;
    switch (state) {
      case EntryState.retiring:
        // If its epoch is still to come, the totals of retired devices do not include it yet.
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

  #claim(entry: DirectoryEntry, { cellKinds }: DeviceGroupLayout, end: number): void {
    for (let cell = entry.firstCell; cell < end; cell++) {
      if (this.#slots[cell] !== UNCLAIMED) throw this.#trouble(entry, `cell ${cell} is already in use`);
    }
    this.#slots.fill(UNUSED, entry.firstCell, end);
    this.#kinds.set(cellKinds, entry.firstCell);
  }

  #mapRest(regionCell: number, group: DeviceGroupLayout): void {
    const slot = this.#restSlots[group.group]!;
    for (let i = 0; i < group.cellKinds.length; i++) {
      if (isSum(group.cellKinds[i])) this.#slots[regionCell + i] = slot + i;
    }
  }

  #idOf(entry: DirectoryEntry): string {
    if (entry.idBytes < 1 || entry.idBytes > ID_BYTES_MAX) throw this.#trouble(entry, `idBytes is ${entry.idBytes}`);
    if (++this.#named > DEVICES_MAX) throw this.#file.trouble(`it has more than ${DEVICES_MAX} devices`);
    try {
      return checkedDeviceId(utf8.decode(entry.id.subarray(0, entry.idBytes)));
    } catch (cause) {
      throw this.#trouble(entry, 'its id is not UTF-8 without NUL', cause);
    }
  }

  #trouble({ number }: DirectoryEntry, text: string, cause?: unknown) {
    return this.#file.trouble(`entry ${number} of its directory is damaged: ${text}`, cause);
  }
}

/** Not a stored state: the values of the entry's cells are in the totals of retired devices, or in their other copy. */
const RETIRED = -1;

// ignoreBOM keeps a U+FEFF at the beginning: an id may begin with one.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The arrays of the last map. The files of a host often have the same ones, and then share them. */
const last: { kinds: Uint8Array; slots: Uint32Array; slotKinds: Uint8Array } = {
  kinds: new Uint8Array(),
  slots: new Uint32Array(),
  slotKinds: new Uint8Array(),
};
/** No longer array is kept for that: a hostile file may have millions of cells. */
const INTERNED_MAX = 65_536;

/** The array of the last map, if it has the same elements. */
function interned<K extends keyof typeof last>(key: K, array: (typeof last)[K]): (typeof last)[K] {
  if (array.length > INTERNED_MAX) return array;
  if (Buffer.compare(bytesOf(array), bytesOf(last[key])) !== 0) last[key] = array;
  return last[key];
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint8Array | Uint32Array) => new Uint8Array(buffer, byteOffset, byteLength);
