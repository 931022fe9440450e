// A profile as one page that needs nothing else: the chart library, the numbers and the code are in it. Pure; it is given all texts.

import type { ProfileSeries, Total } from './profile-series.ts';
import type { ProfileTable } from './profile-table.ts';
import { showProfile } from './profile-view.ts';

/** uPlot's files, as text. */
export interface ChartLibrary {
  readonly script: string;
  readonly style: string;
  readonly license: string;
}

export function profilePage(title: string, table: ProfileTable, series: ProfileSeries, library: ChartLibrary): string {
  // A page that may load nothing can be looked at anywhere, and tells nobody.
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escaped(title)}</title>
<!-- uPlot, which is in this page:
${library.license.replaceAll('--', '- -').trim()}
-->
<style>${library.style}</style>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p>${factsOf(table, series).map(escaped).join(' · ')}</p>
<nav>
<button value="in">Zoom in</button><button value="out">Zoom out</button><button value="left" aria-label="Earlier">◀</button><button
 value="right" aria-label="Later">▶</button><button value="all">All</button>
</nav>
<main id="charts"></main>
<div class="wide"><table>
<thead><tr><th>metric<th>first<th>last<th>difference<th>per second</thead>
<tbody>
${series.totals.map(totalRow).join('\n')}
</tbody></table></div>
<script>${inScript(library.script)}</script>
<script type="application/json" id="profile">${JSON.stringify(series).replaceAll('<', '\\u003c')}</script>
<script>(${inScript(String(showProfile))})(uPlot, JSON.parse(document.getElementById('profile').textContent));</script>
</body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark }
body { margin: 0 auto; max-width: 75rem; padding: 0.75rem; font: 15px/1.4 system-ui, sans-serif; color: #222; background: #fff }
h1 { font-size: 1.2rem; margin: 0; overflow-wrap: anywhere }
p { margin: 0.3rem 0 }
nav { position: sticky; top: 0; z-index: 200; padding: 0.4rem 0; background: inherit }
button { font: inherit; min-height: 2.4rem; min-width: 2.8rem; margin-right: 0.3rem }
figure { margin: 0 0 1rem; overflow: hidden }
figcaption { font-weight: 600; overflow-wrap: anywhere }
.u-legend { text-align: left; font-size: 13px }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
.wide th, .wide td { padding: 0.15rem 0.6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8884 }
.wide th:first-child { text-align: left; font-weight: 400 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181a1b } .u-select { background: #fff3 } }
`;

function factsOf({ start, intervalNs, figures, timesNs, gaps }: ProfileTable, { rowsPerPoint }: ProfileSeries): string[] {
  const missed = figures['missed_ticks'];
  return [
    ...(start === undefined ? [] : [`started ${start.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')}`]),
    `${timesNs.length} samples, ${intervalText(intervalNs)} apart`,
    missed === undefined ? `${gaps.size} gaps` : `${missed} ticks missed in ${gaps.size} gaps`,
    ...(figures['late_ns_p99'] === undefined
      ? []
      : [`late by ${intervalText(figures['late_ns_median'] ?? 0)}, p99 ${intervalText(figures['late_ns_p99'])}`]),
    ...(rowsPerPoint === 1 ? [] : [`each point stands for ${rowsPerPoint} samples: the mean of a rate, the largest of a value`]),
  ];
}

function intervalText(ns: number): string {
  if (ns >= 1e9) return `${Number((ns / 1e9).toPrecision(4))} s`;
  if (ns >= 1e6) return `${Number((ns / 1e6).toPrecision(4))} ms`;
  if (ns >= 1e3) return `${Number((ns / 1e3).toPrecision(4))} µs`;
  return `${Math.round(ns)} ns`;
}

function totalRow({ name, unit, first, last, difference = '', perSecond }: Total): string {
  const rate = perSecond === undefined ? '' : perSecond.toLocaleString('en', { maximumFractionDigits: 1 });
  return `<tr><th>${escaped(`${name} (${unit})`)}<td>${first}<td>${last}<td>${difference}<td>${rate}`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}

/** Code as it may stand in a page: only in texts of it can there be a `</script` or `<!--`, and there this means the same. */
function inScript(text: string): string {
  return text.replace(/<(?=\/script|!--|script)/gi, '\\u003c');
}
