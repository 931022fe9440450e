// The last line of a process that is gone, said for it: once, and so that whoever dies in the middle has said it or
// not.

import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { binding } from '../binding.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { systemError } from '../failures.ts';
import { rowOffset, totalRows } from './content.ts';
import { fileKind, RegionFile } from './file.ts';
import { bankOf, HeaderOffset, LINE_BYTES, LineOffset, linesOf, SINK_PATH_BYTES_MAX } from './format.ts';
import { lineAt, openLine } from './line.ts';
import { hasNews, isCut, readSettled, type SettledContent, sourceOf } from './reader.ts';

/** How long a reader of a pipe is waited for. */
const PATIENCE_MS = 5000;
/** How long others are waited for who have the file for a moment: to ask whether its writer lives takes a lock too. */
const LOCK_PATIENCE_MS = 500;

/**
 * Sends the line of a dead process to a sink, and commits it in the region. False: there was nothing to say.
 * @throws MetricsError `ERR_METRICS_REGION` when the process lives, or somebody else is at it; `ERR_METRICS_OPEN`,
 * `ERR_METRICS_WRITE` when the line did not get out: nothing is committed then.
 */
export async function flushLastLine(path: string, sink: string | number): Promise<boolean> {
  const file = RegionFile.open(path, 'write');
  try {
    await takeOver(file);
    const content = settleInPlace(file);
    if (!hasNews(content)) return false;
    const target = await openSink(sink);
    try {
      flushTo(file, content, target);
    } finally {
      target.close();
    }
    return true;
  } finally {
    file.close();
  }
}

async function takeOver(file: RegionFile): Promise<void> {
  for (const deadline = Date.now() + LOCK_PATIENCE_MS; !file.lock(); await sleep(10)) {
    if (Date.now() < deadline) continue;
    if (!file.isHeld()) throw file.trouble('somebody else is flushing it');
    const { header } = readSettled(file);
    throw file.trouble(`process ${header.pid} is running, and flushes it itself`);
  }
}

/** Reads a region that is ours. A line that was out after all is committed. */
export function settleInPlace(file: RegionFile): SettledContent {
  const content = readSettled(file);
  if (content.settlement === 'out') writeWord(file, HeaderOffset.commit, content.commit);
  return content;
}

export interface PreparedLine {
  readonly text: string;
  /** What the header's word is once the line is out. */
  readonly commit: bigint;
  /** The line in flight as the header has it by now: what it says again when nothing of this one is out. */
  readonly record: Buffer;
}

/**
 * Makes the line, and puts its values into a bank: one that stands neither for what was flushed nor for a line in
 * flight, so that all is as it was for whoever reads the region.
 */
export function prepareLine(file: RegionFile, content: SettledContent): PreparedLine {
  const { header, totals, before, commit, settlement } = content;
  const line = openLine(sourceOf(file, content), totals, before);
  const taken = [bankOf(commit), ...(header.line && settlement !== 'out' ? [bankOf(header.line.commit)] : [])];
  const bank = [0, 1, 2].find((one) => !taken.includes(one))!;
  fillBank(file, content, bank);
  const record = Buffer.alloc(LINE_BYTES);
  file.read(record, HeaderOffset.line);
  return {
    text: lineAt(line, header.crash?.at.getTime() ?? Date.now()),
    commit: ((linesOf(commit) + 1n) << 2n) | BigInt(bank),
    record,
  };
}

function flushTo(file: RegionFile, content: SettledContent, target: SinkTarget): void {
  const { header } = content;
  const { text, commit, record: earlier } = prepareLine(file, content);
  const info = fstatSync(target.fd, { bigint: true });
  const isSame = header.line !== undefined && info.dev === header.line.device && info.ino === header.line.inode;
  // Half a line of the dead process may be in the pipe: what follows must not be taken for its other half.
  const isBehindHalf = isSame && isCut(content);
  const bytes = Buffer.from(isBehindHalf ? `\n${text}` : text);
  const record = Buffer.alloc(LINE_BYTES);
  record.writeBigUInt64LE(commit, LineOffset.commit);
  record.writeBigUInt64LE(info.dev, LineOffset.device);
  record.writeBigUInt64LE(info.ino, LineOffset.inode);
  record.writeBigUInt64LE(info.isFile() ? info.size : 0n, LineOffset.offset);
  record.writeBigUInt64LE(BigInt(bytes.length), LineOffset.bytes);
  // As Recoveries::Begin in native/flush/recovery.cc: the half must not be forgotten before something stands behind it.
  record.writeBigUInt64LE(isBehindHalf ? 1n : 0n, LineOffset.sent);
  record.writeUInt32LE(info.isFile() ? 1 : 0, LineOffset.isRegularFile);
  const earlierPath = Buffer.alloc(SINK_PATH_BYTES_MAX);
  file.read(earlierPath, HeaderOffset.sinkPath);
  // In this order: a record whose sink is not the one of the path settles nothing, and its line counts as pending.
  file.write(record, HeaderOffset.line);
  file.write(sinkPathOf(target), HeaderOffset.sinkPath);

  const { sent, failure } = binding().send(target.fd, bytes, PATIENCE_MS);
  if (failure !== undefined) {
    if (sent > 0) writeWord(file, HeaderOffset.line + LineOffset.sent, BigInt(sent));
    else {
      // Nothing of it is out, so nothing is in flight but what was before.
      file.write(earlierPath, HeaderOffset.sinkPath);
      file.write(earlier, HeaderOffset.line);
    }
    const cause = systemError(failure);
    throw new MetricsError(ErrorCode.WRITE, `Failed to write metrics to '${target.path}': ${cause.message}`, { cause });
  }
  writeWord(file, HeaderOffset.commit, commit);
  writeWord(file, HeaderOffset.line + LineOffset.commit, 0n);
}

/** The values of the line go into a bank that nobody reads yet. */
function fillBank(file: RegionFile, { header, map }: SettledContent, bank: number): void {
  for (const { chunk, words } of totalRows(file, header, map)) {
    file.write(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), rowOffset(header, chunk, bank));
  }
}

interface SinkTarget {
  readonly fd: number;
  readonly path: string;
  close(): void;
}

/** A path, or a descriptor. A pipe must have a reader: when the last end is closed, what nobody has read is gone. */
async function openSink(sink: string | number): Promise<SinkTarget> {
  if (typeof sink === 'number') {
    return { fd: sink, path: descriptorPath(sink), close: () => {} };
  }
  if (fileKind(sink) === 'region') {
    throw new MetricsError(ErrorCode.OPEN, `Cannot open the metrics destination '${sink}': it is the region of a store`);
  }
  const flags = constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;
  const opened = (more: number) => openSync(sink, flags | more, 0o600);
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      // Without O_CREAT first: with it, a pipe of another user in a shared folder is refused.
      const fd = openedOrMade(opened);
      return { fd, path: resolve(sink), close: () => closeSync(fd) };
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === 'ENXIO' && Date.now() < deadline) {
        await sleep(50);
        continue;
      }
      const why = code === 'ENXIO' ? `nobody reads it: ${message}` : message;
      throw new MetricsError(ErrorCode.OPEN, `Cannot open the metrics destination '${sink}': ${why}`, { cause });
    }
  }
}

/** Without O_CREAT first: with it, a pipe of another user in a shared folder is refused. */
function openedOrMade(open: (more: number) => number): number {
  try {
    return open(constants.O_WRONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(constants.O_WRONLY | constants.O_CREAT);
  }
}

function descriptorPath(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/** Of a path that is too long nothing is noted: then nobody looks there whether the line got out. */
function sinkPathOf({ path }: SinkTarget): Buffer {
  const bytes = Buffer.alloc(SINK_PATH_BYTES_MAX);
  const text = Buffer.from(path);
  if (path.startsWith('/') && text.length < bytes.length) text.copy(bytes);
  return bytes;
}

function writeWord(file: RegionFile, offset: number, word: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(word);
  file.write(bytes, offset);
}
