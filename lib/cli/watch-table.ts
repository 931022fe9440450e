// What `vmm-metrics watch` shows: the rows, filtered and sorted, as lines of text.

import { digits } from '../text.ts';
import { type Column, lineMaker, widthsOf } from './columns.ts';
import { latencyNote, pendingText } from './rows.ts';
import { describeState } from './state.ts';
import { cut, plain, styled, wrapped } from './terminal-text.ts';
import { type WatchedRow, type WatchSource, watchedRows } from './watch-sources.ts';

/** `schema` keeps the order of the schema, under the headings of its groups. */
export const SORTS = ['schema', 'rate', 'total', 'name'] as const;

export interface TableView {
  readonly sort: (typeof SORTS)[number];
  /** Text to look for in `store: group.metric`; case does not matter. */
  readonly filter: string;
  readonly showZeros: boolean;
}

/** The lines above the table: the state of one file, or the number of files in each state. */
export function headOf(sources: readonly WatchSource[], width: number): string[] {
  if (sources.length === 1) return sourceHead(sources[0]!, width);
  const states = sources.map(({ summary, trouble }) => (trouble === undefined ? summary!.state : 'unreadable'));
  const counts = [...new Set(states)].map((state) => `${states.filter((other) => other === state).length} ${state}`);
  return [styled('bold', `${sources.length} region files: ${counts.join(', ')}`)];
}

/** The whole table with its titles. */
export function tableOf(sources: readonly WatchSource[], view: TableView, width: number): string[] {
  const watched = sources.map((source) => watchedRows(source, view.showZeros));
  const rows = sorted(
    filtered(
      watched.flatMap((one) => one.rows),
      view,
    ),
    view.sort,
  );
  if (rows.length === 0) {
    const hasMetrics = watched.some((one) => one.rows.length + one.hidden > 0);
    return ['', ` ${hasMetrics ? whyEmpty(view) : 'no metrics'}`];
  }
  const hasManyStores = sources.length > 1;
  const cells = rows.map((row) => {
    const label =
      view.sort === 'schema' ? `  ${row.name}` : hasManyStores ? `${row.store}: ${row.section}.${row.name}` : `${row.section}.${row.name}`;
    return [label, digits(row.total), rateText(row), pendingText(row), row.unit, latencyNote(row)];
  });
  const labelWidth = labelWidthOf(cells, width);
  const columns = [{ ...COLUMNS[0]!, widthMax: labelWidth }, ...COLUMNS.slice(1)];
  const makeLine = lineMaker(columns, cells);
  const lineOf = ([label, ...numbers]: readonly string[]) => makeLine([cut(label!, labelWidth), ...numbers]).slice(0, width);

  const lines = [styled('dim', lineOf(COLUMNS.map(({ title }) => title)))];
  if (view.sort !== 'schema') return [...lines, ...cells.map(lineOf)];
  let last: WatchedRow | undefined;
  for (const [i, row] of rows.entries()) {
    if (hasManyStores && row.source !== last?.source) lines.push(...sourceHead(row.source, width));
    if (row.source !== last?.source || row.section !== last.section) lines.push(styled('bold', row.section.slice(0, width)));
    lines.push(lineOf(cells[i]!));
    last = row;
  }
  return lines;
}

const COLUMNS: readonly Column[] = [
  { title: 'METRIC' },
  { title: 'TOTAL', isNumber: true },
  { title: 'PER SECOND', isNumber: true },
  { title: 'PENDING', isNumber: true },
  { title: '' },
  { title: '' },
];
const LABEL_WIDTH_MIN = 20;

/** A long name is cut before a number is. */
function labelWidthOf(cells: readonly (readonly string[])[], width: number): number {
  const [label, total, rate, pending, unit] = widthsOf(COLUMNS, cells);
  const numbers = total! + rate! + pending! + unit! + 8;
  return Math.min(label!, Math.max(LABEL_WIDTH_MIN, width - numbers));
}

function filtered(rows: WatchedRow[], { filter }: TableView): WatchedRow[] {
  if (filter === '') return rows;
  const needle = filter.toLowerCase();
  return rows.filter((row) => `${row.store}: ${row.section}.${row.name}`.toLowerCase().includes(needle));
}

function sorted(rows: WatchedRow[], sort: TableView['sort']): WatchedRow[] {
  switch (sort) {
    case 'schema':
      return rows;
    case 'rate':
      return rows.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0));
    case 'total':
      return rows.sort((a, b) => (a.total < b.total ? 1 : a.total > b.total ? -1 : 0));
    case 'name':
      return rows.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
}

function whyEmpty({ filter }: TableView): string {
  return filter === '' ? 'all metrics are zero; press a to show them' : `no metric matches '${filter}'`;
}

const COLOURS = { running: 'green', closed: 'yellow', exited: 'yellow', panicked: 'red', killed: 'red', crashed: 'red' } as const;

function sourceHead({ path, summary, trouble, takeovers }: WatchSource, width: number): string[] {
  const indented = (text: string, colour: 'green' | 'yellow' | 'red') =>
    wrapped(text, width - 2).map((line) => `  ${styled(colour, line)}`);
  return [
    styled('bold', plain(path)),
    ...(summary === undefined ? [] : indented(describeState(summary), COLOURS[summary.state])),
    ...(takeovers > 0 ? [`  another process has taken the file over${takeovers > 1 ? `, ${takeovers} times` : ''}`] : []),
    ...(trouble === undefined ? [] : indented(trouble, 'red')),
  ];
}

function rateText({ rate }: WatchedRow): string {
  if (rate === undefined) return '';
  if (rate === 0) return '0';
  return rate < 10 ? rate.toFixed(1) : digits(BigInt(Math.round(rate)));
}
