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
import { pages, scratchPages } from './pages.ts';

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
  readonly crash: CrashReport | undefined;
  readonly line: LineRecord | undefined;
  readonly sinkPath: string;
}

const GRANULE_BYTES_MIN = 4096;
/** The largest page of all machines that run Linux and Node. */
const GRANULE_BYTES_MAX = 65_536;
/** The last offset at which a document or a chunk may begin: doubles hold it exactly, and all chunks fit behind it. */
const OFFSET_MAX = 2n ** 48n;
/** A writer of version 1 never reuses an entry: it has one for every device that ever existed. */
const DEVICES_MAX_1 = 2 ** 20;

export function readHeader(file: RegionFile): RegionHeader {
  return new HeaderReader().read(file);
}

/** Reads a header again and again, and decodes it again only if its bytes changed. */
export class HeaderReader {
  /** The bytes that were read last, and those that `#header` was decoded from. */
  #bytes = pages(HEADER_BYTES);
  #decoded = pages(HEADER_BYTES);
  #header: RegionHeader | undefined;

  /**
   * @param sizeBefore The size of the file a moment ago, if it is known. Usually this size already shows that the file
   * is not too short.
   * @throws MetricsError `ERR_METRICS_REGION` if the header is damaged, or if the file is shorter than the header says.
   */
  read(file: RegionFile, sizeBefore = 0): RegionHeader {
    const bytes = this.#bytes;
    readBytes(file, bytes);
    if (this.#header === undefined || bytes.compare(this.#decoded) !== 0) {
      this.#header = undefined;
      this.#header = headerOf(file, bytes);
      [this.#bytes, this.#decoded] = [this.#decoded, bytes];
    }
    checkLength(file, this.#header, sizeBefore);
    return this.#header;
  }
}

function readBytes(file: RegionFile, bytes: Buffer): void {
  const there = file.read(bytes, 0);
  if (there < 16 || bytes.readBigUInt64LE(HeaderOffset.magic) !== MAGIC) throw file.trouble('it is not a region file (bad magic)');
  if (there < HEADER_BYTES) throw file.trouble(`it is cut short: only ${there} of the header's ${HEADER_BYTES} bytes are there`);
  // The counts again: the writer may have published them, with the commit word, after they were copied.
  file.readAt(bytes, HeaderOffset.cellsUsed, HeaderOffset.degraded - HeaderOffset.cellsUsed, HeaderOffset.cellsUsed);
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
  // The size after the counts: the file grows before a count does.
  const size = file.bytes();
  if (size < end) throw file.trouble(`it is cut short: only ${size} of its ${end} bytes are there`);
}

function headerOf(file: RegionFile, bytes: Buffer): RegionHeader {
  const u32 = (offset: number) => bytes.readUInt32LE(offset);
  const u64 = (offset: number) => bytes.readBigUInt64LE(offset);
  const must = (holds: boolean, field: string, value: unknown) => {
    if (!holds) throw file.trouble(`its header is damaged: ${field} is ${value}`);
  };
  const fixed = (field: 'shards' | 'banks' | 'directoryRows', expected: number) =>
    must(u32(HeaderOffset[field]) === expected, field, `${u32(HeaderOffset[field])} instead of ${expected}`);

  if (u32(HeaderOffset.byteOrder) !== BYTE_ORDER) {
    if (bytes.readUInt32BE(HeaderOffset.byteOrder) === BYTE_ORDER)
      throw file.trouble('it was written on a machine with the other byte order');
    must(false, 'byteOrder', u32(HeaderOffset.byteOrder));
  }
  const version = u32(HeaderOffset.version);
  if (version < FORMAT_VERSION_MIN || version > FORMAT_VERSION)
    throw file.trouble(`its format has version ${version}, but this reader knows only versions ${FORMAT_VERSION_MIN} to ${FORMAT_VERSION}`);
  fixed('shards', SHARDS);
  fixed('banks', BANKS);
  fixed('directoryRows', DIRECTORY_ROWS);

  const granuleBytes = u32(HeaderOffset.granuleBytes);
  const isPowerOf2 = (granuleBytes & (granuleBytes - 1)) === 0;
  must(isPowerOf2 && granuleBytes >= GRANULE_BYTES_MIN && granuleBytes <= GRANULE_BYTES_MAX, 'granuleBytes', granuleBytes);
  const offset = (field: 'documentOffset' | 'chunksOffset', least: number) => {
    const value = u64(HeaderOffset[field]);
    must(value >= least && value <= OFFSET_MAX && value % BigInt(granuleBytes) === 0n, field, value);
    return Number(value);
  };
  const documentOffset = offset('documentOffset', granuleBytes);
  must(u64(HeaderOffset.documentBytes) <= DOCUMENT_BYTES_MAX, 'documentBytes', u64(HeaderOffset.documentBytes));
  const documentBytes = Number(u64(HeaderOffset.documentBytes));
  const chunksOffset = offset('chunksOffset', documentOffset + documentBytes);

  const pid = bytes.readInt32LE(HeaderOffset.processId);
  must(pid > 0, 'processId', pid);
  const fingerprint = u64(HeaderOffset.schemaFingerprint);
  must(fingerprint !== 0n, 'schemaFingerprint', fingerprint);
  const commit = u64(HeaderOffset.commit);
  must(bankOf(commit) < BANKS, 'commit', commit);
  const count = (field: 'cellsUsed' | 'shardsUsed' | 'devicesUsed', most: number) => {
    must(u32(HeaderOffset[field]) <= most, field, u32(HeaderOffset[field]));
    return u32(HeaderOffset[field]);
  };
  const cellsUsed = count('cellsUsed', CELLS_MAX);
  const shardsUsed = count('shardsUsed', SHARDS);
  const devicesUsed = count('devicesUsed', version === 1 ? DEVICES_MAX_1 : DEVICES_MAX);
  const degraded = u32(HeaderOffset.degraded);
  must(degraded <= 1, 'degraded', degraded);
  const unsettled = u32(HeaderOffset.unsettled);
  must(unsettled <= 1, 'unsettled', unsettled);

  const stateNumber = u32(HeaderOffset.state);
  const state = Object.entries(RegionStateNumber).find(([, n]) => n === stateNumber)?.[0] as RegionHeader['state'] | undefined;
  must(state !== undefined, 'state', stateNumber);
  const hasCode = state === 'exited' || state === 'panicked';
  const exitCode = bytes.readInt32LE(HeaderOffset.exitCode);
  must(!hasCode || (exitCode >= -1 && exitCode <= 255), 'exitCode', exitCode);
  return {
    granuleBytes,
    fingerprint,
    documentOffset,
    documentBytes,
    chunksOffset,
    pid,
    state: state!,
    exitCode: hasCode && exitCode >= 0 ? exitCode : undefined,
    startTicks: u64(HeaderOffset.processStartTicks),
    startedAt: dateOf(bytes.readBigInt64LE(HeaderOffset.processStartRealtimeNs)),
    bootId: textUpToNul(bytes.subarray(HeaderOffset.bootId, HeaderOffset.bootId + BOOT_ID_BYTES)),
    commit,
    cellsUsed,
    shardsUsed,
    devicesUsed,
    degraded: degraded === 1,
    isUnsettled: unsettled === 1,
    retiredEpoch: u64(HeaderOffset.retiredEpoch),
    crash: state === 'crashed' ? crashOf(file, bytes.subarray(HeaderOffset.crash, HeaderOffset.line)) : undefined,
    line: lineOf(commit, bytes.subarray(HeaderOffset.line, HeaderOffset.line + LINE_BYTES)),
    sinkPath: textUpToNul(bytes.subarray(HeaderOffset.sinkPath, HeaderOffset.sinkPath + SINK_PATH_BYTES_MAX)),
  };
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
