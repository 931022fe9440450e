// What Metrics.open() is told besides the schema.

import { resolve } from 'node:path';

import { checkedBoolean, checkedChoice, checkedOptions, checkedPath, checkedPlainObject, checkedText } from './arguments.ts';
import type { Identity } from './program.ts';
import type { StoreLocation } from './store-spec.ts';

export interface OpenOptions {
  /** Which store of this process. Default: `'default'`. */
  readonly name?: string | undefined;
  /** Put as `"id"` into each line, right after the timestamp. Default: left out. */
  readonly id?: string | undefined;
  /** Put as `"properties"` into each line, after the id, keys sorted by their bytes. Default: left out. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
  /**
   * A file that the values live in, so that they outlive the process however it ends: `readRegion()` and the command
   * `vmm-metrics` read it, while the process runs and after. It belongs on a tmpfs (`/dev/shm`, `/run`): on a disk that
   * stalls, whoever counts waits; there is a warning `METRICS_REGION_ON_DISK`, once a process and file system. It is
   * made with mode 0600. Default: none, the values are in memory.
   */
  readonly file?: string | undefined;
  /**
   * What becomes of the file of a process that is dead or has closed it: `'keep'` renames it to `<file>.previous`, and
   * older ones to `<file>.previous.2` and so on; `'discard'` replaces it; `'refuse'` leaves it and opens nothing.
   * Default: `'keep'`. The file of a living process is never touched.
   *
   * Older than `.previous` are kept those that have something pending, 16 files in all. Beyond that the oldest is
   * removed, with a warning `METRICS_REGION_DROPPED`, and the metric marked `onError` goes up.
   */
  readonly previous?: 'keep' | 'discard' | 'refuse' | undefined;
  /** Whether `init()` writes the last lines of the kept files first, see there. Default: true. */
  readonly recover?: boolean | undefined;
  /**
   * The file of the native addon, for a program that was bundled or that keeps the addon elsewhere. The first `open()`
   * of a thread loads it, for all metrics of the thread. Default: the environment variable `VMM_METRICS_ADDON`, else
   * the package finds it by itself.
   */
  readonly addon?: string | undefined;
}

/**
 * The options as the rest of the code takes them. Each is read once: a getter that changes its mind changes nothing.
 */
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
  // Absolute: it must be the same file in every thread, wherever the process stands.
  return { file: resolve(checkedPath(`${where}: file`, file)), previous };
}
