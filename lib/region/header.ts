// The header of a region, read and checked before anything in it is used.

import { constants } from 'node:os';

import type { RegionFile } from './file.ts';
import {
  BANKS,
  BOOT_ID_BYTES,
  BYTE_ORDER,
  bankOf,
  CELLS_MAX,
  CrashOffset,
  DEVICES_MAX,
  DIRECTORY_ROWS,
  DOCUMENT_BYTES_MAX,
  FIRST_SHARD_ROW,
  FORMAT_VERSION,
  FORMAT_VERSION_MIN,
  HEADER_BYTES,
  HeaderOffset,
  LINE_BYTES,
  LineOffset,
  linesFlushed,
  MAGIC,
  RegionStateNumber,
  ROWS,
  SHARDS,
  SINK_PATH_BYTES_MAX,
} from './format.ts';
import { scratchPages } from './pages.ts';

/** What the crash handler recorded. */
export interface CrashReport {
  /** The signal that killed the process. */
  readonly signal: NodeJS.Signals;
  /** `si_code`. For example, 1 with SIGSEGV means that the address was not mapped. */
  readonly code: number;
  /** The address of a fault; 0 if the signal has no address. */
  readonly address: bigint;
  /** The kernel's id of the thread. */
  readonly threadId: number;
  readonly at: Date;
}

/** A line that was being written and is not committed. */
export interface LineRecord {
  /** The value of the header's word `commit` after the line is committed. */
  readonly commit: bigint;
  readonly device: bigint;
  readonly inode: bigint;
  readonly offset: bigint;
  readonly bytes: bigint;
  readonly sent: bigint;
  readonly isRegularFile: boolean;
}

export interface RegionHeader {
  /** The version of the format. */
  readonly version: number;
  readonly granuleBytes: number;
  readonly fingerprint: bigint;
  readonly documentOffset: number;
  readonly documentBytes: number;
  readonly chunksOffset: number;
  readonly pid: number;
  readonly state: 'running' | 'closed' | 'crashed' | 'exited' | 'panicked';
  /** Only for a process that exited or panicked; undefined if unknown. */
  readonly exitCode: number | undefined;
  readonly startTicks: bigint;
  readonly startedAt: Date;
  readonly bootId: string;
  readonly commit: bigint;
  readonly cellsUsed: number;
  readonly shardsUsed: number;
  readonly devicesUsed: number;
  readonly degraded: boolean;
  /** Whether a line was written and nobody can tell how much of it the sink took. */
  readonly isUnsettled: boolean;
  /** How often removed devices were retired. */
  readonly retiredEpoch: bigint;
  /** How often the directory has changed; 0 if the writer does not count. */
  readonly directoryChanges: bigint;
  readonly crash: CrashReport | undefined;
  readonly line: LineRecord | undefined;
  readonly sinkPath: string;
}

const GRANULE_BYTES_MIN = 4096;
/** The largest page size of any machine that runs Linux and Node. */
const GRANULE_BYTES_MAX = 65_536;
/** The last offset at which a document or a chunk may begin: doubles hold it exactly, and all chunks fit behind it. */
const OFFSET_MAX = 2n ** 48n;
/** A writer of version 1 never reuses an entry: it has one for every device that ever existed. */
const DEVICES_MAX_1 = 2 ** 20;

export function readHeader(file: RegionFile): RegionHeader {
  return new HeaderReader().read(file);
}

/** Reads a header repeatedly, and decodes it only when its bytes have changed. */
export class HeaderReader {
  /** The bytes that `#header` was decoded from. */
  readonly #decoded = Buffer.allocUnsafeSlow(HEADER_BYTES);
  #header: RegionHeader | undefined;

  /**
   * @param sizeBefore The size of the file a moment ago, if it is known. Usually this size already shows that the file
   * is not too short.
   * @throws MetricsError `ERR_METRICS_REGION` if the header is damaged, or if the file is shorter than the header says.
   */
  read(file: RegionFile, sizeBefore = 0): RegionHeader {
    const bytes = scratchPages(HEADER_BYTES).bytes.subarray(0, HEADER_BYTES);
    readBytes(file, bytes);
    if (this.#header === undefined || bytes.compare(this.#decoded) !== 0) this.decode(file, bytes);
    checkLength(file, this.#header!, sizeBefore);
    return this.#header!;
  }

  /** The bytes of the header that was read last. */
  get bytes(): Uint8Array {
    return this.#decoded;
  }

  /** Takes the bytes of a header that were just read. */
  decode(file: RegionFile, bytes: Buffer): RegionHeader {
    this.#header = undefined;
    this.#header = headerOf(file, bytes);
    this.#decoded.set(bytes);
    return this.#header;
  }
}

function readBytes(file: RegionFile, bytes: Buffer): void {
  const there = file.read(bytes, 0);
  if (there < 16 || bytes.readBigUInt64LE(HeaderOffset.magic) !== MAGIC) throw file.trouble('it is not a region file (bad magic)');
  if (there < HEADER_BYTES) throw file.trouble(`it is cut short: only ${there} of the header's ${HEADER_BYTES} bytes are there`);
  // Reads the counts again: after they were copied, the writer may have published new ones with the commit word.
  file.readAt(bytes, HeaderOffset.cellsUsed, HeaderOffset.degraded - HeaderOffset.cellsUsed, HeaderOffset.cellsUsed);
  // Reads the crash record again: one read has no order inside, so it may have copied the record before the writer
  // completed the record, and the state after.
  if (bytes.readUInt32LE(HeaderOffset.state) === RegionStateNumber.crashed) {
    file.readAt(bytes, HeaderOffset.crash, HeaderOffset.line - HeaderOffset.crash, HeaderOffset.crash);
  }
}

/** The two words of the header as they are now. If both are unchanged, everything read meanwhile is of one moment. */
export function wordsNow(file: RegionFile): Pick<RegionHeader, 'commit' | 'retiredEpoch'> {
  const { bytes } = scratchPages(HeaderOffset.reserved);
  file.readAt(bytes, HeaderOffset.commit, HeaderOffset.reserved - HeaderOffset.commit, HeaderOffset.commit);
  return { commit: bytes.readBigUInt64LE(HeaderOffset.commit), retiredEpoch: bytes.readBigUInt64LE(HeaderOffset.retiredEpoch) };
}

/** @throws MetricsError `ERR_METRICS_REGION` if the file is shorter than its rows in use. */
function checkLength(file: RegionFile, header: RegionHeader, sizeBefore: number): void {
  const { granuleBytes, chunksOffset, cellsUsed, shardsUsed, degraded } = header;
  const rows = cellsUsed === 0 ? 0 : Math.floor((cellsUsed - 1) / (granuleBytes / 8)) * ROWS + FIRST_SHARD_ROW + shardsUsed;
  const end = chunksOffset + rows * granuleBytes;
  // A degraded region may be shorter: its process lost memory and went on. Any other file was cut afterwards.
  if (degraded || rows === 0 || sizeBefore >= end) return;
  // Asks for the size after reading the counts, because the file grows before a count does.
  const size = file.bytes();
  if (size < end) throw file.trouble(`it is cut short: only ${size} of its ${end} bytes are there`);
}

function headerOf(file: RegionFile, bytes: Buffer): RegionHeader {
  const fields = new HeaderFields(file, bytes);
  const version = checkedVersion(fields);
  const places = placesOf(fields);
  const pid = fields.i32('processId');
  fields.must(pid > 0, 'processId', pid);
  const fingerprint = fields.u64('schemaFingerprint');
  fields.must(fingerprint !== 0n, 'schemaFingerprint', fingerprint);
  const commit = fields.u64('commit');
  fields.must(bankOf(commit) < BANKS, 'commit', commit);
  const cellsUsed = fields.atMost('cellsUsed', CELLS_MAX);
  const shardsUsed = fields.atMost('shardsUsed', SHARDS);
  const devicesUsed = fields.atMost('devicesUsed', version === 1 ? DEVICES_MAX_1 : DEVICES_MAX);
  const degraded = fields.atMost('degraded', 1) === 1;
  const isUnsettled = fields.atMost('unsettled', 1) === 1;
  const { state, exitCode } = endingOf(fields);
  return {
    version,
    ...places,
    fingerprint,
    pid,
    state,
    exitCode,
    startTicks: fields.u64('processStartTicks'),
    startedAt: dateOf(bytes.readBigInt64LE(HeaderOffset.processStartRealtimeNs)),
    bootId: textUpToNul(bytes.subarray(HeaderOffset.bootId, HeaderOffset.bootId + BOOT_ID_BYTES)),
    commit,
    cellsUsed,
    shardsUsed,
    devicesUsed,
    degraded,
    isUnsettled,
    retiredEpoch: fields.u64('retiredEpoch'),
    directoryChanges: fields.u64('directoryChanges'),
    crash: state === 'crashed' ? crashOf(file, bytes.subarray(HeaderOffset.crash, HeaderOffset.line)) : undefined,
    line: lineOf(commit, bytes.subarray(HeaderOffset.line, HeaderOffset.line + LINE_BYTES)),
    sinkPath: textUpToNul(bytes.subarray(HeaderOffset.sinkPath, HeaderOffset.sinkPath + SINK_PATH_BYTES_MAX)),
  };
}

type Field = keyof typeof HeaderOffset;

/** The fields of a header by name. An error names the field that is damaged. */
class HeaderFields {
  readonly file: RegionFile;
  readonly #bytes: Buffer;

  constructor(file: RegionFile, bytes: Buffer) {
    this.file = file;
    this.#bytes = bytes;
  }

  i32(field: Field): number {
    return this.#bytes.readInt32LE(HeaderOffset[field]);
  }

  u32(field: Field): number {
    return this.#bytes.readUInt32LE(HeaderOffset[field]);
  }

  u32BigEndian(field: Field): number {
    return this.#bytes.readUInt32BE(HeaderOffset[field]);
  }

  u64(field: Field): bigint {
    return this.#bytes.readBigUInt64LE(HeaderOffset[field]);
  }

  atMost(field: Field, most: number): number {
    const value = this.u32(field);
    this.must(value <= most, field, value);
    return value;
  }

  must(holds: boolean, field: Field, value: unknown): void {
    if (!holds) throw this.file.trouble(`its header is damaged: ${field} is ${value}`);
  }
}

/** The version of the format, if this reader knows it and its fixed numbers are right. */
function checkedVersion(fields: HeaderFields): number {
  const byteOrder = fields.u32('byteOrder');
  if (fields.u32BigEndian('byteOrder') === BYTE_ORDER) throw fields.file.trouble('it was written on a machine with the other byte order');
  fields.must(byteOrder === BYTE_ORDER, 'byteOrder', byteOrder);
  const version = fields.u32('version');
  if (version < FORMAT_VERSION_MIN || version > FORMAT_VERSION)
    throw fields.file.trouble(
      `its format has version ${version}, but this reader knows only versions ${FORMAT_VERSION_MIN} to ${FORMAT_VERSION}`,
    );
  for (const [field, expected] of [
    ['shards', SHARDS],
    ['banks', BANKS],
    ['directoryRows', DIRECTORY_ROWS],
  ] as const) {
    const value = fields.u32(field);
    fields.must(value === expected, field, `${value} instead of ${expected}`);
  }
  return version;
}

/** Where the document and the chunks are. */
function placesOf(fields: HeaderFields): Pick<RegionHeader, 'granuleBytes' | 'documentOffset' | 'documentBytes' | 'chunksOffset'> {
  const granuleBytes = fields.u32('granuleBytes');
  const isPowerOf2 = (granuleBytes & (granuleBytes - 1)) === 0;
  fields.must(isPowerOf2 && granuleBytes >= GRANULE_BYTES_MIN && granuleBytes <= GRANULE_BYTES_MAX, 'granuleBytes', granuleBytes);
  const offset = (field: 'documentOffset' | 'chunksOffset', least: number) => {
    const value = fields.u64(field);
    fields.must(value >= least && value <= OFFSET_MAX && value % BigInt(granuleBytes) === 0n, field, value);
    return Number(value);
  };
  const documentOffset = offset('documentOffset', granuleBytes);
  const documentBytes = fields.u64('documentBytes');
  fields.must(documentBytes <= DOCUMENT_BYTES_MAX, 'documentBytes', documentBytes);
  const chunksOffset = offset('chunksOffset', documentOffset + Number(documentBytes));
  return { granuleBytes, documentOffset, documentBytes: Number(documentBytes), chunksOffset };
}

/** Whether the process runs, or how it ended. */
function endingOf(fields: HeaderFields): Pick<RegionHeader, 'state' | 'exitCode'> {
  const number = fields.u32('state');
  const state = Object.entries(RegionStateNumber).find(([, n]) => n === number)?.[0] as RegionHeader['state'] | undefined;
  fields.must(state !== undefined, 'state', number);
  const hasCode = state === 'exited' || state === 'panicked';
  const exitCode = fields.i32('exitCode');
  fields.must(!hasCode || (exitCode >= -1 && exitCode <= 255), 'exitCode', exitCode);
  return { state: state!, exitCode: hasCode && exitCode >= 0 ? exitCode : undefined };
}

function crashOf(file: RegionFile, bytes: Buffer): CrashReport | undefined {
  const number = bytes.readUInt32LE(CrashOffset.signal);
  if (number === 0) return undefined;
  // Some numbers have two names; the schema uses the first one too.
  const signal = Object.entries(constants.signals).find(([, n]) => n === number)?.[0] as NodeJS.Signals | undefined;
  if (signal === undefined) throw file.trouble(`its header is damaged: there is no signal ${number}`);
  return {
    signal,
    code: bytes.readInt32LE(CrashOffset.code),
    address: bytes.readBigUInt64LE(CrashOffset.address),
    threadId: bytes.readInt32LE(CrashOffset.threadId),
    at: dateOf(bytes.readBigInt64LE(CrashOffset.realtimeNs)),
  };
}

function lineOf(commit: bigint, bytes: Buffer): LineRecord | undefined {
  const next = bytes.readBigUInt64LE(LineOffset.commit);
  // Ignore the record of an earlier line.
  if (next === 0n || linesFlushed(next) !== linesFlushed(commit) + 1n || bankOf(next) >= BANKS || bankOf(next) === bankOf(commit))
    return undefined;
  return {
    commit: next,
    device: bytes.readBigUInt64LE(LineOffset.device),
    inode: bytes.readBigUInt64LE(LineOffset.inode),
    offset: bytes.readBigUInt64LE(LineOffset.offset),
    bytes: bytes.readBigUInt64LE(LineOffset.bytes),
    sent: bytes.readBigUInt64LE(LineOffset.sent),
    isRegularFile: bytes.readUInt32LE(LineOffset.isRegularFile) === 1,
  };
}

/** Every 64-bit number of nanoseconds is a valid date. */
function dateOf(ns: bigint): Date {
  return new Date(Number(ns / 1_000_000n));
}

function textUpToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
