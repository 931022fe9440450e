// Writes the last line on behalf of a dead process, exactly once: if this process dies in the middle, the region file
// still tells whether the line got out.

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { binding } from '../binding.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { failureError } from '../failures.ts';
import { fileKind, LOCK_PATIENCE_MS, RegionFile } from './file.ts';
import { bankOf, FIRST_SHARD_ROW, HeaderOffset, LINE_BYTES, LineOffset, linesFlushed, SINK_PATH_BYTES_MAX } from './format.ts';
import { lineAt, openLine } from './line.ts';
import { readRows, rowOffset } from './rows.ts';
import { hasHalfLine, hasUnflushed, readSettled, type SettledContent, sourceOf } from './settled.ts';
import { headerPath, pathOfSink } from './sink-path.ts';

/** How long to wait for a reader of a pipe, and then for the reader to take the line. */
const PATIENCE_MS = 5000;

/** A line that was written. */
export interface LastLine {
  /** The dead process. */
  readonly pid: number;
  readonly bytes: number;
}

/**
 * Writes the line of a dead process to a sink, and commits it in the region.
 * @returns What was written; undefined if nothing was pending.
 * @throws MetricsError `ERR_METRICS_REGION` if the process lives, or another process is flushing the file;
 * `ERR_METRICS_OPEN` or `ERR_METRICS_WRITE` if the line did not get out: then nothing is committed.
 */
export async function flushLastLine(path: string, sink: string | number): Promise<LastLine | undefined> {
  const file = RegionFile.open(path, 'write');
  try {
    await takeOver(file);
    const content = settleInPlace(file);
    if (!hasUnflushed(content)) return undefined;
    const target = await openSink(sink);
    try {
      return { pid: content.header.pid, bytes: flushTo(file, content, target) };
    } finally {
      target.close();
    }
  } finally {
    file.close();
  }
}

async function takeOver(file: RegionFile): Promise<void> {
  for (const deadline = Date.now() + LOCK_PATIENCE_MS; !file.lock(); await sleep(10)) {
    if (Date.now() < deadline) continue;
    if (!file.isHeld()) throw file.trouble('another process is flushing it');
    const { header } = readSettled(file);
    throw file.trouble(`process ${header.pid} is running, and flushes its lines itself`);
  }
}

/** Reads a region that this process has locked. A line in flight that got out is committed. */
export function settleInPlace(file: RegionFile): SettledContent {
  const content = readSettled(file);
  if (content.settlement === 'out') writeWord(file, HeaderOffset.commit, content.commit);
  return content;
}

export interface PreparedLine {
  readonly text: string;
  /** The value of the header's word `commit` once the line is out. */
  readonly commit: bigint;
  /**
   * The record of the line in flight as it is in the header now. It is put back if nothing of the new line gets out.
   */
  readonly record: Buffer;
}

/**
 * Makes the line, and writes its values into a bank. The bank is neither the committed one nor that of a line in
 * flight, so readers of the region see no change.
 */
export function prepareLine(file: RegionFile, content: SettledContent): PreparedLine {
  const { header, totals, before, commit, settlement } = content;
  const line = openLine(sourceOf(file.path, content), totals, before);
  const usedBanks = [bankOf(commit), ...(header.line && settlement !== 'out' ? [bankOf(header.line.commit)] : [])];
  const bank = [0, 1, 2].find((one) => !usedBanks.includes(one))!;
  fillBank(file, content, bank);
  const record = Buffer.alloc(LINE_BYTES);
  file.read(record, HeaderOffset.line);
  return {
    text: lineAt(line, header.crash?.at.getTime() ?? Date.now()),
    commit: ((linesFlushed(commit) + 1n) << 2n) | BigInt(bank),
    record,
  };
}

/** Returns how many bytes the line has. */
function flushTo(file: RegionFile, content: SettledContent, target: SinkTarget): number {
  const { header } = content;
  const { text, commit, record: earlier } = prepareLine(file, content);
  const info = fstatSync(target.fd, { bigint: true });
  const isSame = header.line !== undefined && info.dev === header.line.device && info.ino === header.line.inode;
  // Half a line of the dead process may be in the pipe. A reader must not take this line for its other half.
  const isAfterHalf = isSame && hasHalfLine(content);
  const bytes = Buffer.from(isAfterHalf ? `\n${text}` : text);
  const record = Buffer.alloc(LINE_BYTES);
  record.writeBigUInt64LE(commit, LineOffset.commit);
  record.writeBigUInt64LE(info.dev, LineOffset.device);
  record.writeBigUInt64LE(info.ino, LineOffset.inode);
  record.writeBigUInt64LE(info.isFile() ? info.size : 0n, LineOffset.offset);
  record.writeBigUInt64LE(BigInt(bytes.length), LineOffset.bytes);
  // As in Recoveries::Begin, native/flush/recovery.cc: the half line must stay on record until something follows it in
  // the sink.
  record.writeBigUInt64LE(isAfterHalf ? 1n : 0n, LineOffset.sent);
  record.writeUInt32LE(info.isFile() ? 1 : 0, LineOffset.isRegularFile);
  const earlierPath = Buffer.alloc(SINK_PATH_BYTES_MAX);
  file.read(earlierPath, HeaderOffset.sinkPath);
  // Write the record before the path: while the two name different sinks, the line in flight counts as pending.
  file.write(record, HeaderOffset.line);
  const path = Buffer.alloc(SINK_PATH_BYTES_MAX);
  path.write(headerPath(target.path));
  file.write(path, HeaderOffset.sinkPath);

  const { sent, failure } = binding().send(target.fd, bytes, PATIENCE_MS);
  if (failure !== undefined) {
    if (sent > 0) writeWord(file, HeaderOffset.line + LineOffset.sent, BigInt(sent));
    else {
      // Nothing got out, so the line in flight is still the earlier one.
      file.write(earlierPath, HeaderOffset.sinkPath);
      file.write(earlier, HeaderOffset.line);
    }
    throw failureError(failure, { what: `Failed to write metrics to '${target.path}'`, error: ErrorCode.WRITE });
  }
  writeWord(file, HeaderOffset.commit, commit);
  writeWord(file, HeaderOffset.line + LineOffset.commit, 0n);
  return Buffer.byteLength(text);
}

/** Writes the values of the line into a bank that nobody reads yet. */
function fillBank(file: RegionFile, { header, map }: SettledContent, bank: number): void {
  const { cellsUsed, granuleBytes } = header;
  const values = new BigUint64Array(cellsUsed);
  readRows(
    file,
    header,
    { kinds: map.kinds, slots: Uint32Array.from(values, (_, cell) => cell) },
    FIRST_SHARD_ROW,
    header.shardsUsed,
    values,
  );
  const bytes = new Uint8Array(values.buffer);
  for (let begin = 0, chunk = 0; begin < bytes.length; begin += granuleBytes, chunk++) {
    file.write(bytes.subarray(begin, begin + granuleBytes), rowOffset(header, chunk, bank));
  }
}

interface SinkTarget {
  readonly fd: number;
  readonly path: string;
  close(): void;
}

/**
 * Opens a path or takes a descriptor. Waits for a pipe's reader: an unread pipe loses its content when it is closed.
 */
async function openSink(sink: string | number): Promise<SinkTarget> {
  if (typeof sink === 'number') {
    return { fd: sink, path: pathOfSink(sink), close: () => {} };
  }
  if (fileKind(sink) === 'region') {
    throw new MetricsError(ErrorCode.OPEN, `Cannot open the metrics destination '${sink}': it is the region of a store`);
  }
  const flags = constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;
  const opened = (more: number) => openSync(sink, flags | more, 0o600);
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      const fd = openedOrMade(opened);
      return { fd, path: resolve(sink), close: () => closeSync(fd) };
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === 'ENXIO' && Date.now() < deadline) {
        await sleep(50);
        continue;
      }
      const why = code === 'ENXIO' ? `the pipe has no reader: ${message}` : message;
      throw new MetricsError(ErrorCode.OPEN, `Cannot open the metrics destination '${sink}': ${why}`, { cause });
    }
  }
}

/** Without O_CREAT first: with it, the kernel refuses another user's pipe in a shared directory. */
function openedOrMade(open: (more: number) => number): number {
  try {
    return open(constants.O_WRONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(constants.O_WRONLY | constants.O_CREAT);
  }
}

function writeWord(file: RegionFile, offset: number, word: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(word);
  file.write(bytes, offset);
}
