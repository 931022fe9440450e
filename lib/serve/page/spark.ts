/// <reference lib="dom" />
// A line of the last values, as one path of SVG.

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

/** Bars of a distribution, each with its height relative to the highest one. */
export function bars(counts: readonly (number | bigint)[], width: number, height: number): SVGSVGElement {
  const { svg, path } = sparkLine(width, height);
  svg.classList.replace('spark', 'bars');
  const most = Math.max(1, ...counts.map(Number));
  const step = width / Math.max(counts.length, 1);
  const bar = (count: number | bigint, i: number) => {
    const tall = (Number(count) / most) * height;
    return `M${(i * step).toFixed(2)} ${height}v${(-tall).toFixed(2)}h${(step * 0.9).toFixed(2)}v${tall.toFixed(2)}z`;
  };
  path.setAttribute('d', counts.map(bar).join(''));
  return svg;
}
