// A distribution as a picture for a page: a bar for each bucket, and the share of the values that are at most so large,
// over a logarithmic axis. It is an image (SVG) without a script; a bar tells its numbers to a pointer above it. Pure.

import type { HistogramBucket, HistogramValue } from '../histogram/value.ts';
import { inHtml } from '../html.ts';
import { digits } from '../text.ts';
import { edgeText, inExportedUnit, QUANTILES, valueText } from './text.ts';

const WIDTH = 900;
const HEIGHT = 260;
const FRAME = { left: 56, right: 48, top: 34, bottom: 26 };
const PLOT_WIDTH = WIDTH - FRAME.left - FRAME.right;
const PLOT_HEIGHT = HEIGHT - FRAME.top - FRAME.bottom;
const RIGHT = WIDTH - FRAME.right;
const FLOOR = FRAME.top + PLOT_HEIGHT;
/** A picture of few buckets shows at least this many powers of two, so that its bars are no blocks. */
const OCTAVES_MIN = 3;
/** The least distance of the middles of two texts below the axis. */
const TEXT_GAP = 62;
const LETTER_WIDTH = 6.2;

/** The style of the pictures, for PAGE_STYLE. */
export const CHART_STYLE = `
.distribution { display: block; width: 100%; min-width: 34rem; height: auto; font: 11px system-ui, sans-serif; fill: var(--soft) }
.distribution .bar { fill: var(--accent); fill-opacity: 0.55 }
.distribution .bar:hover { fill-opacity: 1 }
.distribution .grid { stroke: var(--line); stroke-width: 1 }
.distribution .share { fill: none; stroke: var(--ink); stroke-width: 1.5 }
.distribution .quantile { stroke: var(--soft); stroke-dasharray: 3 3 }
.distribution .end { text-anchor: end }
.distribution .middle { text-anchor: middle }
`;

/** The picture of a distribution that has at least one value. */
export function distributionChart(value: HistogramValue): string {
  const buckets = value.buckets();
  const axis = axisOf(value, buckets);
  const most = buckets.reduce((a, { count }) => (count > a ? count : a), 0n);
  const shareOf = (count: bigint) => Number(count) / Number(value.count);
  const heightOf = (share: number) => share * PLOT_HEIGHT;
  const bars: string[] = [];
  const line: string[] = [`${at(axis.places[0]!.begin)},${FLOOR}`];
  let below = 0n;
  for (const [i, { above, upTo, count }] of buckets.entries()) {
    const { begin, end } = axis.places[i]!;
    const height = Math.max(1, heightOf(Number(count) / Number(most)));
    const before = at(FLOOR - heightOf(shareOf(below)));
    below += count;
    const text = `above ${edgeText(above, value.unit)}, up to ${edgeText(upTo, value.unit)}: ${digits(count)}, ${percent(shareOf(count))}; ${percent(shareOf(below))} are at most so large`;
    bars.push(
      `<rect class="bar" x="${at(begin)}" y="${at(FLOOR - height)}" width="${at(Math.max(0.75, end - begin - 0.5))}" height="${at(height)}"><title>${inHtml(text)}</title></rect>`,
    );
    line.push(`${at(begin)},${before}`, `${at(end)},${at(FLOOR - heightOf(shareOf(below)))}`);
  }
  line.push(`${RIGHT},${FRAME.top}`);
  return [
    `<svg class="distribution" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    ...[0, 0.25, 0.5, 0.75, 1].map((share) => gridLine(share, shareOf(most))),
    ...axis.ticks.map(({ x, text }) => `<text class="middle" x="${at(x)}" y="${FLOOR + 16}">${inHtml(text)}</text>`),
    ...bars,
    `<polyline class="share" points="${line.join(' ')}"/>`,
    ...quantileMarks(value, axis),
    '</svg>',
  ].join('\n');
}

interface Axis {
  /** Where each bucket begins and ends. */
  readonly places: readonly { readonly begin: number; readonly end: number }[];
  readonly ticks: readonly { readonly x: number; readonly text: string }[];
  /** The place of a value in the exported unit. */
  placeOf(value: number): number;
}

/** The zero bucket, which has no place on a logarithmic axis, is as wide as half a power of two at the left end. */
function axisOf(value: HistogramValue, buckets: readonly HistogramBucket[]): Axis {
  const hasZero = value.zeroCount > 0n;
  const lowest = hasZero ? value.zeroThreshold : buckets[0]!.above;
  const filled = Math.log2(buckets.at(-1)!.upTo / lowest);
  const octaves = Math.max(OCTAVES_MIN, filled);
  // Few buckets stand in the middle.
  const least = hasZero ? lowest : lowest * 2 ** ((filled - octaves) / 2);
  const zeroOctaves = hasZero ? 0.5 : 0;
  const perOctave = PLOT_WIDTH / (octaves + zeroOctaves);
  const origin = FRAME.left + zeroOctaves * perOctave;
  const placeOf = (edge: number) => (edge <= least ? origin : Math.min(origin + Math.log2(edge / least) * perOctave, RIGHT));
  const places = buckets.map(({ above, upTo }) => ({ begin: above === 0 ? FRAME.left : placeOf(above), end: placeOf(upTo) }));
  return { places, placeOf, ticks: ticksOf(least, least * 2 ** octaves, placeOf, value.unit) };
}

/** Round values, where there is room: powers of two for bytes, otherwise powers of ten with 2 and 5 between them. */
function ticksOf(least: number, most: number, placeOf: (value: number) => number, unit: string): { x: number; text: string }[] {
  const base = unit === 'bytes' ? 2 : 10;
  const isRoomy = base === 10 && placeOf(2 * least) - placeOf(least) > TEXT_GAP;
  const ticks: { x: number; text: string }[] = [];
  for (let power = Math.floor(Math.log(least) / Math.log(base)); power <= Math.ceil(Math.log(most) / Math.log(base)); power++) {
    for (const factor of isRoomy ? [1, 2, 5] : [1]) {
      const tick = base === 10 ? Number(`${factor}e${power}`) : 2 ** power;
      const x = placeOf(tick);
      if (tick < least * 0.999 || tick > most * 1.001 || x - (ticks.at(-1)?.x ?? -TEXT_GAP) < TEXT_GAP) continue;
      ticks.push({ x, text: edgeText(tick, unit) });
    }
  }
  return ticks;
}

/** At the left the share of one bucket, at the right the share of all values up to there. */
function gridLine(height: number, greatest: number): string {
  const y = at(FLOOR - height * PLOT_HEIGHT);
  return [
    `<line class="grid" x1="${FRAME.left}" x2="${RIGHT}" y1="${y}" y2="${y}"/>`,
    `<text class="end" x="${FRAME.left - 6}" y="${y + 4}">${percent(height * greatest)}</text>`,
    `<text x="${RIGHT + 6}" y="${y + 4}">${percent(height)}</text>`,
  ].join('');
}

/** The quantiles, with their names where there is room. */
function quantileMarks(value: HistogramValue, { placeOf, places }: Axis): string[] {
  let free = 0;
  return QUANTILES.map(([name, q]) => {
    const found = value.quantile(q);
    const edge = inExportedUnit(found, value.unit);
    const x = edge <= value.zeroThreshold ? places[0]!.begin : placeOf(edge);
    const text = `${name} ${valueText(found, value.unit)}`;
    const width = LETTER_WIDTH * text.length;
    const isFar = x + width > WIDTH;
    const begin = isFar ? x - width : x;
    const label = `<text${isFar ? ' class="end"' : ''} x="${at(x)}" y="${FRAME.top - 10}">${inHtml(text)}</text>`;
    const isFree = begin >= free;
    if (isFree) free = begin + width + LETTER_WIDTH;
    return `<line class="quantile" x1="${at(x)}" x2="${at(x)}" y1="${FRAME.top - 6}" y2="${FLOOR}"/>${isFree ? label : ''}`;
  });
}

/** A place in the picture, with a tenth of a unit at most. */
function at(place: number): number {
  return Number(place.toFixed(1));
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))}%`;
}
