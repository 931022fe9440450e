// The last lines of earlier lives, said by the next one: found and prepared here, when a store gets its sink; sent by
// native code (native/flush/recovery.h), before any line of the store's own.

import { readlinkSync } from 'node:fs';

import type { Recovery } from '../binding.ts';
import { RegionFile } from './file.ts';
import { SINK_PATH_BYTES_MAX } from './format.ts';
import { generationsOf } from './generations.ts';
import { readHeader } from './header.ts';
import { prepareLine, settleInPlace } from './last-line.ts';
import { isSaid } from './reader.ts';

/**
 * How long others are waited for, by all files together: who only asks whether a writer lives has its file for a moment
 * too. Who has it for longer is about to say its line.
 */
const LOCK_PATIENCE_MS = 500;

export interface Recoveries {
  /** The oldest first. Their files are locked until `close()`, or as long as native code has them. */
  readonly lines: readonly Recovery[];
  close(): void;
}

/**
 * Prepares the lines of all earlier lives of `file` that have something pending and had this sink. Nothing that a
 * reader goes by is changed yet. What cannot be read, or is somebody's just now, stays as it is.
 */
export function prepareRecoveries(file: string, destination: string | number): Recoveries {
  const files: RegionFile[] = [];
  const lines: Recovery[] = [];
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  const sinkPath = sinkPathOf(destination);
  for (const { number, path } of sinkPath === '' ? [] : generationsOf(file).reverse()) {
    let region: RegionFile | undefined;
    try {
      region = RegionFile.open(path, 'write');
      const line = preparedLine(region, sinkPath, number, deadline);
      if (line === undefined) {
        region.close();
        continue;
      }
      files.push(region);
      lines.push(line);
    } catch {
      region?.close(); // the next life tries it again; `vmm-metrics show` says what is wrong with it
    }
  }
  return {
    lines,
    close: () => {
      for (const region of files) region.close();
    },
  };
}

function preparedLine(file: RegionFile, sinkPath: string, number: number, deadline: number): Recovery | undefined {
  if (readHeader(file).sinkPath !== sinkPath || !lockBy(deadline, file)) return undefined;
  const content = settleInPlace(file);
  if (isSaid(content)) return undefined;
  const { text, commit, record } = prepareLine(file, content);
  return {
    file: file.descriptor,
    commit,
    text: Buffer.from(text),
    record,
    hasLine: content.header.line !== undefined,
    removePath: number > 1 ? file.path : '',
  };
}

function lockBy(deadline: number, file: RegionFile): boolean {
  while (!file.lock()) {
    if (Date.now() >= deadline) return false;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a millisecond
  }
  return true;
}

/** As Sink::CopyPath in native/flush/sink.h will put it into the header; empty where a sink has no path. */
function sinkPathOf(destination: string | number): string {
  let path: string;
  try {
    path = typeof destination === 'string' ? destination : readlinkSync(`/proc/self/fd/${destination}`);
  } catch {
    return '';
  }
  return path.startsWith('/') && Buffer.byteLength(path) < SINK_PATH_BYTES_MAX ? path : '';
}
