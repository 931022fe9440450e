// All region files of the patterns, over time: which virtual machines there are, under which names, and what each file
// is worth. Nothing here changes a file, or gives the processes any work.

import { type Family, FamilyClash, FamilyUnion, familiesOf } from '../prometheus/families.ts';
import type { Owners } from '../region/file.ts';
import { KeptRegions } from '../region/kept-regions.ts';
import { findRegions } from '../region/region-paths.ts';
import { FILE_STATES, type FileState } from './file-state.ts';
import { clashWithOwn } from './own-families.ts';
import { PREFIX, ServedFile } from './served-file.ts';

/** Where the name of a virtual machine comes from; a file without an id has the name that its path gives. */
export const NAME_SOURCES = ['path', 'id', 'name'] as const;
export type NameSource = (typeof NAME_SOURCES)[number];

export interface FleetOptions {
  readonly patterns: readonly string[];
  readonly nameFrom: NameSource;
  /** How long the last values of a dead process are shown. */
  readonly keepMs: number;
  /** How long its state is shown. */
  readonly forgetMs: number;
  /** The most series of a file. */
  readonly seriesMax: number;
  readonly owners: Owners;
  /** Takes one sentence for the operator. */
  readonly report: (text: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * A file whose readings take this long, so many times in a row, is left alone for a time. So it does not hold up the
 * others. The first reading of a schema takes longer than later ones, and so does any reading on a busy machine.
 */
const SLOW_MS = 25;
const SLOW_TIMES = 3;
/** How many times as long as its reading took. */
const REST = 20;
/** How long a reading waits for a process whose devices come and go. */
const PATIENCE_MS = 50;
/** Cells that a file may have beyond those of the most series: each series takes at most four, and some are free. */
const CELLS_SPARE = 65_536;

export class Fleet {
  /** How many files have vanished since the agent started. */
  vanished = 0;
  readonly #options: FleetOptions;
  readonly #regions: KeptRegions;
  readonly #files = new Map<string, ServedFile>();
  #shown: readonly ServedFile[] = [];
  readonly #byName = new Map<string, ServedFile>();
  #counts: Readonly<Record<FileState, number>> = noFiles();
  #unsearchable = new Set<string>();
  #refreshedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#regions = new KeptRegions({ owners: options.owners, patienceMs: PATIENCE_MS, cellsMax: 4 * options.seriesMax + CELLS_SPARE });
  }

  /** The virtual machines as of the last refresh(), sorted by name. No two have the same name. */
  get shown(): readonly ServedFile[] {
    return this.#shown;
  }

  /** How many files are in each state. */
  get counts(): Readonly<Record<FileState, number>> {
    return this.#counts;
  }

  /** The virtual machine of that name, as of the last refresh(). */
  named(name: string): ServedFile | undefined {
    return this.#byName.get(name);
  }

  /** Does refresh() if the last one was longer ago. */
  refreshIfOlder(ms: number): void {
    if (performance.now() - this.#refreshedAtMs > ms) this.refresh();
  }

  /** Finds the files again, and reads all of them. */
  refresh(): void {
    this.#refreshedAtMs = performance.now();
    this.#find();
    const nowMs = this.#options.now();
    const due = [...this.#files.values()].filter(({ notBeforeMs }) => notBeforeMs <= nowMs);
    let before = performance.now();
    let i = 0;
    for (const { content, error } of this.#regions.readAll(due.map(({ path }) => path))) {
      const file = due[i++]!;
      if (content !== undefined) file.take(content, nowMs);
      else this.#refuse(file, error as Error);
      const after = performance.now();
      file.slowTimes = after - before > SLOW_MS ? file.slowTimes + 1 : 0;
      if (file.slowTimes >= SLOW_TIMES) file.notBeforeMs = nowMs + REST * (after - before);
      before = after;
    }
    this.#name(nowMs);
  }

  /**
   * Reads the file of one virtual machine again.
   * @returns The file; undefined if there is no virtual machine of that name.
   */
  refreshOne(name: string): ServedFile | undefined {
    const file = this.#byName.get(name);
    if (file === undefined) return undefined;
    const { writer } = file;
    this.#read(file);
    // A new process, or no file any more: the names of others may depend on it.
    if (file.writer !== writer || file.content === undefined) {
      this.refresh();
      return this.#byName.get(name);
    }
    this.#judge(file, this.#options.now());
    return file;
  }

  /** Closes all files. */
  close(): void {
    this.#regions.close();
  }

  #find(): void {
    // A file that could be read is not looked at here: the next reading finds out whether it is still there.
    const known = { has: (path: string) => this.#files.get(path)?.content !== undefined };
    const { regions, failures } = findRegions(this.#options.patterns, { known });
    const paths = new Set(regions.map(({ path }) => path));
    for (const [path, file] of this.#files) {
      if (paths.has(path)) continue;
      this.#files.delete(path);
      this.#regions.closeOne(path);
      if (file.writer !== undefined) this.vanished++;
    }
    for (const { path, name } of regions) if (!this.#files.has(path)) this.#files.set(path, new ServedFile(path, name));
    for (const { path, error } of failures) {
      if (!this.#unsearchable.has(path)) this.#options.report(`the folder '${path}' cannot be searched: ${error.message}`);
    }
    this.#unsearchable = new Set(failures.map(({ path }) => path));
  }

  #read(file: ServedFile): void {
    if (file.notBeforeMs > this.#options.now()) return;
    try {
      file.take(this.#regions.read(file.path), this.#options.now());
    } catch (error) {
      this.#refuse(file, error as Error);
    }
  }

  #refuse(file: ServedFile, error: Error): void {
    // An operand may name a file that does not exist yet, and a file may go while it is read.
    const isGone = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    if (isGone && this.#files.delete(file.path) && file.writer !== undefined) this.vanished++;
    else if (!isGone && file.error?.message !== error.message) this.#options.report(error.message);
    if (isGone) this.#regions.closeOne(file.path);
    file.refuse(error);
  }

  /** Gives each file its name, and each name to the newest process that claims it. */
  #name(nowMs: number): void {
    const counts = noFiles();
    this.#byName.clear();
    for (const file of this.#files.values()) {
      if (file.writer === undefined) {
        counts.unreadable++;
        continue;
      }
      const name = this.#nameOf(file);
      const other = this.#byName.get(name);
      if (other === undefined) this.#byName.set(name, file);
      else counts.duplicate++;
      if (other !== undefined && isNewer(file, other)) this.#byName.set(name, file);
    }
    for (const [name, file] of this.#byName) {
      if (isOver(file, nowMs, this.#options.forgetMs)) {
        counts.forgotten++;
        this.#byName.delete(name);
        continue;
      }
      counts[file.state ?? 'unreadable']++;
      file.rename(name);
    }
    this.#counts = counts;
    this.#shown = [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const shown = new Set(this.#shown);
    for (const file of this.#files.values()) if (!shown.has(file)) file.forgetSamples();
    this.#judgeAll(nowMs);
  }

  #nameOf({ pathName, writer }: ServedFile): string {
    switch (this.#options.nameFrom) {
      case 'path':
        return pathName;
      case 'id':
        return writer!.id ?? pathName;
      case 'name':
        return writer!.storeName;
    }
  }

  /**
   * Decides whose values are shown. Where the same name has another type in two schemas, the schema of more files wins,
   * and then the schema of the oldest process.
   */
  #judgeAll(nowMs: number): void {
    const schemas = new Map<readonly Family[], ServedFile[]>();
    for (const file of this.#shown) {
      this.#judge(file, nowMs);
      file.isOutvoted = false;
      if (file.values !== 'shown') continue;
      const families = familiesOf(file.content!.layout, PREFIX);
      const users = schemas.get(families);
      if (users === undefined) schemas.set(families, [file]);
      else users.push(file);
    }
    if (schemas.size < 2) return;
    const oldest = (files: readonly ServedFile[]) => files.reduce((least, { writer }) => Math.min(least, writer!.startedAtMs), Infinity);
    const ranked = [...schemas].sort(([, a], [, b]) => b.length - a.length || oldest(a) - oldest(b));
    const union = new FamilyUnion();
    for (const [families, files] of ranked) {
      try {
        union.indicesOf(families);
      } catch (error) {
        if (!(error instanceof FamilyClash)) throw error;
        const [, others] = ranked.find(([all]) => all.includes(error.holder))!;
        for (const file of files) {
          file.isOutvoted = true;
          this.#withheld(file, error.message, `it clashes with '${others[0]!.path}': `);
        }
      }
    }
  }

  /** Decides whether the values of a file are shown, without a look at other files. */
  #judge(file: ServedFile, nowMs: number): void {
    const { keepMs, seriesMax } = this.#options;
    file.values = 'shown';
    if (file.content === undefined) file.values = 'unreadable';
    else if (isOver(file, nowMs, keepMs)) file.values = 'old';
    else {
      try {
        const own = clashWithOwn(familiesOf(file.content.layout, PREFIX));
        if (own !== undefined) throw new Error(`its metric ${own.path} would be exported as '${own.name}', which is a metric of the agent`);
        if (file.series > seriesMax) {
          file.values = 'too many';
          this.#withheld(file, `it has more series than --max-series ${seriesMax}`);
        }
      } catch (error) {
        file.values = 'clash';
        this.#withheld(file, (error as Error).message);
      }
    }
    if (file.values !== 'shown') file.forgetSamples();
  }

  /** `example` is not a reason of its own: the report is not repeated if only the example is another one. */
  #withheld(file: ServedFile, why: string, example = ''): void {
    if (file.withheld !== why) this.#options.report(`'${file.path}': only the state of its process is shown: ${example}${why}`);
    file.withheld = why;
  }
}

/** The newest process wins a name; of two that started together, the first path. */
function isNewer(a: ServedFile, b: ServedFile): boolean {
  return a.writer!.startedAtMs > b.writer!.startedAtMs;
}

function isOver({ endedAtMs }: ServedFile, nowMs: number, limitMs: number): boolean {
  return endedAtMs !== undefined && nowMs - endedAtMs > limitMs;
}

function noFiles(): Record<FileState, number> {
  return Object.fromEntries(FILE_STATES.map((state) => [state, 0])) as Record<FileState, number>;
}
