// Whether the line in flight of a dead process got out. The process can no longer tell, but the sink can.

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

import { LINE_BYTES_MAX } from './format.ts';
import type { LineRecord, RegionHeader } from './header.ts';
import type { OpenLine } from './line.ts';

/**
 * What became of a line in flight.
 * - `out`: the sink took all of it, so its values count as flushed.
 * - `pending`: the sink did not take all of it.
 * - `unknown`: it went to a pipe, or to a file that no longer exists, and nobody recorded how much was taken. The
 *   line's values count as pending, so that no value is lost; some may be written twice.
 */
export type Settlement = 'out' | 'pending' | 'unknown';

/**
 * How much of the file to search, beginning where the line should begin: lines of other processes may have come first.
 */
const SEARCHED_BYTES = 1 << 20;
/** The time, the only part of a line that does not follow from values: milliseconds in at most 64 bits. */
const TIME = /^\d{1,20}$/;

export function settle({ sinkPath }: RegionHeader, line: LineRecord, open: OpenLine): Settlement {
  if (line.bytes !== 0n && line.sent === line.bytes) return 'out';
  if (!line.isRegularFile || sinkPath === '') return 'unknown';
  let fd: number | undefined;
  try {
    // stat() first: opening a device can have effects.
    const isSink = (info: { isFile(): boolean; dev: bigint; ino: bigint }) =>
      info.isFile() && info.dev === line.device && info.ino === line.inode;
    if (!isSink(statSync(sinkPath, { bigint: true }))) return 'unknown';
    fd = openSync(sinkPath, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const info = fstatSync(fd, { bigint: true });
    if (!isSink(info)) return 'unknown';
    if (line.offset >= info.size) return 'pending';
    const bytes = Math.min(Number(info.size - line.offset), SEARCHED_BYTES + Math.min(Number(line.bytes), LINE_BYTES_MAX + 1));
    const isLine = lineTest(open, line.bytes);
    return linesOf(readAt(fd, bytes, line.offset)).some(isLine) ? 'out' : 'pending';
  } catch {
    return 'unknown';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function readAt(fd: number, count: number, offset: bigint): Buffer {
  const buffer = Buffer.alloc(count);
  let filled = 0;
  while (filled < count) {
    const bytesRead = readSync(fd, buffer, filled, count - filled, Number(offset) + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** The complete lines of a text, each with its newline. */
function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let begin = 0, end = 0; ; begin = end) {
    end = text.indexOf(0x0a, begin) + 1;
    if (end === 0) return lines;
    lines.push(text.subarray(begin, end));
  }
}

/** A function that tells whether a line is the line `open`, with any time. */
function lineTest(open: OpenLine, bytes: bigint): (line: Buffer) => boolean {
  const head = Buffer.from(open.head);
  const tail = Buffer.from(open.tail ?? '');
  const isExact = (line: Buffer) =>
    line.length >= head.length + tail.length &&
    line.subarray(0, head.length).equals(head) &&
    line.subarray(line.length - tail.length).equals(tail) &&
    (open.tail === undefined ? line.length === head.length : TIME.test(line.toString('latin1', head.length, line.length - tail.length)));
  // `bytes` may include a newline before the line.
  const isLong = ({ length }: Buffer) => BigInt(length) === bytes || BigInt(length) === bytes - 1n;
  const hasDevices = open.frame.length > (open.tail === undefined ? 1 : 2);
  return (line) => isExact(line) || (hasDevices && isLong(line) && isSameButDevices(line.toString(), open));
}

/**
 * Whether a line of the right length is `open`, if devices came or went between the collection of the line and the
 * death of the process. The directory then has other devices than the line, so only the rest of the line can be
 * compared.
 */
function isSameButDevices(line: string, { frame }: OpenLine): boolean {
  if (!line.startsWith(frame[0]!) || !line.endsWith(frame.at(-1)!)) return false;
  let end = 0;
  return frame.every((text) => {
    const begin = line.indexOf(text, end);
    end = begin + text.length;
    return begin >= 0;
  });
}
