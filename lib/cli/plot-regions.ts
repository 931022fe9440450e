// `vmm-metrics plot` for region files: makes a page of their distributions.

import { type Distribution, distributionPage } from '../distribution/page.ts';
import { HistogramValue } from '../histogram/value.ts';
import { readingOf, summaryOf } from '../region/reader.ts';
import { namesOf, titleOf } from './page-names.ts';
import { fromRegion } from './regions.ts';
import { describeState } from './state.ts';

/** @throws Error if none of the files has a metric with a distribution. */
export function pageOfRegions(files: readonly string[], title: string | undefined): string {
  const names = namesOf(files);
  const read = files.map((file, i) =>
    fromRegion(file, (content) => {
      const distributions = readingOf(file, content)
        .collect()
        .flatMap(({ path, doc, value }): Distribution[] => {
          if (typeof value === 'bigint') return [];
          const histogram = value instanceof HistogramValue ? value : value.histogram;
          return histogram === undefined ? [] : [{ path, doc, value: histogram }];
        });
      return { name: names[i]!, state: describeState(summaryOf(content)), distributions };
    }),
  );
  if (read.every(({ distributions }) => distributions.length === 0)) {
    const which = files.length === 1 ? `'${files[0]}' has` : 'These region files have';
    throw new Error(`${which} no distribution: no metric is a histogram(), or a latency() with a histogram`);
  }
  return distributionPage(title ?? titleOf(files), read);
}
