// Whether the line in flight of a dead process got out. The process can no longer tell, but the sink can.

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

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

export function settle({ sinkPath }: RegionHeader, line: LineRecord, { head, tail }: OpenLine): Settlement {
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
    const length = Buffer.byteLength(head) + Buffer.byteLength(tail ?? '');
    const bytes = Math.min(Number(info.size - line.offset), SEARCHED_BYTES + 2 * length);
    return containsLine(readAt(fd, bytes, line.offset), head, tail) ? 'out' : 'pending';
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

/** Whether `text` contains a line with this head and tail, and any time between them. */
function containsLine(text: Buffer, head: string, tail: string | undefined): boolean {
  const start = Buffer.from(head);
  const end = Buffer.from(tail ?? '');
  for (let begin = 0; begin < text.length; ) {
    const newline = text.indexOf(0x0a, begin);
    if (newline < 0) return false;
    const line = text.subarray(begin, newline + 1);
    begin = newline + 1;
    if (line.length < start.length + end.length || !line.subarray(0, start.length).equals(start)) continue;
    if (tail === undefined ? line.length === start.length : line.subarray(line.length - end.length).equals(end)) {
      if (tail === undefined || TIME.test(line.toString('latin1', start.length, line.length - end.length))) return true;
    }
  }
  return false;
}
