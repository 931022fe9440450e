// Many regions that are read repeatedly, such as those of all virtual machines of a host. The regions that were read
// last stay open, within the limits below.

import { binding } from '../binding.ts';
import type { KnownRegionHandle } from '../binding-readers.ts';
import type { MetricsError } from '../errors.ts';
import { KeptRegion, type KeptRegionOptions } from './kept-region.ts';
import type { SettledContent } from './settled.ts';

/** How many files are kept open. */
const OPEN_MAX = 4096;
/** How many values all open regions may have together. A value takes about 40 bytes. */
const VALUES_MAX = 1 << 23;

export interface KeptRegionsOptions extends KeptRegionOptions {
  readonly openMax?: number;
  readonly valuesMax?: number;
}

export class KeptRegions {
  readonly #openMax: number;
  readonly #valuesMax: number;
  readonly #each: KeptRegionOptions;
  /** The open regions, by path. The region that read() was called for longest ago comes first. */
  readonly #open = new Map<string, { readonly region: KeptRegion; values: number }>();
  #values = 0;

  constructor({ openMax = OPEN_MAX, valuesMax = VALUES_MAX, ...each }: KeptRegionsOptions = {}) {
    this.#openMax = openMax;
    this.#valuesMax = valuesMax;
    this.#each = each;
  }

  /**
   * Reads the file that the path names now.
   * @returns The content, whose arrays the next call for this path overwrites.
   * @throws MetricsError `ERR_METRICS_REGION` as readRegion().
   */
  read(path: string): SettledContent {
    const kept = this.#open.get(path) ?? { region: new KeptRegion(path, this.#each), values: 0 };
    this.#forget(path);
    const content = this.#readOrMakeRoom(kept.region);
    kept.values = content.totals.length;
    this.#values += kept.values;
    this.#open.set(path, kept);
    while (this.#open.size > this.#openMax || (this.#values > this.#valuesMax && this.#open.size > 1)) this.#closeOldest();
    return content;
  }

  /**
   * Reads many files, with as few calls of native code as possible.
   * @returns For each path, in order: what read() returns, or the error that it throws.
   */
  *readAll(paths: readonly string[]): Generator<{ readonly path: string; readonly content?: SettledContent; readonly error?: unknown }> {
    const known: KeptRegion[] = [];
    const handles: KnownRegionHandle[] = [];
    for (const path of paths) {
      const region = this.#open.get(path)?.region;
      if (region?.known === undefined) continue;
      known.push(region);
      handles.push(region.known);
    }
    const results = new Uint8Array(handles.length);
    binding().readKnownRegions(handles, results);
    let next = 0;
    for (const path of paths) {
      const isKnown = known[next]?.path === path;
      try {
        const content = isKnown ? known[next]!.result(results[next]!) : undefined;
        yield { path, content: content ?? this.read(path) };
      } catch (error) {
        yield { path, error };
      }
      if (isKnown) next++;
    }
  }

  /** Closes the file of that path, if it is open: the memory of a file that was removed is free only then. */
  closeOne(path: string): void {
    this.#open.get(path)?.region.close();
    this.#forget(path);
  }

  /** Closes all files. */
  close(): void {
    while (this.#open.size > 0) this.#closeOldest();
  }

  /** The process may have a lower limit of open files, and it opens other files too. */
  #readOrMakeRoom(region: KeptRegion): SettledContent {
    for (;;) {
      try {
        return region.read();
      } catch (error) {
        const { code } = ((error as MetricsError).cause ?? {}) as NodeJS.ErrnoException;
        if ((code !== 'EMFILE' && code !== 'ENFILE') || this.#open.size === 0) throw error;
        for (let half = Math.ceil(this.#open.size / 2); half > 0; half--) this.#closeOldest();
      }
    }
  }

  #closeOldest(): void {
    this.closeOne(this.#open.keys().next().value!);
  }

  #forget(path: string): void {
    this.#values -= this.#open.get(path)?.values ?? 0;
    this.#open.delete(path);
  }
}
