// The position of every byte in a region: native/region/format.h in TypeScript. docs/format.md describes the format;
// the three files change together. Offsets are in bytes. The offset of a header field counts from the start of the
// file; every other offset counts from the start of its record.

/** The bytes `VMTRICS1`, as a little-endian number. */
export const MAGIC = 0x3153_4349_5254_4d56n;
export const FORMAT_VERSION = 3;
/** The oldest version that this reader accepts. */
export const FORMAT_VERSION_MIN = 1;
/** The first version in which a latency metric has a count. */
const COUNTED_VERSION = 3;

/** Whether a latency metric has a count in a region of this version. */
export function hasCounts(version: number): boolean {
  return version >= COUNTED_VERSION;
}

/** The value of the field on a machine of the same byte order. */
export const BYTE_ORDER = 0x01020304;

export const SHARDS = 128;
export const BANKS = 3;
export const MAX_CHUNKS = 4096;
export const DOCUMENT_BYTES_MAX = 1 << 19;
export const ID_BYTES_MAX = 255;
/** Includes the NUL at the end. */
export const SINK_PATH_BYTES_MAX = 2048;

export const DIRECTORY_ENTRY_BYTES = 272;
export const DIRECTORY_ROWS = DIRECTORY_ENTRY_BYTES / 8;
export const FIRST_DIRECTORY_ROW = BANKS;
export const FIRST_SHARD_ROW = BANKS + DIRECTORY_ROWS;
/** How many rows a chunk has. */
export const ROWS = FIRST_SHARD_ROW + SHARDS;

export const HEADER_BYTES = 2560;

/** The header. `crash` and `line` are where the crash record and the line in flight begin. */
export const HeaderOffset = {
  magic: 0,
  version: 8,
  byteOrder: 12,
  granuleBytes: 16,
  shards: 20,
  banks: 24,
  directoryRows: 28,
  schemaFingerprint: 32,
  documentOffset: 40,
  documentBytes: 48,
  chunksOffset: 56,
  processId: 64,
  state: 68,
  processStartTicks: 72,
  processStartRealtimeNs: 80,
  bootId: 88,
  commit: 128,
  cellsUsed: 136,
  shardsUsed: 140,
  devicesUsed: 144,
  degraded: 148,
  crash: 152,
  line: 184,
  exitCode: 240,
  unsettled: 244,
  retiredEpoch: 248,
  directoryChanges: 256,
  reserved: 264,
  sinkPath: 512,
} as const;

export const BOOT_ID_BYTES = 40;

export const CrashOffset = { signal: 0, code: 4, address: 8, threadId: 16, reserved: 20, realtimeNs: 24 } as const;

export const LineOffset = {
  commit: 0,
  device: 8,
  inode: 16,
  offset: 24,
  bytes: 32,
  sent: 40,
  isRegularFile: 48,
  reserved: 52,
} as const;
export const LINE_BYTES = 56;

export const DirectoryEntryOffset = { group: 0, firstCell: 4, state: 8, idBytes: 12, id: 16 } as const;

/** How much one store can hold at a time: limits of its writer and of its readers. */
export const CELLS_MAX = 1 << 21;
export const DEVICES_MAX = 1 << 17;
export const LINE_BYTES_MAX = 1 << 27;

/**
 * Values of the low bits of an entry's `state`. The higher bits number the entries in the order in which they were
 * made; in an entry that is `retiring`, the higher bits contain an epoch.
 */
export const EntryState = { living: 0, removed: 1, retiring: 2, free: 3, rest: 4, retiredEven: 5, retiredOdd: 6 } as const;
export const ENTRY_STATE_BITS = 3;

/** Values of the header's field `state`. */
export const RegionStateNumber = { running: 1, closed: 2, crashed: 3, exited: 4, panicked: 5 } as const;

/** The bank that a value of `commit` names; 3 is no bank. */
export function bankOf(commit: bigint): number {
  return Number(commit & 3n);
}

/** The number of flushed lines that a value of `commit` contains. */
export function linesFlushed(commit: bigint): bigint {
  return commit >> 2n;
}
