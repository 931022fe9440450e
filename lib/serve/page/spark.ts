/// <reference lib="dom" />
// A line of the last values, or the bars of a distribution, as one path of SVG.

import { POINTS } from './history.ts';

const NAMESPACE = 'http://www.w3.org/2000/svg';

/** The text of a path in a box of `width` by `height`. The newest value is at the right edge, and 0 at the bottom. */
export function sparkPath(values: readonly number[], width: number, height: number): string {
  if (values.length < 2) return '';
  const most = Math.max(...values, Number.MIN_VALUE);
  const step = width / (POINTS - 1);
  const begin = width - (values.length - 1) * step;
  return values
    .map((value, i) => `${i === 0 ? 'M' : 'L'}${(begin + i * step).toFixed(1)} ${(height - (value / most) * height).toFixed(1)}`)
    .join('');
}

/** An empty line. Its `d` takes the text of sparkPath(). */
export function sparkLine(width: number, height: number): { readonly svg: SVGSVGElement; readonly path: SVGPathElement } {
  const svg = document.createElementNS(NAMESPACE, 'svg');
  svg.setAttribute('viewBox', `0 -1 ${width} ${height + 2}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('spark');
  const path = document.createElementNS(NAMESPACE, 'path');
  svg.append(path);
  return { svg, path };
}

/** A chart with fewer bars than these has room at its sides, so that no bar is very wide. */
const BARS_MIN = 24;

/** The text of a path with the bars of a distribution, each with its height relative to the highest one. */
export function barsPath(counts: readonly (number | bigint)[], width: number, height: number): string {
  const most = Math.max(1, ...counts.map(Number));
  const step = width / Math.max(counts.length, BARS_MIN);
  const begin = (width - counts.length * step) / 2;
  const bar = (count: number | bigint, i: number) => {
    const tall = (Number(count) / most) * height;
    return `M${(begin + i * step).toFixed(2)} ${height}v${(-tall).toFixed(2)}h${(step * 0.9).toFixed(2)}v${tall.toFixed(2)}z`;
  };
  return counts.map(bar).join('');
}
