// A distribution as bars for a terminal. Pure.

import type { HistogramValue } from '../histogram/value.ts';
import { digits } from '../text.ts';
import { lineMaker } from './columns.ts';

const QUANTILES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const;

const IN_SECOND: Readonly<Record<string, number>> = { ns: 1e9, us: 1e6, ms: 1e3, seconds: 1 };
const TIMES = [
  ['s', 1],
  ['ms', 1e-3],
  ['us', 1e-6],
  ['ns', 1e-9],
] as const;

/** A value with three digits and its unit; a time has the unit that fits its size. */
function valueText(value: number, unit: string): string {
  const inSecond = IN_SECOND[unit];
  if (inSecond === undefined) return `${short(value)}${unit === 'count' ? '' : ` ${unit}`}`;
  const seconds = value / inSecond;
  const [name, size] = TIMES.find(([, least]) => seconds >= least) ?? TIMES[3];
  return `${short(seconds / size)} ${name}`;
}

function short(value: number): string {
  if (value >= 1000) return digits(BigInt(Math.round(value)));
  return String(Number(value.toPrecision(3)));
}

/** The quantiles in one line: `p50 1.2 us, p90 3 us, p99 9.1 us, p99.9 40 us`. Empty if there is no value. */
export function quantilesText(value: HistogramValue): string {
  if (value.count === 0n) return '';
  return QUANTILES.map(([name, q]) => `${name} ${valueText(value.quantile(q), value.unit)}`).join(', ');
}

/** A mean, in the unit that fits its size. */
export function meanText(sum: bigint, count: bigint, unit: string): string {
  return valueText(Number(sum) / Number(count), unit);
}

const BAR_WIDTH_MAX = 50;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A line for each power of two from the lowest to the highest value; then count, mean, extremes and quantiles. */
export function distributionOf(value: HistogramValue, width: number): string[] {
  if (value.count === 0n) return ['no values'];
  const octaves = octavesOf(value);
  const most = octaves.reduce((a, { count }) => (count > a ? count : a), 0n);
  const inUnit = IN_SECOND[value.unit] ?? 1;
  const edge = (at: number) => valueText(at * inUnit, value.unit);
  const cells = octaves.map(({ above, upTo, count }) => [edge(above), edge(upTo), digits(count), shareText(count, value.count)]);
  const columns = ['above', 'up to', 'count', 'share'].map((title) => ({ title, isNumber: true }));
  const makeLine = lineMaker(columns, cells);
  const titles = makeLine(columns.map(({ title }) => title));
  const room = Math.max(1, Math.min(BAR_WIDTH_MAX, width - titles.length - 2));
  return [
    titles,
    ...octaves.map(({ count }, i) => `${makeLine(cells[i]!)}  ${bar(Number(count) / Number(most), room)}`.trimEnd()),
    '',
    `count ${digits(value.count)}, mean ${meanText(value.sum, value.count, value.unit)}, min ${valueText(Number(value.min), value.unit)}, max ${valueText(Number(value.max), value.unit)}`,
    quantilesText(value),
  ];
}

interface Octave {
  readonly above: number;
  readonly upTo: number;
  readonly count: bigint;
}

/** Empty octaves between others are included, so that the bars are a picture. The zero bucket is one line. */
function octavesOf(value: HistogramValue): Octave[] {
  const { scale, offset, bucketCounts, zeroCount, zeroThreshold } = value;
  const counts = new Map<number, bigint>();
  bucketCounts.forEach((count, i) => {
    const octave = Math.floor((offset + i) / 2 ** scale);
    counts.set(octave, (counts.get(octave) ?? 0n) + count);
  });
  const octaves: Octave[] = zeroCount === 0n ? [] : [{ above: 0, upTo: zeroThreshold, count: zeroCount }];
  const numbers = [...counts.keys()];
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
