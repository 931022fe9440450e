// `vmm-metrics plot` of region files: a page of distributions.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, histogram, inc, latency, Metrics, perDevice } from 'vmm-metrics';

import { distributionPage } from '../lib/distribution/page.ts';
import { bucketIndexOf, bucketOf } from '../lib/histogram/bucket-index.ts';
import { schemeOf } from '../lib/histogram/scheme.ts';
import { HistogramValue } from '../lib/histogram/value.ts';
import { cli } from './helpers/command.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  vcpu: group({
    exits: inc('KVM exits'),
    exit: latency('Time of an exit', { histogram: true }),
    empty: histogram('Never counted'),
  }),
  disk: perDevice({ size: histogram('Size of a <request> & more', { unit: 'bytes' }) }),
});

function regionWithValues(name = 'm.region'): { file: string; metrics: Metrics<typeof schema.shape> } {
  const file = join(temporaryFolder(), name);
  const metrics = closing(Metrics.open(schema, { name: freshName(), file }));
  for (let i = 0; i < 100; i++) metrics.app.vcpu.exit.observe(i < 90 ? 3 : 1000);
  const disk = metrics.app.disk.alloc('root');
  for (const size of [0, 512, 4096, 4096]) disk.size.observe(size);
  return { file, metrics };
}

/** The figures of a page: the caption, the text of each bar, and its place and size. */
function figuresOf(page: string) {
  return page
    .split('<figure>')
    .slice(1)
    .map((figure) => ({
      title: /class="title">([^<]*)</.exec(figure)![1]!,
      bars: [...figure.matchAll(/<rect class="bar" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"><title>([^<]*)</g)].map(
        ([, x, y, width, height, text]) => ({ x: Number(x), y: Number(y), width: Number(width), height: Number(height), text: text! }),
      ),
      labels: [...figure.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text!),
    }));
}

describe('given a region file with distributions', () => {
  test('when it is plotted, then each distribution is a picture with a bar for each bucket that is not empty', async () => {
    const { file, metrics } = regionWithValues();
    const { code, stdout, stderr } = await cli('plot', file, '-o', '-');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const figures = figuresOf(stdout);
    expect(figures.map(({ title }) => title)).toEqual(['vcpu.exit', 'disk_root.size', 'disk.size']);
    const { histogram: exits } = metrics.snapshot().vcpu.exit;
    expect(figures[0]!.bars).toHaveLength(exits.buckets().length);
    expect(figures[0]!.bars.map(({ text }) => /: (\d+), ([\d.]+)%/.exec(text)!.slice(1, 3))).toEqual([
      ['90', '90'],
      ['10', '10'],
    ]);
    expect(figures[0]!.bars.map(({ text }) => text.split('; ')[1])).toEqual(['90% are at most so large', '100% are at most so large']);
    // The heights are as the counts, and the bar of the longer times is at the right.
    const [short, long] = figures[0]!.bars;
    expect(short!.height / long!.height).toBeCloseTo(9, 1);
    expect(long!.x).toBeGreaterThan(short!.x + short!.width);
    expect(figures[0]!.labels).toEqual(expect.arrayContaining(['10 us', '100 us', '1 ms', '100%', '90%']));
    expect(figures[0]!.labels.some((label) => /^p50 3(\.\d+)? us$/.test(label))).toBe(true);
    // The zero bucket has a bar too.
    expect(figures[1]!.bars.map(({ text }) => text.replace(/;.*/, ''))).toEqual([
      'above 0 bytes, up to 0.917 bytes: 1, 25%',
      'above 470 bytes, up to 512 bytes: 1, 25%',
      'above 3.67 KiB, up to 4 KiB: 2, 50%',
    ]);
    expect(stdout).toContain('count 100, mean 103 us, min 3 us, max 1 ms');
    expect(stdout).toContain('Without a value: vcpu.empty');
    expect(stdout).toContain('Size of a &lt;request&gt; &amp; more');
  });

  test('when it is plotted, then the page has no script, and may load nothing', async () => {
    const { stdout } = await cli('plot', regionWithValues().file, '-o', '-', '--title', 'A <b>');
    expect(stdout).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(stdout).not.toMatch(/<script|<link|<img|src=|href=|url\(/);
    expect(stdout).toContain('<h1>A &lt;b&gt;</h1>');
  });

  test('when several files are plotted, then each has a section with its name', async () => {
    const files = [regionWithValues('a.region').file, regionWithValues('b.region').file];
    const output = join(temporaryFolder(), 'p.html');
    expect(await cli('plot', ...files, '-o', output)).toMatchObject({ code: 0, stdout: '' });
    const page = readFileSync(output, 'utf8');
    expect([...page.matchAll(/<h2>([^<]*)</g)].map(([, name]) => name)).toEqual(['a.region', 'b.region']);
    expect(figuresOf(page)).toHaveLength(6);
  });

  test.each([
    { args: ['--points', '9'], says: '--points is only for profiles' },
    { args: [new URL('../package.json', import.meta.url).pathname], says: 'a page is of profiles or of region files, not of both' },
  ])('when it is plotted with $args, then the error says what is wrong', async ({ args, says }) => {
    const { code, stdout, stderr } = await cli('plot', regionWithValues().file, ...args, '-o', '-');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(says);
  });
});

test('given a region file without distributions, when it is plotted, then the error says so', async () => {
  const file = join(temporaryFolder(), 'plain.region');
  closing(Metrics.open(defineSchema({ g: group({ a: inc('a') }) }), { name: freshName(), file }));
  const { code, stderr } = await cli('plot', file, '-o', '-');
  expect(code).toBe(1);
  expect(stderr).toContain(`'${file}' has no distribution: no metric is a histogram(), or a latency() with a histogram`);
});

test('given distributions of every shape, when they are drawn, then everything is inside the picture, and texts do not overlap', () => {
  const shapes: number[][] = [
    [0],
    [5e6],
    [1e-9, 1],
    [0, 2 ** 43],
    Array.from({ length: 300 }, (_, i) => 100 * 1.08 ** i),
    Array.from({ length: 40 }, (_, i) => 1000 + i),
  ];
  for (const unit of ['us', 'ns', 'bytes', 'count'] as const) {
    const scheme = schemeOf(unit);
    const index = bucketIndexOf(scheme);
    const distributions = shapes.map((values, i) => {
      const counts = new BigUint64Array(scheme.buckets);
      for (const value of values) counts[bucketOf(index, Math.floor(value))]! += 1n;
      const [min, max] = [Math.min(...values), Math.max(...values)].map((value) => BigInt(Math.floor(value / index.perUnit)));
      return { path: `m${i}`, doc: '', value: new HistogramValue(scheme, { sum: 1n, min: min!, max: max!, counts }) };
    });
    const page = distributionPage('t', [{ name: 'n', state: 's', distributions }]);
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
    for (const { bars } of figuresOf(page)) {
      expect(bars.length).toBeGreaterThan(0);
      for (const { x, y, width, height } of bars) {
        expect(Math.min(x, y, width, height)).toBeGreaterThan(0);
        expect(x + width).toBeLessThanOrEqual(853);
        expect(y + height).toBeCloseTo(234, 0);
      }
    }
    for (const [figure] of page.matchAll(/<svg[\s\S]*?<\/svg>/g)) {
      for (const [row, attribute] of [
        ['24', ''],
        ['250', ' class="middle"'],
      ]) {
        const texts = [...figure.matchAll(new RegExp(`<text(${attribute}| class="end")? x="([\\d.]+)" y="${row}">([^<]*)<`, 'g'))];
        const spans = texts.map(([, kind, x, text]) => {
          const width = 6 * text!.length;
          const begin = Number(x) - (kind?.includes('end') ? width : kind?.includes('middle') ? width / 2 : 0);
          return { begin, end: begin + width };
        });
        for (let i = 1; i < spans.length; i++) expect(spans[i]!.begin).toBeGreaterThanOrEqual(spans[i - 1]!.end);
      }
    }
  }
});
