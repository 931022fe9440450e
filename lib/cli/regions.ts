// The region files that a command's paths stand for, and the check that no output overwrites one.

import { checkedPath, shown } from '../arguments.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { fileKind } from '../region/file.ts';
import { KeptRegion } from '../region/kept-region.ts';
import { type FoundRegion, findRegions } from '../region/region-paths.ts';
import type { SettledContent } from '../region/settled.ts';
import { asUsageError, UsageError } from './command.ts';

export interface CommandRegion extends FoundRegion {
  /** Whether one of the paths names this very file, so that it was not found in a folder or by a pattern. */
  readonly isNamed: boolean;
}

export interface CommandRegions {
  /** Not empty. */
  readonly regions: readonly CommandRegion[];
  /** The folders that could not be read, and the paths that stand for nothing. */
  readonly troubles: readonly MetricsError[];
}

/**
 * What these paths stand for, see findRegions().
 * @throws UsageError for a path that can name nothing. The first trouble, if there is no region at all.
 */
export function regionsOf(paths: readonly string[]): CommandRegions {
  for (const path of paths) asUsageError(() => checkedPath('PATH', path));
  const regions = new Map<string, CommandRegion>();
  const troubles: MetricsError[] = [];
  for (const path of paths) {
    const found = findRegions([path]);
    for (const region of found.regions) {
      if (!regions.has(region.path)) regions.set(region.path, { ...region, isNamed: found.areFiles });
    }
    for (const { path: folder, error } of found.failures) {
      troubles.push(new MetricsError(ErrorCode.REGION, `Cannot search the folder ${shown(folder)}: ${error.message}`, { cause: error }));
    }
    if (found.regions.length + found.failures.length === 0) troubles.push(nothingIn(path));
  }
  if (regions.size === 0) throw troubles[0]!;
  return { regions: [...regions.values()], troubles };
}

function nothingIn(path: string): MetricsError {
  const text = path.includes('*') ? `No region file matches '${path}'` : `There is no region file in '${path}'`;
  return new MetricsError(ErrorCode.REGION, text);
}

/** @throws UsageError if the output is a region file: writing there would destroy the metrics of a process. */
export function refuseRegion(output: string): void {
  if (fileKind(output) === 'region') throw new UsageError(`-o '${output}' is a region file; writing to it would destroy its metrics`);
}

/** Reads a region file once. The content is valid until `work` returns. */
export function fromRegion<T>(file: string, work: (content: SettledContent) => T): T {
  const region = new KeptRegion(file);
  try {
    return work(region.read());
  } finally {
    region.close();
  }
}
