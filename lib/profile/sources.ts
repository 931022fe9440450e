// Where the columns of a page come from: one process, several processes in one table, or several tables. Pure.

import type { Distribution } from './heat-map.ts';
import type { ProfileTable } from './table.ts';

/** A table, with the name that tells it from the other tables of a page. */
export interface ProfileFile {
  readonly name: string;
  readonly table: ProfileTable;
  /** The histograms, which have no columns in the table. Their times are those of the table. */
  readonly distributions?: readonly Distribution[];
}

/** A metric, and the process that it belongs to. */
export interface Sourced {
  /** Undefined if all columns of the page belong to one process. */
  readonly source: string | undefined;
  /** The name of the metric. */
  readonly name: string;
}

/** The columns of each file. `vmm-metrics profile` writes the columns of several processes as FILE:NAME. */
export function sourcesIn(files: readonly ProfileFile[]): Sourced[][] {
  return files.map((file) => {
    const names = file.table.columns.map(({ name }) => name);
    const processes = processesIn(names);
    const own = files.length > 1 ? file.name : undefined;
    if (processes === undefined) return names.map((name) => ({ source: own, name }));
    return processes.map(({ process, name }) => ({ source: own === undefined ? process : `${own} ${process}`, name }));
  });
}

/** Undefined unless the names are those of several processes: each process has the same metrics in the same order. */
function processesIn(names: readonly string[]): { process: string; name: string }[] | undefined {
  const parts = names.map((name) => ({ process: name.slice(0, Math.max(0, name.indexOf(':'))), name: name.slice(name.indexOf(':') + 1) }));
  const processes = [...new Set(parts.map(({ process }) => process))];
  if (processes.length < 2 || processes.includes('')) return undefined;
  const metrics = parts.filter(({ process }) => process === processes[0]).map(({ name }) => name);
  const expected = processes.flatMap((process) => metrics.map((name) => `${process}:${name}`));
  return expected.length === names.length && expected.every((name, i) => name === names[i]) ? parts : undefined;
}

/** The group or device at the beginning of a metric's name. */
export function groupOf(name: string): string {
  return name.replace(/\.[A-Za-z_]\w*(\.(count|(min|max|sum)(_us)?))?$/, '');
}

/** Whether the tables say when they began, and one moment is in all of them. */
export function haveOneClock(tables: readonly ProfileTable[]): boolean {
  const begins = tables.map(beginOf);
  const ends = tables.map((table) => beginOf(table) + (table.timesNs.at(-1) ?? 0) / 1e9);
  return tables.length > 1 && Math.max(...begins) < Math.min(...ends);
}

/** The time, in seconds, at which each table begins on the page: its own start, or its place on the common clock. */
export function offsetsOf(tables: readonly ProfileTable[]): number[] {
  const first = haveOneClock(tables) ? Math.min(...tables.map(beginOf)) : undefined;
  return tables.map((table) => (first === undefined ? 0 : beginOf(table) - first));
}

/** In seconds; NaN if the table does not say so. */
function beginOf({ start }: ProfileTable): number {
  return Date.parse(start ?? '') / 1000;
}
