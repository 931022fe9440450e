// What `vmm-metrics watch` shows of many files: one line per file, with the state of its process.

import { digits } from '../text.ts';
import type { Column } from './columns.ts';
import { sparkline } from './sparkline.ts';
import { plain, styled } from './terminal-text.ts';
import type { Body, WatchView } from './watch-body.ts';
import { type WatchedRow, type WatchSource, watchedRows } from './watch-sources.ts';
import { rateText, WIDE } from './watch-table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'FILE' },
  { title: 'STATE' },
  { title: 'PROCESS', isNumber: true },
  { title: 'AGE', isNumber: true },
  { title: 'LINES', isNumber: true },
  { title: 'PER SECOND', isNumber: true },
  { title: 'FASTEST COUNTER' },
];
const WIDE_COLUMNS: readonly Column[] = [...COLUMNS, { title: 'TREND' }, { title: 'STORE' }];

/** A file, and what its line is sorted by. */
interface FleetRow {
  readonly source: WatchSource;
  readonly fastest: WatchedRow | undefined;
}

/** One line per file, and the files of these lines in the same order. */
export function fleetBody(
  sources: readonly WatchSource[],
  { sort, filter }: WatchView,
  width: number,
  nowMs: number,
): Body & { readonly sources: readonly WatchSource[] } {
  const isWide = width >= WIDE;
  const columns = isWide ? WIDE_COLUMNS : COLUMNS;
  const needle = filter.toLowerCase();
  const named = namesOf(sources);
  const rows = sources
    .filter((source) => `${named.get(source)} ${stateOf(source)} ${source.summary?.name}`.toLowerCase().includes(needle))
    .map((source): FleetRow => ({ source, fastest: fastestOf(source) }));
  sortRows(rows, sort);
  if (rows.length === 0) {
    const text = ` no file matches '${filter}'`;
    return {
      columns,
      sources: [],
      lines: [
        { kind: 'text', text: '' },
        { kind: 'text', text },
      ],
    };
  }
  return {
    columns,
    sources: rows.map(({ source }) => source),
    lines: rows.map(({ source, fastest }) => ({
      kind: 'cells',
      heading: undefined,
      isLoud: ['killed', 'crashed', 'panicked', 'unreadable'].includes(stateOf(source)),
      cells: () => [
        ...[named.get(source)!, stateOf(source), ...processOf(source, nowMs)],
        ...(fastest === undefined ? ['', ''] : [rateText(fastest), `${fastest.section}.${fastest.name}`]),
        ...(isWide ? [sparkline(fastest?.trend ?? []), plain(source.summary?.name ?? '')] : []),
      ],
    })),
  };
}

/** How many files are in each state. */
export function fleetHead(sources: readonly WatchSource[]): string[] {
  const states = sources.map(stateOf);
  const counts = [...new Set(states)].map((state) => `${states.filter((other) => other === state).length} ${state}`);
  return [styled('bold', `${sources.length} region files: ${counts.join(', ')}`)];
}

function stateOf({ summary, trouble }: WatchSource): string {
  return trouble === undefined && summary !== undefined ? summary.state : 'unreadable';
}

function processOf({ summary }: WatchSource, nowMs: number): string[] {
  if (summary === undefined) return ['', '', ''];
  return [`${summary.pid}`, ageText(nowMs - summary.startedAt.getTime()), digits(summary.linesFlushed)];
}

/** The paths without what all of them begin and end with, up to the next slash. */
function namesOf(sources: readonly WatchSource[]): Map<WatchSource, string> {
  const parts = sources.map(({ path }) => path.split('/'));
  const [first = []] = parts;
  const least = Math.min(...parts.map((one) => one.length)) - 1;
  const common = (at: (one: string[], i: number) => string | undefined) => {
    let count = 0;
    while (count < least && parts.every((one) => at(one, count) === at(first, count))) count++;
    return count;
  };
  const begin = parts.length > 1 ? common((one, i) => one[i]) : 0;
  const end =
    parts.length > 1
      ? Math.min(
          common((one, i) => one.at(-1 - i)),
          least - begin,
        )
      : 0;
  return new Map(sources.map((source, i) => [source, plain(parts[i]!.slice(begin, parts[i]!.length - end).join('/'))]));
}

/** Of the counters of events: bytes would always be faster. */
function fastestOf(source: WatchSource): WatchedRow | undefined {
  let fastest: WatchedRow | undefined;
  for (const row of watchedRows(source, false).rows) {
    if (row.kind === 'inc' && row.unit === '' && (row.rate ?? 0) > (fastest?.rate ?? 0)) fastest = row;
  }
  return fastest;
}

function sortRows(rows: FleetRow[], sort: WatchView['sort']): void {
  if (sort === 'rate') rows.sort((a, b) => (b.fastest?.rate ?? 0) - (a.fastest?.rate ?? 0));
  const lines = ({ source }: FleetRow) => Number(source.summary?.linesFlushed ?? 0n);
  if (sort === 'total') rows.sort((a, b) => lines(b) - lines(a));
  const name = ({ source }: FleetRow) => source.summary?.name ?? '';
  if (sort === 'name') rows.sort((a, b) => (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0));
}

const AGES = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const;

/** The time since the start of a process, in its largest unit. */
function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [unit, size] = AGES.find(([, least]) => seconds >= least) ?? ['s', 1];
  return `${Math.floor(seconds / size)} ${unit}`;
}
