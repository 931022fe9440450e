// What `vmm-metrics watch` shows of metrics: one line per metric, filtered and sorted.

import { digits } from '../text.ts';
import type { Column } from './columns.ts';
import { latencyNote, pendingText } from './rows.ts';
import { sparkline } from './sparkline.ts';
import { describeState } from './state.ts';
import { plain, styled, wrapped } from './terminal-text.ts';
import type { Body, BodyLine, WatchView } from './watch-body.ts';
import { type WatchedRow, type WatchSource, watchedRows } from './watch-sources.ts';

/** From this width on, rates have a trend, and descriptions stand beside the numbers. */
export const WIDE = 120;

const COLUMNS: readonly Column[] = [
  { title: 'METRIC' },
  { title: 'TOTAL', isNumber: true },
  { title: 'PER SECOND', isNumber: true },
  { title: 'PENDING', isNumber: true },
  { title: 'UNIT' },
];
const WIDE_COLUMNS: readonly Column[] = [...COLUMNS, { title: 'TREND' }, { title: '' }, { title: '' }];
const NARROW_COLUMNS: readonly Column[] = [...COLUMNS, { title: '' }];

/** All metrics of some sources, under their headings. */
export function metricsBody(sources: readonly WatchSource[], view: WatchView, width: number): Body {
  const isWide = width >= WIDE;
  const columns = isWide ? WIDE_COLUMNS : NARROW_COLUMNS;
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
    const text = ` ${hasMetrics ? whyEmpty(view) : 'no metrics'}`;
    return {
      columns,
      lines: [
        { kind: 'text', text: '' },
        { kind: 'text', text },
      ],
    };
  }
  const hasManyStores = sources.length > 1;
  const labelOf = (row: WatchedRow) => {
    if (view.sort === 'schema') return `  ${row.name}`;
    return hasManyStores ? `${row.store}: ${row.section}.${row.name}` : `${row.section}.${row.name}`;
  };
  const lineOf = (row: WatchedRow, heading: string | undefined): BodyLine => ({
    kind: 'cells',
    heading,
    cells: () => [
      ...[labelOf(row), digits(row.total), rateText(row), pendingText(row), row.unit],
      ...(isWide ? [sparkline(row.trend), latencyNote(row), row.doc] : [latencyNote(row)]),
    ],
  });
  if (view.sort !== 'schema') return { columns, lines: rows.map((row) => lineOf(row, undefined)) };

  const lines: BodyLine[] = [];
  let last: WatchedRow | undefined;
  for (const row of rows) {
    if (hasManyStores && row.source !== last?.source) {
      lines.push(...sourceHead(row.source, width).map((text): BodyLine => ({ kind: 'text', text })));
    }
    if (row.source !== last?.source || row.section !== last.section) lines.push({ kind: 'heading', text: row.section });
    lines.push(lineOf(row, hasManyStores ? `${row.section} (${row.store})` : row.section));
    last = row;
  }
  return { columns, lines };
}

function filtered(rows: WatchedRow[], { filter }: WatchView): WatchedRow[] {
  if (filter === '') return rows;
  const needle = filter.toLowerCase();
  return rows.filter((row) => `${row.store}: ${row.section}.${row.name}`.toLowerCase().includes(needle));
}

function sorted(rows: WatchedRow[], sort: WatchView['sort']): WatchedRow[] {
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

function whyEmpty({ filter }: WatchView): string {
  return filter === '' ? 'all metrics are zero; press a to show them' : `no metric matches '${filter}'`;
}

const COLOURS = { running: 'green', closed: 'yellow', exited: 'yellow', panicked: 'red', killed: 'red', crashed: 'red' } as const;

/** The file, and what became of its process. */
export function sourceHead({ path, summary, trouble, takeovers }: WatchSource, width: number): string[] {
  const indented = (text: string, colour: 'green' | 'yellow' | 'red') =>
    wrapped(text, width - 2).map((line) => `  ${styled(colour, line)}`);
  return [
    styled('bold', plain(path)),
    ...(summary === undefined ? [] : indented(describeState(summary), COLOURS[summary.state])),
    ...(takeovers > 0 ? [`  another process has taken the file over${takeovers > 1 ? `, ${takeovers} times` : ''}`] : []),
    ...(trouble === undefined ? [] : indented(trouble, 'red')),
  ];
}

/** How many of the unit are a second; a counter of time goes up by this many per second if a thread is always busy. */
const IN_SECOND: Readonly<Record<string, number>> = { ns: 1e9, us: 1e6, ms: 1e3 };

/** A rate per second; for a sum of durations, the share of a core. */
export function rateText({ rate, unit }: Pick<WatchedRow, 'rate' | 'unit'>): string {
  if (rate === undefined) return '';
  const inSecond = IN_SECOND[unit];
  if (inSecond !== undefined) return `${share(rate / inSecond)} core`;
  if (rate === 0) return '0';
  return rate < 10 ? rate.toFixed(1) : digits(BigInt(Math.round(rate)));
}

function share(part: number): string {
  const percent = part * 100;
  return `${percent === 0 ? '0' : percent < 0.01 ? '<0.01' : percent < 10 ? percent.toFixed(2) : percent.toFixed(0)}%`;
}
