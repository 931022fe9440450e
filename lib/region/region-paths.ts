// The region files that the operands of a command stand for, each with a name for people. An operand is a file, a
// folder, or a pattern in which `*` stands for any text within one part of the path.
//
// All calls are synchronous: a thousand files take a few milliseconds, less than with asynchronous calls.

import { type Dirent, readdirSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';

import { fileKind } from './file.ts';

export interface FoundRegion {
  readonly path: string;
  /**
   * What the first `*` of the pattern matched; otherwise the path below the folder, without `.region` and without a
   * last part `metrics`. If nothing is left, the name of the folder. A file of an earlier life, such as
   * `vm0.region.previous`, has the name of `vm0.region`. Several files may have the same name.
   */
  readonly name: string;
}

export interface FoundRegions {
  /** In the order of the operands, and sorted by path within an operand. No path is there twice. */
  readonly regions: readonly FoundRegion[];
  /** Whether each operand names a single file. Such a file is among `regions` whatever it contains. */
  readonly areFiles: boolean;
  /** The folders that could not be searched. */
  readonly failures: readonly { readonly path: string; readonly error: Error }[];
}

export interface SearchOptions {
  /** The paths of files that are known as regions. They are not opened, and may have gone. */
  readonly known?: { has(path: string): boolean };
  /** How many entries of folders are looked at. The search fails at the folder that exceeds it. Default: 200,000. */
  readonly entriesMax?: number;
}

const ENTRIES_MAX = 200_000;
/** How many folders may be inside each other. */
const DEPTH_MAX = 64;

/**
 * Finds region files. A file stands for itself. A folder stands for all region files in it, in depth; links in it are
 * not followed. A pattern stands for each region file and each folder that it matches. As in a shell, `*` matches a
 * leading dot only if the part of the pattern begins with a dot, and an operand that exists is no pattern. Files that
 * cannot be opened are among the results, so that a reader reports why. Never throws.
 */
export function findRegions(
  operands: readonly string[],
  { known = new Set(), entriesMax = ENTRIES_MAX }: SearchOptions = {},
): FoundRegions {
  const search = new Search(known, entriesMax);
  const areFiles = operands.map((operand) => search.find(operand)).every((isFile) => isFile);
  return { regions: search.regions, areFiles, failures: search.failures };
}

class Search {
  readonly regions: FoundRegion[] = [];
  readonly failures: { path: string; error: Error }[] = [];
  readonly #known: NonNullable<SearchOptions['known']>;
  readonly #seen = new Set<string>();
  #entriesLeft: number;

  constructor(known: NonNullable<SearchOptions['known']>, entriesMax: number) {
    this.#known = known;
    this.#entriesLeft = entriesMax;
  }

  /** Returns whether the operand names a single file. */
  find(operand: string): boolean {
    const info = statOf(operand);
    if (info?.isDirectory()) {
      this.#below(operand, undefined);
      return false;
    }
    if (info !== undefined || !operand.includes('*')) {
      this.#add(operand, nameBelow(dirname(operand), basename(operand)));
      return true;
    }
    const parts = operand.split(sep).filter((part, i) => part !== '' || i === 0);
    const first = parts.findIndex((part) => part.includes('*'));
    this.#matching(parts.slice(0, first), parts.slice(first), undefined);
    return false;
  }

  /** Everything below the folder `parts` that the rest of the pattern matches. `name` is what the first `*` matched. */
  #matching(parts: readonly string[], [part, ...rest]: readonly string[], name: string | undefined): void {
    if (part === undefined) {
      this.#matched(parts.join(sep), name!);
      return;
    }
    if (!part.includes('*')) {
      this.#matching([...parts, part], rest, name);
      return;
    }
    const pattern = new RegExp(`^${part.split(/\*+/).map(escaped).join('(.*)')}$`, 's');
    for (const { name: text } of this.#entriesOf(parts.length === 0 ? '.' : parts.join(sep) || sep)) {
      const match = pattern.exec(text);
      const isHidden = text.startsWith('.') && !part.startsWith('.');
      if (match !== null && !isHidden) this.#matching([...parts, text], rest, name ?? match[1]!);
    }
  }

  #matched(path: string, name: string): void {
    const info = this.#known.has(path) ? KNOWN : statOf(path);
    if (info?.isDirectory()) this.#below(path, name);
    else if (info?.isFile()) this.#addRegion(path, isGeneration(path) ? withoutGeneration(name) : name);
  }

  /** All region files in the folder, in depth. */
  #below(top: string, name: string | undefined, inner = '', depth = 0): void {
    for (const entry of this.#entriesOf(join(top, inner))) {
      const path = join(inner, entry.name);
      if (entry.isDirectory() && depth < DEPTH_MAX) this.#below(top, name, path, depth + 1);
      else if (entry.isFile()) this.#addRegion(join(top, path), name ?? nameBelow(top, path));
    }
  }

  #addRegion(path: string, name: string): void {
    if (isTemporary(path)) return;
    if (this.#known.has(path) || fileKind(path) !== 'other') this.#add(path, name);
  }

  #add(path: string, name: string): void {
    if (this.#seen.has(path)) return;
    this.#seen.add(path);
    this.regions.push({ path, name });
  }

  /** Sorted by name. Empty if there is no such folder. */
  #entriesOf(folder: string): Dirent[] {
    try {
      const entries = readdirSync(folder, { withFileTypes: true });
      this.#entriesLeft -= entries.length;
      if (this.#entriesLeft < 0) throw new Error('there are too many files and folders to search');
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      const isGone = code === 'ENOENT' || code === 'ENOTDIR';
      if (!isGone) this.failures.push({ path: folder, error: cause as Error });
      return [];
    }
  }
}

function nameBelow(folder: string, path: string): string {
  const parts = withoutGeneration(path)
    .replace(/\.region$/, '')
    .split(sep);
  if (parts.at(-1) === 'metrics') parts.pop();
  return parts.join(sep) || basename(resolve(folder)) || sep;
}

/** `vm0.region.previous` and `vm0.region.previous.2` are earlier lives of `vm0.region`; see generations.ts. */
const GENERATION = /(?<=.)\.previous(\.\d+)?$/;
const isGeneration = (path: string) => GENERATION.test(path);
const withoutGeneration = (name: string) => name.replace(GENERATION, '');

/** A region that a process is still making under a temporary name. */
const isTemporary = (path: string) => /^\..*\.tmp$/.test(basename(path));

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** What a known path names: a file. */
const KNOWN = { isFile: () => true, isDirectory: () => false };

/** What the path names, through links; undefined if nobody can tell. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
