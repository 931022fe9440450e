// A profile as one page that needs nothing else: it contains the chart library, the numbers and the code. Pure: all
// texts are passed in.

import { digits } from '../text.ts';
import { BUCKET_PARTS, bucketsOf } from './buckets.ts';
import { drawChart } from './chart.ts';
import { dashesOf, linesOf } from './lines.ts';
import type { ProfileSeries, Total } from './series.ts';
import type { ProfileTable } from './table.ts';
import { followFingers, type PageTools, showProfile } from './view.ts';

/** uPlot's files, as text. */
export interface ChartLibrary {
  readonly script: string;
  readonly style: string;
  readonly license: string;
}

/** The functions that the page takes as text, for showProfile(). */
export const PAGE_TOOLS: PageTools = { bucketsOf, linesOf, dashesOf, drawChart, followFingers };

export function profilePage(title: string, table: ProfileTable, series: ProfileSeries, library: ChartLibrary): string {
  // The page may load nothing, so it works anywhere and reports to nobody.
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
  const tools = Object.entries(PAGE_TOOLS).map(([name, tool]) => `${name}: ${inScript(String(tool))}`);
  const parts = BUCKET_PARTS.map((part) => inScript(String(part)));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${inHtml(title)}</title>
<!-- This page contains uPlot:
${library.license.replaceAll('--', '- -').trim()}
-->
<style>${library.style}</style>
<style>${STYLE}</style>
</head>
<body>
<h1>${inHtml(title)}</h1>
<p>${factsAbout(table, series).map(inHtml).join(' · ')}</p>
<p class="hint">Drag to zoom, double-click to show all, click a name to hide it. On a touch screen, move with one finger and
zoom with two.</p>
<p class="hint">Where samples are too close to be told apart, a line is their mean, and the band around it reaches from
their minimum to their maximum. Where lines coincide, their colours alternate.</p>
<nav>
<button value="in">Zoom in</button><button value="out">Zoom out</button><button value="left" aria-label="Earlier">◀</button><button
 value="right" aria-label="Later">▶</button><button value="all">All</button>
</nav>
<main id="charts"></main>
<table class="totals">
<thead><tr><th>metric<th>first<th>last<th>difference<th>per second</thead>
<tbody>
${series.totals.map(totalRow).join('\n')}
</tbody></table>
<script>${inScript(library.script)}</script>
<script type="application/json" id="profile">${JSON.stringify(series).replaceAll('<', '\\u003c')}</script>
<script>
${parts.join('\n')}
(${inScript(String(showProfile))})(uPlot, {${tools}}, JSON.parse(document.getElementById('profile').textContent));</script>
</body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark }
body { margin: 0 auto; max-width: 75rem; padding: 0.75rem; font: 15px/1.4 system-ui, sans-serif; color: #222; background: #fff }
h1 { font-size: 1.2rem; margin: 0 0 0.4rem; overflow-wrap: anywhere }
p { margin: 0.4rem 0 }
.hint, .note { opacity: 0.75; font-size: 13px; font-weight: 400 }
nav { position: sticky; top: 0; z-index: 200; display: flex; flex-wrap: wrap; gap: 0.4rem; margin: 0.4rem 0; padding: 0.4rem 0; background: inherit }
button { font: inherit; min-height: 2.4rem; min-width: 2.8rem; padding: 0 0.7rem; color: inherit; background: #8881; border: 1px solid #8886; border-radius: 0.4rem; cursor: pointer }
button:hover { background: #8883 }
figure { margin: 0 0 1.2rem; overflow: hidden }
figcaption { margin-bottom: 0.3rem; font-weight: 600; overflow-wrap: anywhere }
/* The edges of a band are series of their own to uPlot, without a place in the legend or under the cursor. */
.edge { display: none }
.u-legend { text-align: left; font-size: 13px }
.u-legend .u-value { min-width: 6em; font-variant-numeric: tabular-nums }
.totals { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
.totals th, .totals td { padding: 0.15rem 0.6rem; text-align: right; border-bottom: 1px solid #8884 }
.totals th:first-child { text-align: left; font-weight: 400; overflow-wrap: anywhere }
.totals td { white-space: nowrap }
@media (max-width: 50rem) {
  .totals thead { display: none }
  .totals, .totals tbody { display: block }
  .totals tr { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: 0.3rem 0; border-bottom: 1px solid #8884 }
  .totals th, .totals td { padding: 0; border: 0 }
  .totals th { flex-basis: 100% }
  .totals td:empty { display: none }
  .totals td::before { content: attr(data-of) ' '; opacity: 0.75 }
}
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181a1b } .u-select { background: #fff3 } }
`;

function factsAbout(table: ProfileTable, { rowsPerPoint }: ProfileSeries): string[] {
  const { start, intervalNs, figures, timesNs } = table;
  const facts = [`${counted(timesNs.length, 'sample')}, ${intervalText(intervalNs)} apart`, gapsText(table)];
  if (start !== undefined) facts.unshift(`started ${start.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')}`);
  const { late_ns_median: median, late_ns_p99: p99 } = figures;
  if (median !== undefined && p99 !== undefined) facts.push(`late by ${intervalText(median)} (median), ${intervalText(p99)} (p99)`);
  if (table.isUnfinished) facts.push('not finished: the process died, or is still running');
  if (table.isCut) facts.push('the last row is incomplete and left out');
  if (table.isGuessed) facts.push('no annotations: a metric that never goes down is taken for a counter (annotate: true says what it is)');
  if (rowsPerPoint > 1) facts.push(`each point is the mean of ${digits(BigInt(rowsPerPoint))} samples, with their minimum and maximum`);
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

function totalRow({ name, unit, first, last, difference, perSecond }: Total): string {
  // Through bigint: a double would lose digits.
  const exact = (text = '') => (text === '' ? '' : digits(BigInt(text)));
  const rate = perSecond === undefined ? '' : perSecond.toLocaleString('en', { maximumFractionDigits: 1 });
  const cells = { first: exact(first), last: exact(last), difference: exact(difference), 'per second': rate };
  const of = Object.entries(cells).map(([column, text]) => `<td data-of="${column}">${text}`);
  return `<tr><th>${inHtml(`${name} (${unit})`)}${of.join('')}</tr>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function inHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}

/**
 * Code for a <script>, without `</script` and `<!--`, which would end the script or hide its end. Only string literals
 * of the code contain such text, and there the escape means the same.
 */
function inScript(text: string): string {
  return text.replace(/<(?=\/script|!--|script)/gi, '\\u003c');
}
