// The options of Metrics.open().

import { resolve } from 'node:path';

import { checkedBoolean, checkedChoice, checkedOptions, checkedPath, checkedPlainObject, checkedText } from './arguments.ts';
import type { Identity } from './program.ts';
import type { StoreLocation } from './store-spec.ts';

/** The options of `Metrics.open()`. */
export interface OpenOptions {
  /** The name of the store in this process; not empty. Default: `'default'`. */
  readonly name?: string | undefined;
  /** Each line has this text as `"id"`, right after the timestamp. Default: none. */
  readonly id?: string | undefined;
  /** Each line has these texts as `"properties"`, after the id, with the keys sorted by their bytes. Default: none. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /**
   * The path of a region file that holds the values, so that they outlive the process, however it ends. `readRegion()`
   * and the command `vmm-metrics` read the file, while the process runs and afterwards. The file is made with mode
   * 0600. Default: none; the values are in memory.
   *
   * Put the file on a tmpfs (`/dev/shm`, `/run`): if it is on a disk that stalls, increments wait. For a file on a
   * disk, there is a warning `METRICS_REGION_ON_DISK`, once per process and file system.
   */
  readonly file?: string | undefined;
  /**
   * What to do with the region file of a store that was closed, or whose process is dead: `'keep'` renames the file to
   * `<file>.previous`, and older files to `<file>.previous.2` and so on; `'discard'` replaces the file; `'refuse'`
   * leaves the file alone and opens nothing. The file of a living process is never touched. Default: `'keep'`.
   *
   * `.previous` is always kept, and so are up to 15 older files that have something pending. Beyond that, the oldest
   * file is removed, with a warning `METRICS_REGION_DROPPED`, and the metric marked `onError` is raised.
   */
  readonly previous?: 'keep' | 'discard' | 'refuse' | undefined;
  /** Whether `init()` first writes the last lines of the kept files. Default: true. */
  readonly recover?: boolean | undefined;
  /**
   * The path of the native addon, for a program that is bundled or keeps the addon elsewhere. The first `open()` of a
   * thread loads the addon for the whole thread. Default: the path in the environment variable `VMM_METRICS_ADDON`, or
   * else the addon of this package.
   */
  readonly addon?: string | undefined;
}

/** The checked options. Each option was read once, so a getter cannot change an option after its check. */
export interface CheckedOpenOptions {
  readonly name: string;
  readonly identity: Identity;
  readonly location: StoreLocation;
  readonly addon: string | undefined;
}

const KNOWN = ['name', 'id', 'properties', 'file', 'previous', 'recover', 'addon'] as const;

export function checkedOpenOptions(options: unknown): CheckedOpenOptions {
  const where = 'Metrics.open()';
  const { name = 'default', id, properties, file, previous, recover = true, addon } = checkedOptions<OpenOptions>(where, options, KNOWN);
  if (checkedText(`${where}: name`, name) === '') throw new RangeError(`${where}: name must not be empty`);
  if (id !== undefined) checkedText(`${where}: id`, id);
  const location = { ...checkedLocation(where, file, previous), recover: checkedBoolean(`${where}: recover`, recover) };
  if (addon !== undefined) checkedPath(`${where}: addon`, addon);
  const identity = {
    ...(id !== undefined && { id }),
    ...(properties !== undefined && { properties: checkedProperties(where, properties) }),
  };
  return { name, identity, location, addon };
}

function checkedProperties(where: string, properties: unknown): Readonly<Record<string, string>> {
  const given = checkedPlainObject(`${where}: properties`, properties, ' of strings');
  const entries = Object.entries(given).map(([key, value]) => {
    checkedText(`${where}: a key of properties`, key);
    return [key, checkedText(`${where}: properties.${key}`, value)] as const;
  });
  return Object.freeze(Object.fromEntries(entries));
}

function checkedLocation(where: string, file: unknown, given: unknown = 'keep'): Omit<StoreLocation, 'recover'> {
  const previous = checkedChoice(`${where}: previous`, given, ['keep', 'discard', 'refuse']);
  if (file === undefined) return { previous };
  // Absolute: every thread must mean the same file, whatever the working directory is by then.
  return { file: resolve(checkedPath(`${where}: file`, file)), previous };
}
