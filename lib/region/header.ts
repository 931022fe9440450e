// The header of a region, read once and checked: nothing of it is believed before.

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
  linesOf,
  MAGIC,
  RegionStateNumber,
  ROWS,
  SHARDS,
  SINK_PATH_BYTES_MAX,
} from './format.ts';
import { pages } from './pages.ts';

/** What the crash handler saw. */
export interface CrashReport {
  /** The signal that it died of. */
  readonly signal: NodeJS.Signals;
  /** `si_code`: for instance 1 of a SIGSEGV says that nothing was mapped there. */
  readonly code: number;
  /** The address of a fault; 0 where the signal has none. */
  readonly address: bigint;
  /** The kernel's number of the thread. */
  readonly threadId: number;
  readonly at: Date;
}

/** A line that the process had not committed. */
export interface LineRecord {
  /** What the header's word is when it is. */
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
  /** Of one that exited or panicked, where it is known. */
  readonly exitCode: number | undefined;
  readonly startTicks: bigint;
  readonly startedAt: Date;
  readonly bootId: string;
  readonly commit: bigint;
  readonly cellsUsed: number;
  readonly shardsUsed: number;
  readonly devicesUsed: number;
  readonly degraded: boolean;
  /** A line went out of which nobody can tell how much the sink took. */
  readonly unsettled: boolean;
  /** Whether a line went out of which nobody can tell how much the sink took. */
  readonly isUnsettled: boolean;
  /** How often devices were retired. */
  readonly retiredEpoch: bigint;
  readonly crash: CrashReport | undefined;
  readonly line: LineRecord | undefined;
  readonly sinkPath: string;
}

const GRANULE_BYTES_MIN = 4096;
/** Of all machines that run Linux and Node. */
const GRANULE_BYTES_MAX = 65_536;
/** Where a document or a chunk can begin: numbers that doubles hold exactly, with room for all chunks behind. */
const OFFSET_MAX = 2n ** 48n;
/** A writer of version 1 used no entry again, and had one for each device that there ever was. */
const DEVICES_MAX_1 = 2 ** 20;

export function readHeader(file: RegionFile): RegionHeader {
  const bytes = pages(HEADER_BYTES);
  const there = file.read(bytes, 0);
  if (there < 16 || bytes.readBigUInt64LE(HeaderOffset.magic) !== MAGIC)
    throw file.trouble('it is no region: it does not begin with VMTRICS1');
  if (there < HEADER_BYTES) throw file.trouble(`it is cut short: of the header's ${HEADER_BYTES} bytes there are ${there}`);
  // Once more what the commit publishes: of what came with it, a part may have been copied before the writer got as
  // far.
  file.read(bytes.subarray(HeaderOffset.cellsUsed, HeaderOffset.degraded), HeaderOffset.cellsUsed);
  // After the counts: there is memory for what they count.
  return headerOf(file, bytes, file.bytes());
}

/** Whether no line was flushed and no device retired since that header was read. */
export function isCurrent(file: RegionFile, { commit, retiredEpoch }: RegionHeader): boolean {
  const now = wordsNow(file);
  return now.commit === commit && now.retiredEpoch === retiredEpoch;
}

/** What the two words are by now that say whether what was read is of one moment. */
export function wordsNow(file: RegionFile): Pick<RegionHeader, 'commit' | 'retiredEpoch'> {
  const word = pages(8);
  const read = (offset: number) => {
    file.read(word, offset);
    return word.readBigUInt64LE();
  };
  return { commit: read(HeaderOffset.commit), retiredEpoch: read(HeaderOffset.retiredEpoch) };
}

function headerOf(file: RegionFile, bytes: Buffer, fileBytes: number): RegionHeader {
  const u32 = (offset: number) => bytes.readUInt32LE(offset);
  const u64 = (offset: number) => bytes.readBigUInt64LE(offset);
  const must = (holds: boolean, field: string, value: unknown) => {
    if (!holds) throw file.trouble(`its header is damaged: ${field} is ${value}`);
  };
  const fixed = (field: 'shards' | 'banks' | 'directoryRows', expected: number) =>
    must(u32(HeaderOffset[field]) === expected, field, `${u32(HeaderOffset[field])} and not ${expected}`);

  if (u32(HeaderOffset.byteOrder) !== BYTE_ORDER) {
    if (bytes.readUInt32BE(HeaderOffset.byteOrder) === BYTE_ORDER) throw file.trouble('it comes from a machine of the other byte order');
    must(false, 'byteOrder', u32(HeaderOffset.byteOrder));
  }
  const version = u32(HeaderOffset.version);
  if (version < FORMAT_VERSION_MIN || version > FORMAT_VERSION)
    throw file.trouble(`its format is version ${version}, and this reader knows ${FORMAT_VERSION_MIN} to ${FORMAT_VERSION}`);
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

  const rows = cellsUsed === 0 ? 0 : Math.floor((cellsUsed - 1) / (granuleBytes / 8)) * ROWS + FIRST_SHARD_ROW + shardsUsed;
  const end = chunksOffset + rows * granuleBytes;
  // Under a process that goes on, only what was lost is gone; of a file that was cut afterwards, nobody knows.
  if (degraded === 0 && rows > 0 && fileBytes < end) throw file.trouble(`it is cut short: it has ${fileBytes} bytes of ${end}`);

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
    unsettled: u32(HeaderOffset.unsettled) !== 0,
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
  // Some numbers have two names; the schema takes the first too.
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
  // What is left of an earlier line says nothing.
  if (next === 0n || linesOf(next) !== linesOf(commit) + 1n || bankOf(next) >= BANKS || bankOf(next) === bankOf(commit)) return undefined;
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

/** Any number of nanoseconds in 64 bits is a date. */
function dateOf(ns: bigint): Date {
  return new Date(Number(ns / 1_000_000n));
}

function textUpToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
