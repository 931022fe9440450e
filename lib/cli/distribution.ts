// A distribution as bars for a terminal. Pure.

import { edgeText, factsOf, quantilesText } from '../distribution/text.ts';
import type { HistogramValue } from '../histogram/value.ts';
import { digits } from '../text.ts';
import { lineMaker } from './columns.ts';
import { wrapped } from './terminal-text.ts';

const BAR_WIDTH_MAX = 50;
const BAR_WIDTH_MIN = 10;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/**
 * A line for each power of two from the lowest to the highest value; then count, mean, extremes and quantiles. A narrow
 * terminal gets no shares.
 */
export function distributionOf(value: HistogramValue, width: number): string[] {
  if (value.count === 0n) return ['no values'];
  const octaves = octavesOf(value);
  const most = octaves.reduce((a, { count }) => (count > a ? count : a), 0n);
  const edge = (at: number) => edgeText(at, value.unit);
  const rows = octaves.map(({ above, upTo, count }) => [edge(above), edge(upTo), digits(count), shareText(count, value.count)]);
  const whole = tableOf(TITLES, rows);
  const table = whole[0]!.length + 2 + BAR_WIDTH_MIN <= width ? whole : tableOf(TITLES.slice(0, 3), rows);
  const room = Math.max(1, Math.min(BAR_WIDTH_MAX, width - table[0]!.length - 2));
  const [titles, ...lines] = table;
  return [
    titles!,
    ...lines.map((line, i) => `${line}  ${bar(Number(octaves[i]!.count) / Number(most), room)}`.trimEnd()),
    '',
    ...wrapped(factsOf(value), width),
    ...wrapped(quantilesText(value), width),
  ];
}

const TITLES = ['above', 'up to', 'count', 'share'];

function tableOf(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const columns = titles.map((title) => ({ title, isNumber: true }));
  const cells = rows.map((row) => row.slice(0, titles.length));
  const makeLine = lineMaker(columns, cells);
  return [titles, ...cells].map((cells) => makeLine(cells));
}

interface Octave {
  readonly above: number;
  readonly upTo: number;
  readonly count: bigint;
}

/**
 * Empty octaves between others are included, so that the bars are a picture. The zero bucket is one line, and so are
 * all empty octaves that follow it.
 */
function octavesOf(value: HistogramValue): Octave[] {
  const { scale, offset, bucketCounts, zeroCount, zeroThreshold } = value;
  const counts = new Map<number, bigint>();
  bucketCounts.forEach((count, i) => {
    const octave = Math.floor((offset + i) / 2 ** scale);
    counts.set(octave, (counts.get(octave) ?? 0n) + count);
  });
  const octaves: Octave[] = zeroCount === 0n ? [] : [{ above: 0, upTo: zeroThreshold, count: zeroCount }];
  const numbers = [...counts.keys()];
  const begin = 2 ** Math.min(...numbers);
  if (zeroCount !== 0n && numbers.length > 0 && begin > zeroThreshold) octaves.push({ above: zeroThreshold, upTo: begin, count: 0n });
  for (let octave = Math.min(...numbers); octave <= Math.max(...numbers); octave++) {
    const above = Math.max(2 ** octave, zeroThreshold);
    octaves.push({ above, upTo: 2 ** (octave + 1), count: counts.get(octave) ?? 0n });
  }
  return octaves;
}

function shareText(count: bigint, all: bigint): string {
  return `${((Number(count) / Number(all)) * 100).toFixed(1)}%`;
}

/** A value that is not zero has at least the thinnest bar. */
function bar(share: number, width: number): string {
  if (share === 0) return '';
  const eighths = Math.max(1, Math.round(share * width * 8));
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]!;
}
