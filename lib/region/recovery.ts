// The last lines of earlier lives, written by the next one. This file finds and prepares them when a store gets its
// sink; native code (native/flush/recovery.h) sends them before the first line of the store itself.

import type { Recovery } from '../binding.ts';
import { LOCK_PATIENCE_MS, RegionFile } from './file.ts';
import { generationsOf } from './generations.ts';
import { readHeader } from './header.ts';
import { prepareLine, settleInPlace } from './last-line.ts';
import { isAllFlushed } from './settled.ts';
import { headerPath, pathOfSink } from './sink-path.ts';

export interface Recoveries {
  /** The oldest line comes first. The files stay locked until `close()`, or as long as native code uses them. */
  readonly lines: readonly Recovery[];
  close(): void;
}

/**
 * Prepares the last lines of all earlier lives of `file` that have pending values and had the same sink. Readers of the
 * files see no change yet. A file that cannot be read, or that another process is using, stays as it is.
 */
export function prepareRecoveries(file: string, destination: string | number): Recoveries {
  const files: RegionFile[] = [];
  const lines: Recovery[] = [];
  const deadline = Date.now() + LOCK_PATIENCE_MS; // for all files together
  const sinkPath = headerPath(pathOfSink(destination));
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
      region?.close(); // the next life tries again; `vmm-metrics show` reports what is wrong
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
  if (isAllFlushed(content)) return undefined;
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
