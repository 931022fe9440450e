// Whether the line that a dead process had on its way got out. The process can no longer tell; the sink can.

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

import type { LineRecord, RegionHeader } from './header.ts';
import type { OpenLine } from './line.ts';

/**
 * `out`: it was taken whole, and counts as flushed. `pending`: it was not. `unknown`: it went to a pipe, or to a file
 * that is no longer there, and nobody noted how far; it counts as pending, so that nothing is lost, and some of it may
 * be said twice.
 */
export type Settlement = 'out' | 'pending' | 'unknown';

/**
 * How much of a file is searched behind the place where the line was to begin: lines of others may have come before it.
 */
const SEARCHED_BYTES = 1 << 20;
/** The time is the only thing in a line that its values do not give: milliseconds in at most 64 bits. */
const TIME = /^\d{1,20}$/;

export function settle({ sinkPath }: RegionHeader, line: LineRecord, { head, tail }: OpenLine): Settlement {
  if (line.bytes !== 0n && line.sent === line.bytes) return 'out';
  if (!line.isRegularFile || sinkPath === '') return 'unknown';
  let fd: number | undefined;
  try {
    // A look before: to open a device can do things.
    const isIt = (info: { isFile(): boolean; dev: bigint; ino: bigint }) =>
      info.isFile() && info.dev === line.device && info.ino === line.inode;
    if (!isIt(statSync(sinkPath, { bigint: true }))) return 'unknown';
    fd = openSync(sinkPath, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const info = fstatSync(fd, { bigint: true });
    if (!isIt(info)) return 'unknown';
    if (line.offset >= info.size) return 'pending';
    const length = Buffer.byteLength(head) + Buffer.byteLength(tail ?? '');
    const bytes = Math.min(Number(info.size - line.offset), SEARCHED_BYTES + 2 * length);
    return isAmong(readAt(fd, bytes, line.offset), head, tail) ? 'out' : 'pending';
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

/** Whether one of the lines is this one, whatever its time. */
function isAmong(text: Buffer, head: string, tail: string | undefined): boolean {
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
