// Files that a command writes as a whole.

import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Writes all of the text or nothing: an older file stays until the new one replaces it. A pipe, a link, or anything
 * else that is not a regular file is written to directly. An error names `what` and the path.
 */
export function writeWhole(what: string, path: string, text: string): void {
  withContext(`Cannot write ${what} '${path}'`, () => {
    const old = lstatSync(path, { throwIfNoEntry: false });
    if (old !== undefined && !old.isFile()) {
      writeFileSync(path, text);
      return;
    }
    const temporary = join(dirname(path), `.vmm-metrics-${process.pid}.tmp`);
    try {
      writeFileSync(temporary, text, { flag: 'wx', mode: old?.mode ?? 0o666 });
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

/** Runs `act`; the message of its error gets `context` in front. */
export function withContext<T>(context: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new Error(`${context}: ${(error as Error).message}`, { cause: error });
  }
}
