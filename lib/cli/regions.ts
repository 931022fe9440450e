// The region files that an argument FILE|DIR stands for, and the check that no output overwrites one.

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { checkedPath } from '../arguments.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { fileKind } from '../region/file.ts';
import { asUsageError, UsageError } from './command.ts';

export interface Regions {
  readonly isDirectory: boolean;
  readonly paths: readonly string[];
}

/**
 * A file stands for itself, whatever it contains. A directory stands for the region files directly inside it, sorted by
 * name; files that cannot be opened are among them, so that the reader reports why. `known` has paths that are region
 * files, so that they need not be opened.
 */
export async function regionsOf(path: string, known: { has(path: string): boolean } = new Set<string>()): Promise<Regions> {
  asUsageError(() => checkedPath('FILE', path));
  let isDirectory: boolean;
  try {
    isDirectory = (await stat(path)).isDirectory();
  } catch {
    isDirectory = false; // the reader reports why
  }
  if (!isDirectory) return { isDirectory, paths: [path] };
  const entries = await readdir(path, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !isTemporary(entry.name)).map(({ name }) => join(path, name));
  const paths = files.sort().filter((file) => known.has(file) || fileKind(file) !== 'other');
  return { isDirectory, paths };
}

export function noRegions(path: string): MetricsError {
  return new MetricsError(ErrorCode.REGION, `There is no region file in '${path}'`);
}

/** A region that a process is still making under a temporary name. */
const isTemporary = (name: string) => /^\..*\.tmp$/.test(name);

/** @throws UsageError if the output is a region file: writing there would destroy the metrics of a process. */
export function refuseRegion(output: string): void {
  if (fileKind(output) === 'region') throw new UsageError(`-o '${output}' is a region file; writing to it would destroy its metrics`);
}
