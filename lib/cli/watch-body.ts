// The lines that `vmm-metrics watch` can scroll: they are made only when they are on the screen. Pure.

import { type Column, lineMaker, widthsOf } from './columns.ts';
import { cut, styled } from './terminal-text.ts';

/** What the user wants to see. */
export interface WatchView {
  readonly sort: (typeof SORTS)[number];
  /** Text to look for in names; case does not matter. */
  readonly filter: string;
  readonly showZeros: boolean;
}

/** `schema` keeps the order of the schema, under the headings of its groups. Files are in the order of their paths. */
export const SORTS = ['schema', 'rate', 'total', 'name'] as const;

/** A line of text, or the cells of a line of the table. */
export type BodyLine =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'heading'; readonly text: string }
  /** `heading` is the heading that the line is under. */
  | { readonly kind: 'cells'; readonly heading: string | undefined; cells(): readonly string[]; readonly isLoud?: boolean };

export interface Body {
  readonly columns: readonly Column[];
  readonly lines: readonly BodyLine[];
}

/** The part of a body that is on the screen. */
export interface Visible {
  /** The titles, and the heading of the first line, stay at the top of the screen. */
  readonly lines: readonly string[];
  /** The first line, and the line after the last one. */
  readonly from: number;
  readonly to: number;
  /** How wide the columns are. */
  readonly widths: readonly number[];
}

export interface VisibleOptions {
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** The widths so far: columns only become wider, so that they do not jump while the user scrolls. */
  readonly widths: readonly number[];
  /** The line that the user has chosen. */
  readonly chosen?: number | undefined;
}

/** The lines from `top` on that fit, or those at the end if there are too few. */
export function visibleOf({ columns, lines }: Body, { top, width, height, widths, chosen }: VisibleOptions): Visible {
  const hasCells = lines.some(({ kind }) => kind === 'cells');
  const room = Math.max(0, height - (hasCells ? 1 : 0));
  const headingAt = (i: number) => {
    const line = lines[i];
    return line?.kind === 'cells' ? line.heading : undefined;
  };
  let from = Math.max(0, Math.min(top, lines.length - room));
  // The heading that stays takes a line.
  if (from > 0 && from === lines.length - room && headingAt(from) !== undefined) from++;
  const heading = from > 0 ? headingAt(from) : undefined;
  const to = Math.min(lines.length, from + room - (heading === undefined ? 0 : 1));

  const shown = lines.slice(from, to).map((line) => (line.kind === 'cells' ? { ...line, made: line.cells() } : line));
  const made = shown.flatMap((line) => (line.kind === 'cells' ? [line.made] : []));
  const all = [...made, columns.map((_, i) => ' '.repeat(widths[i] ?? 0))];
  const grown = widthsOf(columns, made.length > 0 ? all : []);
  const labelMax = labelWidthOf(grown, columns, width);
  const limited = columns.map((column, i) => (i === 0 ? { ...column, widthMax: labelMax } : column));
  const makeLine = lineMaker(limited, all);
  const lineOf = ([label, ...rest]: readonly string[]) => cut(makeLine([cut(label!, labelMax), ...rest]), width);
  const text = shown.map((line, i) => {
    if (line.kind === 'text') return line.text;
    if (line.kind === 'heading') return styled('bold', cut(line.text, width));
    const row = lineOf(line.made);
    if (from + i === chosen) return styled('inverse', row.padEnd(width));
    return line.isLoud ? styled('red', row) : row;
  });
  const titles = hasCells ? [styled('dim', lineOf(columns.map(({ title }) => title)))] : [];
  const stays = heading === undefined ? [] : [styled('bold', cut(heading, width))];
  return { lines: [...titles, ...stays, ...text], from, to, widths: made.length > 0 ? grown : widths };
}

const LABEL_WIDTH_MIN = 20;

/** A long name is cut before a number is. */
function labelWidthOf(widths: readonly number[], columns: readonly Column[], width: number): number {
  const numbers = widths.slice(1).reduce((sum, one, i) => sum + (columns[i + 1]!.isNumber ? one + 2 : 0), 0);
  return Math.min(widths[0]!, Math.max(LABEL_WIDTH_MIN, width - numbers - UNIT_WIDTH));
}

/** The width of the longest unit, with its distance. */
const UNIT_WIDTH = 7;
