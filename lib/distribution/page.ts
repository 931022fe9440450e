// The distributions of region files as one page that needs nothing else, not even a script. Pure.

import type { HistogramValue } from '../histogram/value.ts';
import { inHtml, pageStart } from '../html.ts';
import { PAGE_STYLE } from '../profile/page-style.ts';
import { CHART_STYLE, distributionChart } from './chart.ts';
import { factsOf, quantilesText } from './text.ts';

/** What one region file contains. */
export interface DistributionFile {
  readonly name: string;
  /** A sentence: which process it is, and what became of it. */
  readonly state: string;
  readonly distributions: readonly Distribution[];
}

export interface Distribution {
  /** Of the metric, such as `vcpu.exit_io_out`. */
  readonly path: string;
  readonly doc: string;
  readonly value: HistogramValue;
}

export function distributionPage(title: string, files: readonly DistributionFile[]): string {
  // The page may load nothing and run nothing.
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  return `${pageStart(title, policy)}
<style>${PAGE_STYLE}${CHART_STYLE}</style>
</head>
<body>
<h1>${inHtml(title)}</h1>
<p>A bar is the share of the values in one bucket. The line is the share of all values that are at most so large. Point at a
bar to see its numbers.</p>
${files.map((file) => sectionOf(file, files.length > 1)).join('\n')}
</body>
</html>
`;
}

function sectionOf({ name, state, distributions }: DistributionFile, hasName: boolean): string {
  const filled = distributions.filter(({ value }) => value.count > 0n);
  const empty = distributions.filter(({ value }) => value.count === 0n).map(({ path }) => path);
  return [
    ...(hasName ? [`<h2>${inHtml(name)}</h2>`] : []),
    `<p>${inHtml(state)}</p>`,
    ...filled.map(figureOf),
    ...(empty.length === 0 ? [] : [`<p>Without a value: ${inHtml(empty.join(', '))}</p>`]),
  ].join('\n');
}

function figureOf({ path, doc, value }: Distribution): string {
  const caption = `<span class="title">${inHtml(path)}</span><span class="unit">${inHtml(doc)}</span>`;
  return `<figure>
<figcaption>${caption}</figcaption>
<p>${inHtml(factsOf(value))}; ${inHtml(quantilesText(value))}</p>
<div class="wide">${distributionChart(value)}</div>
</figure>`;
}
