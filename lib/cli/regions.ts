// The region files that an argument FILE|DIR stands for.

import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkedPath } from '../arguments.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { isRegion } from '../region/file.ts';
import { MAGIC } from '../region/format.ts';
import { asUsage, UsageError } from './command.ts';

export interface Regions {
  readonly isFolder: boolean;
  readonly paths: readonly string[];
}

/** A file stands for itself, whatever it is; a folder for all region files right in it, sorted by name. */
export async function regionsOf(path: string): Promise<Regions> {
  asUsage(() => checkedPath('FILE', path));
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch {
    isFolder = false; // the reader says why
  }
  if (!isFolder) return { isFolder, paths: [path] };
  const entries = await readdir(path, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !isTemporary(entry.name)).map(({ name }) => join(path, name));
  const paths: string[] = [];
  for (const file of files.sort()) {
    if (await mayBeRegion(file)) paths.push(file);
  }
  return { isFolder, paths };
}

export function noRegions(path: string): MetricsError {
  return new MetricsError(ErrorCode.REGION, `There is no region file in '${path}'`);
}

/** A region that is being made: it has no name of its own yet. */
const isTemporary = (name: string) => /^\..*\.tmp$/.test(name);

/** By its first bytes. Of a file that cannot be opened the reader says so. */
async function mayBeRegion(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY);
    try {
      const magic = Buffer.alloc(8);
      await file.read(magic, 0, 8, 0);
      return magic.readBigUInt64LE() === MAGIC;
    } finally {
      await file.close();
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** @throws UsageError when what would be written would destroy the metrics of a process. */
export function refuseRegion(output: string): void {
  if (isRegion(output)) throw new UsageError(`-o '${output}' is the region of a store, which would be destroyed`);
}
