// The path of a sink, as the header of a region names it.

import { readlinkSync } from 'node:fs';

import { SINK_PATH_BYTES_MAX } from './format.ts';

/** The path of a sink; empty for a descriptor that has none. */
export function pathOfSink(sink: string | number): string {
  if (typeof sink === 'string') return sink;
  try {
    return readlinkSync(`/proc/self/fd/${sink}`);
  } catch {
    return '';
  }
}

/**
 * The path for the header, as Sink::CopyPath in native/flush/sink.h makes it. Empty if there is no path, or if the path
 * is too long: then nobody can find out from the file whether a line got out.
 */
export function headerPath(path: string): string {
  return path.startsWith('/') && Buffer.byteLength(path) < SINK_PATH_BYTES_MAX ? path : '';
}
