// The page of several profiles, of extremes, and of distributions over time.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { bucketsOf } from '../lib/profile/buckets.ts';
import { heatColumnsOf, heatMapsOf } from '../lib/profile/heat-map.ts';
import { linesOf } from '../lib/profile/lines.ts';
import { type ProfileSeries, profileSeriesOf } from '../lib/profile/series.ts';
import { profileTableOf } from '../lib/profile/table.ts';
import { cliSync } from './helpers/command.ts';
import { pageOf } from './helpers/page.ts';
import { temporaryFolder } from './helpers/workplace.ts';

afterEach(() => vi.unstubAllGlobals());

const MS = 1_000_000;
/** A profile with one row per millisecond. */
const textOf = (start: string, columns: Readonly<Record<string, readonly number[]>>, kinds = '\tinc count') => {
  const names = Object.keys(columns);
  const count = columns[names[0]!]!.length;
  const rows = Array.from({ length: count }, (_, i) => [(i + 1) * MS, ...names.map((name) => columns[name]![i])].join('\t'));
  const notes = kinds.startsWith('\tinc count') && names.length > 1 ? kinds.repeat(names.length) : kinds;
  return [`# start=${start} interval_ns=${MS}${notes}`, `Time (ns)\t${names.join('\t')}`, ...rows, ''].join('\n');
};
const fileOf = (name: string, text: string) => ({ name, table: profileTableOf(Buffer.from(text)) });
const EARLY = '2026-01-02T03:04:05.000000000Z';
const LATER = '2026-01-02T03:04:05.002000000Z';
const NEXT_DAY = '2026-01-03T03:04:05.000000000Z';

describe('given several profiles', () => {
  test('when they were sampled at the same time, then each metric has one chart, with the lines on one clock', () => {
    const files = [
      fileOf('vm0', textOf(EARLY, { 'vcpu.exits': [0, 1, 3, 6], 'vcpu.halts': [0, 0, 0, 1] })),
      fileOf('vm1', textOf(LATER, { 'vcpu.exits': [10, 14, 18, 22] })),
    ];
    const { times, charts, totals } = profileSeriesOf(files, 100);
    expect(charts.map(({ title, series }) => [title, series.map(({ label, clock }) => [label, clock])])).toEqual([
      [
        'vcpu.exits',
        [
          ['vm0', 0],
          ['vm1', 1],
        ],
      ],
      ['vcpu.halts', [['vm0', 0]]],
    ]);
    expect(charts[0]!.series.map(({ values }) => values)).toEqual([
      [null, 1000, 2000, 3000],
      [null, 4000, 4000, 4000],
    ]);
    expect(times[0]).toEqual([0.001, 0.002, 0.003, 0.004]);
    times[1]!.forEach((time, i) => {
      expect(time).toBeCloseTo(0.003 + i / 1000, 6);
    });
    expect(totals.map(({ name }) => name)).toEqual(['vm0: vcpu.exits', 'vm0: vcpu.halts', 'vm1: vcpu.exits']);
  });

  test('when they were sampled at other times, or do not say when, then each begins at its own start', () => {
    for (const other of [textOf(NEXT_DAY, { 'a.n': [1, 2] }), 'Time (ns)\ta.n\n1000000\t1\n2000000\t2\n']) {
      expect(profileSeriesOf([fileOf('a', textOf(EARLY, { 'a.n': [1, 2] })), fileOf('b', other)], 100).times).toEqual([
        [0.001, 0.002],
        [0.001, 0.002],
      ]);
    }
  });

  test('when one table has several processes, then their lines share a chart; a colon in the id of a device changes nothing', () => {
    const labels = (columns: Readonly<Record<string, readonly number[]>>) =>
      profileSeriesOf([fileOf('t', textOf(EARLY, columns))], 100).charts.map(({ title, series }) => [
        title,
        ...series.map(({ label }) => label),
      ]);
    expect(labels({ 'vm0:vcpu.exits': [1, 2], 'vm0:vcpu.halts': [1, 2], 'vm1:vcpu.exits': [1, 2], 'vm1:vcpu.halts': [1, 2] })).toEqual([
      ['vcpu.exits', 'vm0', 'vm1'],
      ['vcpu.halts', 'vm0', 'vm1'],
    ]);
    expect(labels({ 'net_a:b.rx': [1, 2], 'net_a:b.tx': [1, 2] })).toEqual([['net_a:b', 'rx', 'tx']]);
    expect(labels({ 'net_a:b.rx': [1, 2], 'net_c:d.tx': [1, 2] })).toEqual([
      ['net_a:b', 'rx'],
      ['net_c:d', 'tx'],
    ]);
  });

  const series = (clock: number, values: readonly (number | null)[]) => ({ name: `${clock}`, label: `${clock}`, clock, values });

  test('when points can be told apart, then a chart has the times of both, and a line passes over the times of the other', () => {
    const lines = [series(0, [1, null, 3]), series(1, [5, 6])];
    const { times, lines: drawn } = linesOf(
      bucketsOf,
      [
        [1, 2, 3],
        [2, 2.5],
      ],
      { series: lines, areRates: false },
      { min: 0, max: 3 },
      800,
    );
    expect(times).toEqual([1, 2, 2.5, 3]);
    expect(drawn.map(({ mean }) => mean)).toEqual([
      [1, null, undefined, 3],
      [undefined, 5, 6, undefined],
    ]);
  });

  test('when points are too close, then the buckets of both lie on one grid', () => {
    const all = [...Array(4000).keys()];
    const lines = [
      series(
        0,
        all.map(() => 1),
      ),
      series(
        1,
        all.map(() => 2),
      ),
    ];
    const clocks = [all, all.map((time) => time + 0.25)];
    const { times, lines: drawn } = linesOf(bucketsOf, clocks, { series: lines, areRates: false }, { min: 0, max: 4000 }, 800);
    expect(times.length).toBeLessThan(300);
    for (const [i, { mean }] of drawn.entries()) expect(new Set(mean)).toEqual(new Set([i + 1]));
  });

  test('when the cursor is where only another line has a point, then the value before is shown', () => {
    const profile: ProfileSeries = {
      times: [[1, 2, 4], [3]],
      charts: [{ title: 'g.n', unit: 'count', shortUnit: '', areRates: false, series: [series(0, [1, 7, 4]), series(1, [5])] }],
      ...{ heatMaps: [], totals: [], rowsPerPoint: 1 },
    };
    const [plot] = pageOf(profile).plots;
    expect(plot!.readingsAt(2)).toEqual(['3 s', '0 7', '1 5']);
    expect(plot!.readingsAt(0)).toEqual(['1 s', '0 1', '1 –']);
    expect(plot!.options.series.at(-1)!.points.filter(undefined, 1, false)).toEqual([2]);
    expect(plot!.options.series.at(-2)!.points.filter(undefined, 1, false)).toEqual([]);
  });

  test('when the command makes a page of them, then the page names each file; files of one name have their paths', () => {
    const folder = temporaryFolder();
    for (const name of ['vm0', 'vm1']) writeFileSync(join(folder, `${name}.tsv`), textOf(EARLY, { 'vcpu.exits': [1, 2, 3] }));
    const paths = ['vm0', 'vm1'].map((name) => join(folder, `${name}.tsv`));
    expect(cliSync(['plot', ...paths, '-o', join(folder, 'page')])).toMatchObject({ status: 0, stderr: '' });
    const page = readFileSync(join(folder, 'page'), 'utf8');
    expect(page).toContain('<h1>vm0.tsv, vm1.tsv</h1>');
    expect(page).toMatch(/<p>vm0 · started [\s\S]*<p>vm1 · started [\s\S]*<p>the files are on one clock<\/p>/);
    const twice = cliSync(['plot', paths[0]!, paths[0]!, '-o', '-']).stdout;
    expect(twice).toContain(`<p>${paths[0]} · started`);
    const missing = cliSync(['plot', paths[0]!, join(folder, 'none'), '-o', '-']);
    expect(missing).toMatchObject({ status: 1, stdout: '' });
    const over = cliSync(['plot', ...paths, '-o', paths[1]!]);
    expect(over.status).toBe(2);
    expect(over.stderr).toContain('-o would overwrite the profile');
  });
});

test('given the extremes of a latency, when they are drawn, then they are steps without a band, hidden until their names are clicked', () => {
  const kinds = '\tinc us\tstore us\tstore us';
  const many = [...Array(3000).keys()];
  const columns = { 'g.t.sum_us': many, 'g.t.min_us': many.map((i) => 3000 - i), 'g.t.max_us': many };
  const { plots, legends, root } = pageOf(profileSeriesOf([fileOf('t', textOf(EARLY, columns, kinds))], 5000));
  const [sum, extremes] = plots;
  expect(sum!.options.series.at(-1)!.paths).toBeUndefined();
  expect(extremes!.options.series.slice(1).map(({ show }) => show)).toEqual([false, false, false, false, false, false]);
  expect(extremes!.options.series.slice(-2).map(({ paths }) => paths)).toEqual([
    ['stepped', { align: 1 }],
    ['stepped', { align: 1 }],
  ]);
  // A chart without a line takes no room.
  const frames = root.all('plot');
  expect(frames.map(({ hidden }) => hidden)).toEqual([false, true]);
  legends[1]![1]!.listeners.get('click')!();
  expect(frames[1]!.hidden).toBe(false);
  // The latest value of a bucket is its most extreme one.
  const [, minHigh, minLow, maxHigh, maxLow, min, max] = extremes!.data;
  expect([minHigh, minLow, maxHigh, maxLow]).toEqual([min, min, max, max]);
  expect(extremes!.data[0]!.length).toBeLessThan(800);
  expect([min!.at(-1), max!.at(-1)]).toEqual([1, 2999]);
  expect(extremes!.readingsAt(0)).toEqual([`${extremes!.data[0]![0]} s`, `t.max_us ${max![0]} µs`]);
});

describe('given distributions', () => {
  const at = (offset: number, ...counts: number[]) => ({ scale: 1, zeroCount: 0, offset, counts });
  const distribution = (...counted: ReturnType<typeof at>[]) => ({
    ...{ path: 'vcpu.t', unit: 'seconds' as const },
    edges: [0, ...counted.keys()].map((_, i) => i),
    counted,
  });

  test('when they are maps of one metric, then they share their rows; values in the zero bucket have the lowest row', () => {
    const maps = heatMapsOf([
      { title: 'a', distribution: distribution(at(-4, 1, 2), at(0)) },
      { title: 'b', distribution: distribution({ ...at(2, 5), zeroCount: 7 }) },
      { title: 'c', distribution: distribution(at(0)) },
    ]);
    expect(maps).toEqual([
      {
        ...{ title: 'a', unit: 'seconds', edges: [0, 1, 2], scale: 1, first: -5, rows: 8, hasZeros: true },
        columns: [
          { begin: 1, counts: [1, 2] },
          { begin: 0, counts: [] },
        ],
      },
      {
        ...{ title: 'b', unit: 'seconds', edges: [0, 1], scale: 1, first: -5, rows: 8, hasZeros: true },
        columns: [{ begin: 0, counts: [7, 0, 0, 0, 0, 0, 0, 5] }],
      },
    ]);
  });

  test('when there are more rows than can be told apart, then buckets are put together', () => {
    const [map] = heatMapsOf([
      { title: 'a', distribution: distribution({ ...at(-128, 1, 1), scale: 3 }, { ...at(129, 1, 1, 1), scale: 3 }) },
    ]);
    expect(map).toMatchObject({ scale: 0, first: -16, rows: 33 });
    expect(map!.columns).toEqual([
      { begin: 0, counts: [2] },
      { begin: 32, counts: [3] },
    ]);
  });

  test('when columns are too narrow, then they are put together, with the median and the 99th percentile', () => {
    const counted = [at(0, 10), at(1, 30), at(3, 1), at(0)];
    const [map] = heatMapsOf([{ title: 'a', distribution: distribution(...counted) }]);
    expect(heatColumnsOf(map!, 0, 4, 0).map(({ total, p50, p99 }) => [total, p50, p99])).toEqual([
      [10, 0, 0],
      [30, 1, 1],
      [1, 3, 3],
      [0, null, null],
    ]);
    expect(heatColumnsOf(map!, 0, 4, 2)).toEqual([
      { from: 0, to: 2, total: 40, counts: [10, 30], p50: 1, p99: 1 },
      { from: 2, to: 4, total: 1, counts: [0, 0, 0, 1], p50: 3, p99: 3 },
    ]);
    expect(heatColumnsOf(map!, 2.5, 2.6, 0)).toHaveLength(1);
  });

  test('when the page draws one, then its cells are where the values are, and the cursor reads the median', () => {
    const [map] = heatMapsOf([{ title: 'vcpu.t', distribution: distribution(at(-20, 4), at(-19, 1, 0, 3)) }]);
    const [plot] = pageOf({ times: [[0, 2]], charts: [], heatMaps: [map!], totals: [], rowsPerPoint: 1 }).plots;
    expect(plot!.options.scales.y.range).toEqual([0, 4]);
    expect(plot!.data).toEqual([
      [0.5, 1.5],
      [0.5, 3.5],
      [0.5, 3.5],
    ]);
    const cells: number[][] = [];
    let alpha = 0;
    const ctx = {
      ...{ save() {}, beginPath() {}, rect() {}, clip() {}, restore() {} },
      set globalAlpha(value: number) {
        alpha = value;
      },
      fillRect: (...cell: number[]) => cells.push([...cell, Number(alpha.toFixed(2))]),
    };
    // 100 pixels a second, 10 pixels a row; the lowest row is at the bottom.
    const valToPos = (value: number, scale: string) => (scale === 'x' ? 100 * value : 40 - 10 * value);
    plot!.options.hooks.drawAxes![0]({ ctx, bbox: { left: 0, top: 0, width: 200, height: 40 }, valToPos });
    expect(cells.map((cell) => cell.slice(0, 4))).toEqual([
      [0, 30, 100, 10],
      [100, 20, 100, 10],
      [100, 0, 100, 10],
    ]);
    const [full, one, three] = cells.map((cell) => cell[4]!);
    expect(full).toBe(1);
    expect([one! < three!, three! < full!, one! > 0.5]).toEqual([true, true, true]);
    expect(plot!.readingsAt(1)).toEqual(['1 s to 2 s', 'values 4', 'p50 2.76 ms to 3.91 ms', 'p99 2.76 ms to 3.91 ms']);
    const [, axis] = plot!.options.axes;
    expect(axis!.values(undefined, axis!.splits!())).toEqual(['1 ms', '2 ms']);
  });

  test('when lines with histograms are plotted, then the page has their maps, and no chart of their buckets', () => {
    const folder = temporaryFolder();
    const line = (second: number, counts: readonly number[], offset: number) =>
      `${JSON.stringify({
        utc_timestamp_ms: second * 1000,
        vcpu: {
          exit_us: { count: 3, sum: 30, min: 1, max: 20, scale: 3, zero_count: 1, offset, bucket_counts: counts },
          odd: { scale: 1, bucket_counts: ['x'] },
        },
      })}\n`;
    const file = join(folder, 'vm0.jsonl');
    // Two lines of one moment belong together. The first line's deltas are from before the chart.
    writeFileSync(file, line(1, [9, 9], -140) + line(2, [1, 1], -140) + line(3, [2], -139) + line(3, [1], -141));
    expect(cliSync(['lines', file, '--plot', `${file}.html`])).toMatchObject({ status: 0, stderr: '' });
    const [, json] = /<script type="application\/json" id="profile">(.*)<\/script>/.exec(readFileSync(`${file}.html`, 'utf8'))!;
    const { heatMaps, charts } = JSON.parse(json!) as ProfileSeries;
    expect(heatMaps).toEqual([
      {
        ...{ title: 'vcpu.exit_us', unit: 'seconds', edges: [0, 1, 2], scale: 3, first: -142, rows: 4, hasZeros: true },
        columns: [
          { begin: 0, counts: [1, 0, 1, 1] },
          { begin: 0, counts: [2, 1, 0, 2] },
        ],
      },
    ]);
    expect(charts.flatMap(({ series }) => series.map(({ name }) => name))).toEqual([
      ...['vcpu.exit_us.count', 'vcpu.exit_us.sum', 'vcpu.exit_us.min', 'vcpu.exit_us.max', 'vcpu.odd.scale'],
    ]);
    expect(charts.find(({ series }) => series[0]!.name === 'vcpu.exit_us.sum')!.unit).toBe('core share');
    const other = cliSync(['lines', file, '--plot', '-', '--metrics', 'vcpu.exit_us.sum']).stdout;
    expect(other).toContain('"heatMaps":[]');
  });
});
