// A profile as one page that needs nothing else: it contains the chart library, the numbers and the code. Pure: all
// texts are passed in.

import { inHtml, pageStart } from '../html.ts';
import { digits } from '../text.ts';
import { BUCKET_PARTS, bucketsOf } from './buckets.ts';
import { drawChart } from './chart.ts';
import { drawHeatChart } from './heat-chart.ts';
import { heatColumnsOf } from './heat-map.ts';
import { drawLegend, drawReadings } from './legend.ts';
import { dashesOf, linesOf } from './lines.ts';
import { lookOfPage } from './look.ts';
import { shortNumber, shortSeconds } from './number-text.ts';
import { PAGE_STYLE } from './page-style.ts';
import { keepWidth, plotOptions, secondsText } from './plot-frame.ts';
import type { ProfileSeries, Total } from './series.ts';
import { haveOneClock, type ProfileFile } from './sources.ts';
import type { ProfileTable } from './table.ts';
import { followFingers, type PageTools, showProfile } from './view.ts';

/** uPlot's files, as text. */
export interface ChartLibrary {
  readonly script: string;
  readonly style: string;
  readonly license: string;
}

/** The functions that the page takes as text, for showProfile(). */
export const PAGE_TOOLS: PageTools = {
  ...{ bucketsOf, linesOf, dashesOf, heatColumnsOf, shortNumber, shortSeconds, secondsText, lookOfPage },
  ...{ plotOptions, keepWidth, drawLegend, drawReadings, drawChart, drawHeatChart, followFingers },
};

/** `files` are those that `series` was made of. */
export function profilePage(title: string, files: readonly ProfileFile[], series: ProfileSeries, library: ChartLibrary): string {
  // The page may load nothing, so it works anywhere and reports to nobody.
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
  const tools = Object.entries(PAGE_TOOLS).map(([name, tool]) => `${name}: ${inScript(String(tool))}`);
  const parts = BUCKET_PARTS.map((part) => inScript(String(part)));
  return `${pageStart(title, policy)}
<!-- This page contains uPlot:
${library.license.replaceAll('--', '- -').trim()}
-->
<style>${library.style}</style>
<style>${PAGE_STYLE}</style>
</head>
<body>
<h1>${inHtml(title)}</h1>
${factLines(files, series)
  .map((facts) => `<p>${facts.map(inHtml).join(' · ')}</p>`)
  .join('\n')}
<nav>
<button type="button" value="in">Zoom in</button><button type="button" value="out">Zoom out</button><button type="button"
 value="left" aria-label="Earlier">←</button><button type="button" value="right" aria-label="Later">→</button><button
 type="button" value="all">Show all</button>
<details><summary>How to read this page</summary>
<p>Drag to zoom, double-click to show all, click a name to hide it, point at a name to see its line alone. On a touch
screen, move with one finger and zoom with two.</p>
<p>Where samples are too close to be told apart, a line is their mean, and the band around it reaches from their minimum
to their maximum. Where lines coincide, their colours alternate. The minimum and the maximum of a latency since its
start are steps; click their names to show them.</p>
</details>
</nav>
<main id="charts"></main>
<div class="wide"><table class="totals">
<thead><tr><th>metric<th>first<th>last<th>difference<th>per second</thead>
<tbody>
${series.totals.map(totalRow).join('\n')}
</tbody></table></div>
<script>${inScript(library.script)}</script>
<script type="application/json" id="profile">${JSON.stringify(series).replaceAll('<', '\\u003c')}</script>
<script>
${parts.join('\n')}
(${inScript(String(showProfile))})(uPlot, {${tools}}, JSON.parse(document.getElementById('profile').textContent));</script>
</body>
</html>
`;
}

/** What is known about each file; for several files, its name first. */
function factLines(files: readonly ProfileFile[], { rowsPerPoint }: ProfileSeries): string[][] {
  const all = files.map(({ name, table }) => [...(files.length > 1 ? [name] : []), ...factsAbout(table)]);
  const last = all.at(-1)!;
  if (rowsPerPoint > 1) last.push(`each point is the mean of ${digits(BigInt(rowsPerPoint))} samples, with their minimum and maximum`);
  if (files.length === 1) return all;
  const isCommon = haveOneClock(files.map(({ table }) => table));
  return [...all, [isCommon ? 'the files are on one clock' : 'each file begins at 0 s: they were not sampled at the same time']];
}

function factsAbout(table: ProfileTable): string[] {
  const { start, intervalNs, figures, timesNs } = table;
  const facts = [`${counted(timesNs.length, 'sample')}, ${intervalText(intervalNs)} apart`, gapsText(table)];
  if (start !== undefined) facts.unshift(`started ${start.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')}`);
  const { late_ns_median: median, late_ns_p99: p99 } = figures;
  if (median !== undefined && p99 !== undefined) facts.push(`late by ${intervalText(median)} (median), ${intervalText(p99)} (p99)`);
  if (table.isUnfinished) facts.push('not finished: the process died, or is still running');
  if (table.isCut) facts.push('the last row is incomplete and left out');
  if (table.isGuessed) facts.push('no annotations: a metric that never goes down is taken for a counter (annotate: true says what it is)');
  return facts;
}

function gapsText({ gaps, missedTicks }: ProfileTable): string {
  if (missedTicks === undefined) return counted(gaps.size, 'gap');
  const missed = `${counted(missedTicks, 'tick')} missed`;
  return gaps.size === 0 ? missed : `${missed} in ${counted(gaps.size, 'gap')}`;
}

function counted(count: number, noun: string): string {
  return `${digits(BigInt(count))} ${noun}${count === 1 ? '' : 's'}`;
}

function intervalText(ns: number): string {
  if (ns >= 1e9) return `${Number((ns / 1e9).toPrecision(4))} s`;
  if (ns >= 1e6) return `${Number((ns / 1e6).toPrecision(4))} ms`;
  if (ns >= 1e3) return `${Number((ns / 1e3).toPrecision(4))} µs`;
  return `${Math.round(ns)} ns`;
}

function totalRow({ name, unit, first, last, difference, perSecond, rateUnit = '' }: Total): string {
  // Through bigint: a double would lose digits.
  const exact = (text = '') => (text === '' ? '' : digits(BigInt(text)));
  const rate =
    perSecond === undefined ? '' : `${perSecond.toLocaleString('en', { maximumFractionDigits: rateUnit === '' ? 1 : 3 })}${rateUnit}`;
  const cells = { first: exact(first), last: exact(last), difference: exact(difference), 'per second': rate };
  const of = Object.entries(cells).map(([column, text]) => `<td data-of="${column}">${text}`);
  return `<tr><th>${inHtml(`${name} (${unit})`)}${of.join('')}</tr>`;
}

/**
 * Code for a <script>, without `</script` and `<!--`, which would end the script or hide its end. Only string literals
 * of the code contain such text, and there the escape means the same.
 */
function inScript(text: string): string {
  return text.replace(/<(?=\/script|!--|script)/gi, '\\u003c');
}
