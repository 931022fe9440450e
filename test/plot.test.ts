// The page of a profile: what is read, what is shown, and the errors of the command.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, Metrics, perDevice } from 'vmm-metrics';

import { profilePage } from '../lib/profile/page.ts';
import { type ProfileSeries, profileSeriesOf } from '../lib/profile/series.ts';
import { type ProfileTable, profileTableOf } from '../lib/profile/table.ts';
import { node } from './helpers/children.ts';
import { cliSync, program } from './helpers/command.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const tableOf = (...lines: string[]) => profileTableOf(Buffer.from(lines.map((line) => `${line}\n`).join('')));
const fileOf = (table: ProfileTable) => ({ name: 't', table });
const seriesOf = (lines: readonly string[], points = 1000) => profileSeriesOf([fileOf(tableOf(...lines))], points);

describe('given the text of a profile', () => {
  test('when it is annotated, then start, interval, kinds and units come from the annotations', () => {
    const table = tableOf(
      '# start=2026-01-02T03:04:05.000000006Z interval_ns=1000\tinc us\tstore bytes',
      'Time (ns)\ta.x\tb.y',
      '1000\t1\t18446744073709551615',
      '2010\t2\t0',
      '# samples=2 missed_ticks=5 back_offs=0 late_ns_median=4 late_ns_p99=9 late_ns_max=10',
    );
    expect(table).toMatchObject({
      start: '2026-01-02T03:04:05.000000006Z',
      intervalNs: 1000,
      figures: { missed_ticks: 5, late_ns_p99: 9 },
    });
    expect(table.columns.map(({ name, kind, unit }) => [name, kind, unit])).toEqual([
      ['a.x', 'inc', 'us'],
      ['b.y', 'store', 'bytes'],
    ]);
    expect([...table.columns[1]!.values]).toEqual([2n ** 64n - 1n, 0n]);
    expect([...table.timesNs]).toEqual([1000, 2010]);
  });

  test('when it is not annotated, then kinds and units are guessed, and the most frequent interval is taken', () => {
    const table = tableOf('Time (ns)\tg.n_bytes\tg.level\tg.t.max_us', '10\t1\t5\t1', '20\t1\t4\t2', '30\t3\t6\t3');
    expect(table.columns.map(({ kind, unit }) => `${kind} ${unit}`)).toEqual(['inc bytes', 'store count', 'store us']);
    expect(table.intervalNs).toBe(10);
    expect(table.start).toBeUndefined();
  });

  test('when the last row is incomplete, then it is left out, and isCut is true', () => {
    const table = profileTableOf(Buffer.from('Time (ns)\ta.x\n1\t2\n2\t'));
    expect(table.timesNs).toHaveLength(1);
    expect(table.isCut).toBe(true);
  });

  test('when it is annotated but has no closing comment, then isUnfinished is true, and the grid shows which ticks were missed', () => {
    const lines = ['# start=x interval_ns=10\tinc us', 'Time (ns)\ta.x', '31\t1', '40\t1', '79\t1', '83\t1', '85\t1'];
    expect(tableOf(...lines)).toMatchObject({ isUnfinished: true, isGuessed: false, missedTicks: 4 });
    const cutComment = profileTableOf(Buffer.from([...lines, '# samples=5 mis'].join('\n')));
    expect(cutComment).toMatchObject({ isUnfinished: true, isCut: false });
    const ended = tableOf(...lines, '# samples=5 missed_ticks=7 back_offs=0 late_ns_median=1 late_ns_p99=1 late_ns_max=1');
    expect(ended).toMatchObject({ isUnfinished: false, missedTicks: 7 });
  });

  test('when it is not annotated, then the missed ticks are unknown, and isGuessed is true', () => {
    const table = tableOf('Time (ns)\ta.x', '10\t1', '20\t1');
    expect(table).toMatchObject({ isUnfinished: false, isGuessed: true, isCut: false });
    expect(table.missedTicks).toBeUndefined();
  });

  test('when startProfiling() wrote it, then names and values are read back exactly, whatever the id', async () => {
    const metrics = closing(
      Metrics.open(defineSchema({ g: group({ n: inc('n') }), d: perDevice({ n: inc('n') }) }), { name: freshName() }),
    );
    const id = 'a\tb\\t\nc.ü';
    metrics.app.d.alloc(id).n.add(10n ** 18n + 1n);
    const output = `${temporaryFolder()}/p`;
    await metrics.startProfiling({ metrics: ['g.n', `d_${id}.n`], output, annotate: true }).stop();
    const table = profileTableOf(readFileSync(output));
    expect(table.columns.map(({ name }) => name)).toEqual(['g.n', `d_${id}.n`]);
    expect(table.columns[1]!.values.at(-1)).toBe(10n ** 18n + 1n);
    expect(table.figures['samples']).toBe(table.timesNs.length);
    expect(table).toMatchObject({ isUnfinished: false, isGuessed: false, isCut: false, missedTicks: table.figures['missed_ticks'] });
  });

  test.each([
    { lines: [''], message: /^is not a profile: it has no header line with 'Time \(ns\)' and names of metrics$/ },
    { lines: ['{"a":1}'], message: /^is not a profile: it has no header line with 'Time \(ns\)' and names of metrics$/ },
    { lines: ['Time (ns)'], message: /^is not a profile: it has no header line with 'Time \(ns\)' and names of metrics$/ },
    { lines: ['Time (ns)\ta', '1\t2', '2\tx'], message: /^is not a profile: field 2 of line 3 is not a number/ },
    { lines: ['# c', 'Time (ns)\ta', '1'], message: /^is not a profile: field 1 of line 3 is not a number/ },
    { lines: ['Time (ns)\ta', '1\t2\t3'], message: /^is not a profile: field 2 of line 2 is not a number/ },
    { lines: ['Time (ns)\ta', '1\t18446744073709551616'], message: /^is not a profile: field 2 of line 2 is not a number/ },
    { lines: ['Time (ns)\ta', '5\t2', '5\t3'], message: /^is not a profile: the time of line 3 is not after the time of the line before$/ },
    {
      lines: ['Time (ns)\ta', '5\t2', 'Time (ns)\ta', '5\t3'],
      message: /^is not a profile: line 3 is a second header, but a file contains only one profile$/,
    },
    {
      lines: ['Time (ns)\ta', '5\t2', '# start=x interval_ns=10', 'Time (ns)\ta'],
      message: /^is not a profile: line 4 is a second header/,
    },
    { lines: ['# c', 'Time (ns)\ta'], message: /^has no samples$/ },
  ])('when it is $lines, then the error names the place', ({ lines, message }) => {
    expect(() => tableOf(...lines)).toThrow(message);
  });
});

const ANNOTATED = [
  '# start=2026-01-02T03:04:05.0Z interval_ns=1000000\tinc count\tstore us\tinc count',
  'Time (ns)\tg.n\tg.t.max_us\td_x.y.n',
];
const rows = (...ticks: (readonly [tick: number, n: bigint | number])[]) => ticks.map(([tick, n]) => `${tick * 1e6 + 10}\t${n}\t${n}\t7`);

describe('given rows', () => {
  test.each([
    { name: 'begins anew', values: [1000, 1500, 30, 40], rates: [null, 500_000, 30_000, 10_000], difference: '540', perSecond: 180_000 },
    { name: 'begins anew twice', values: [9, 3, 1], rates: [null, 3000, 1000], difference: '4', perSecond: 2000 },
    { name: 'passes 2^64', values: [2n ** 64n - 5n, 5], rates: [null, 10_000], difference: '10', perSecond: 10_000 },
  ])('when a counter $name, then its rates and its difference show how far it went up', ({ values, rates, difference, perSecond }) => {
    const table = tableOf(...ANNOTATED, ...rows(...values.map((value, i) => [i + 1, value] as const)));
    const { charts, totals } = profileSeriesOf([fileOf(table)], 100);
    expect(charts[0]!.series[0]!.values).toEqual(rates);
    expect(totals[0]).toMatchObject({ difference, perSecond });
  });

  test('when they are shown, then counters are rates, other metrics are values, and each group and unit has a chart', () => {
    const series = seriesOf([...ANNOTATED, ...rows([1, 5], [2, 10], [3, 25])]);
    expect(series.times).toEqual([[0.00100001, 0.00200001, 0.00300001]]);
    expect(series.charts).toEqual([
      {
        title: 'g',
        unit: 'count per second',
        shortUnit: '/s',
        areRates: true,
        series: [{ name: 'g.n', label: 'n', clock: 0, values: [null, 5000, 15000] }],
      },
      {
        title: 'g',
        unit: 'µs',
        shortUnit: 'µs',
        areRates: false,
        series: [{ name: 'g.t.max_us', label: 't.max_us', clock: 0, extreme: 'max', values: [5, 10, 25] }],
      },
      {
        title: 'd_x.y',
        unit: 'count per second',
        shortUnit: '/s',
        areRates: true,
        series: [{ name: 'd_x.y.n', label: 'n', clock: 0, values: [null, 0, 0] }],
      },
    ]);
    expect(series.totals[0]).toEqual({ name: 'g.n', unit: 'count', first: '5', last: '25', difference: '20', perSecond: 10000 });
    expect(series.totals[1]).toEqual({ name: 'g.t.max_us', unit: 'µs', first: '5', last: '25' });
  });

  test.each([
    // 4 in 10 ns.
    { unit: 'ns', shown: 'core share', shortUnit: '%', rate: 40, rateUnit: '%', note: '100% is one thread busy all the time' },
    { unit: 'us', shown: 'core share', shortUnit: '%', rate: 40_000, rateUnit: '%', note: '100% is one thread busy all the time' },
    { unit: 'ms', shown: 'core share', shortUnit: '%', rate: 40_000_000, rateUnit: '%', note: '100% is one thread busy all the time' },
    { unit: 'bytes', shown: 'bytes per second', shortUnit: 'bytes/s', rate: 400_000_000, rateUnit: undefined, note: undefined },
    {
      unit: 'constructor',
      shown: 'constructor per second',
      shortUnit: 'constructor/s',
      rate: 400_000_000,
      rateUnit: undefined,
      note: undefined,
    },
  ])('when the unit of a counter is $unit, then its rate is in $shown; a sum of durations is a share of a core', ({
    unit,
    shown,
    shortUnit,
    rate,
    rateUnit,
    note,
  }) => {
    const { charts, totals } = seriesOf([`# start=x interval_ns=10\tinc ${unit}`, 'Time (ns)\ta.x', '10\t1', '20\t5']);
    expect(charts[0]).toMatchObject({ unit: shown, shortUnit, series: [{ values: [null, rate] }] });
    expect(charts[0]!.note).toBe(note);
    expect(totals[0]).toMatchObject({ first: '1', last: '5', perSecond: rate });
    expect(totals[0]!.rateUnit).toBe(rateUnit);
  });

  test('when ticks were missed, then there is a gap; when a sample was only late, then there is no gap', () => {
    const series = seriesOf([...ANNOTATED, ...rows([1, 1], [2.9, 2], [3, 3], [7, 7], [8, 8])]);
    expect(series.charts[0]!.series[0]!.values).toEqual([null, 1000, 1000, null, 1000, 1000]);
    expect(series.charts[1]!.series[0]!.values).toEqual([1, 2, 3, null, 7, 8]);
    expect(series.times[0]![3]).toBeCloseTo(0.005);
  });

  test.each([
    { after: 'one that was late', ticks: [1, 2.9, 3, 4], rates: [null, 526.316, 1818.18, 1818.18] },
    { after: 'one that was late, with a gap next', ticks: [1, 2.9, 3, 6, 7], rates: [null, 1000, 1000, null, 333.333, 1000] },
    { after: 'the last tick', ticks: [1, 2, 3, 3.06], rates: [null, 1000, 1886.79, 1886.79] },
    { after: 'the tick after a gap', ticks: [1, 2, 5, 5.1], rates: [null, 1000, null, 645.161, 645.161] },
    { after: 'the first tick', ticks: [1, 1.1, 2], rates: [null, 2000, 2000] },
    { after: 'the first tick, with a gap next', ticks: [1, 1.1, 4], rates: [null, null, null, 666.667] },
    { after: 'the only tick', ticks: [1, 1.1], rates: [null, null] },
    { after: 'the last tick, by half an interval', ticks: [1, 2, 2.5], rates: [null, 1000, 2000] },
  ])('when a row comes close after $after, then both share a rate, and all values are kept', ({ ticks, rates }) => {
    const series = seriesOf([...ANNOTATED, ...rows(...ticks.map((tick, i) => [tick, i] as const))]);
    expect(series.charts[0]!.series[0]!.values).toEqual(rates);
    expect(series.charts[1]!.series[0]!.values.filter((value) => value !== null)).toEqual(ticks.map((_, i) => i));
    expect(series.totals[0]!.difference).toBe(String(ticks.length - 1));
  });

  test('when the last point has only a row that comes close, then it shares its rate with the point before', () => {
    const series = seriesOf([...ANNOTATED, ...rows([1, 1], [2, 2], [3, 3], [4, 4], [4.01, 5])], 3);
    expect(series.rowsPerPoint).toBe(2);
    expect(series.charts[0]!.series[0]!.values).toEqual([1000, 1492.54, 1492.54]);
  });

  test('when a counter wraps, then its rate stays right', () => {
    const series = seriesOf([...ANNOTATED, ...rows([1, 2n ** 64n - 2n], [2, 3n])]);
    expect(series.charts[0]!.series[0]!.values).toEqual([null, 5000]);
    expect(series.totals[0]!.difference).toBe('5');
  });

  test('when there are more rows than points, then each point is a mean with its extremes, and only long gaps are shown', () => {
    const ticks = [...Array(100).keys()].map((i) => [i + 1 + (i >= 30 ? 1 : 0) + (i >= 60 ? 40 : 0), i === 15 ? 1000 : i] as const);
    const series = seriesOf([...ANNOTATED, ...rows(...ticks)], 10);
    expect(series.rowsPerPoint).toBe(10);
    expect(series.charts[1]!.series[0]).toMatchObject({
      values: [4.5, 113, 24.5, 34.5, 44.5, 54.5, null, 64.5, 74.5, 84.5, 94.5],
      low: [0, 10, 20, 30, 40, 50, null, 60, 70, 80, 90],
      high: [9, 1000, 29, 39, 49, 59, null, 69, 79, 89, 99],
    });
    // The counter rises by one each tick. It jumps to 1000, restarts, and is at 16 a tick later. One tick was missed
    // before row 30, and 40 before row 60.
    const perSecond = series.charts[0]!.series[0]!;
    expect(perSecond.values).toEqual([1000, 101_000, 1000, 909.091, 1000, 1000, null, 200, 1000, 1000, 1000]);
    expect(perSecond.low).toEqual([1000, 1000, 1000, 500, 1000, 1000, null, 24.3902, 1000, 1000, 1000]);
    expect(perSecond.high).toEqual([1000, 986_000, 1000, 1000, 1000, 1000, null, 1000, 1000, 1000, 1000]);
  });

  test('when there are as many rows as points, then no point has extremes', () => {
    const [chart] = seriesOf([...ANNOTATED, ...rows([1, 1], [2, 2])], 2).charts;
    expect(Object.keys(chart!.series[0]!)).toEqual(['name', 'label', 'clock', 'values']);
  });

  test('when there is only one row, then a page is still made', () => {
    const table = tableOf(...ANNOTATED, ...rows([1, 1]));
    expect(profilePage('t', [fileOf(table)], profileSeriesOf([fileOf(table)], 10), { script: '', style: '', license: '' })).toContain(
      '<table',
    );
  });
});

describe('given a page', () => {
  const library = { script: 'var uPlot;', style: '', license: 'MIT --> <script>' };
  const hostile = '</script><img src=x onerror=alert(1)>';

  test('when names contain HTML, then they stay text', () => {
    const table = tableOf(`Time (ns)\t${hostile}.n`, '1\t2', '2\t3');
    const series: ProfileSeries = profileSeriesOf([fileOf(table)], 10);
    const page = profilePage(hostile, [fileOf(table)], series, library);
    expect(page).not.toContain('<img');
    expect(page.match(/<\/script>/g)).toHaveLength(3);
    expect(page.match(/-->/g)).toHaveLength(1);
    const [, json] = /<script type="application\/json" id="profile">(.*)<\/script>/.exec(page)!;
    expect(JSON.parse(json!)).toEqual(JSON.parse(JSON.stringify(series)));
  });

  const pageOf = (...lines: string[]) => {
    const table = tableOf(...lines);
    return profilePage('t', [fileOf(table)], profileSeriesOf([fileOf(table)], 1000), library);
  };
  const factsIn = (page: string) => /<p>(.*)<\/p>/.exec(page)![1]!.split(' · ');
  const closingLine = '# samples=2 missed_ticks=0 back_offs=0 late_ns_median=47120 late_ns_p99=91000 late_ns_max=99000';

  test.each([
    { of: 'one sample', lines: [...ANNOTATED, ...rows([1, 1])], facts: ['1 sample, 1 ms apart', '0 ticks missed'] },
    {
      of: 'a whole profile',
      lines: [...ANNOTATED, ...rows([1, 1], [2, 1]), closingLine],
      facts: ['2 samples, 1 ms apart', '0 ticks missed', 'late by 47.12 µs (median), 91 µs (p99)'],
    },
    {
      of: 'one without its end',
      lines: [...ANNOTATED, ...rows([1, 1], [3, 1])],
      facts: ['1 tick missed in 1 gap', 'not finished: the process died, or is still running'],
    },
    {
      of: 'one without annotations',
      lines: ['Time (ns)\ta.x', '10\t1', '20\t1', '30\t1', '50\t1'],
      facts: ['1 gap', 'no annotations: a metric that never goes down is taken for a counter (annotate: true says what it is)'],
    },
    { of: 'one that was cut', lines: [...ANNOTATED, ...rows([1, 1]), '2\t\0'], facts: ['the last row is incomplete and left out'] },
  ])('when it shows $of, then the facts say so', ({ lines, facts }) => {
    const text = lines.map((line) => `${line}\n`).join('');
    const table = profileTableOf(Buffer.from(text.replace('\0\n', '')));
    expect(factsIn(profilePage('t', [fileOf(table)], profileSeriesOf([fileOf(table)], 1000), library))).toEqual(
      expect.arrayContaining(facts),
    );
  });

  test('when nothing went wrong, then no fact reports a problem', () => {
    expect(factsIn(pageOf(...ANNOTATED, ...rows([1, 1], [2, 1]), closingLine))).toHaveLength(4);
  });

  test('when totals are large, then every digit is shown, with commas', () => {
    const page = pageOf(...ANNOTATED, ...rows([1, 2n ** 53n + 1n], [2, 2n ** 64n - 1n]));
    expect(page).toMatch(
      /g\.n \(count\)<td[^>]*>9,007,199,254,740,993<td[^>]*>18,446,744,073,709,551,615<td[^>]*>18,437,736,874,454,810,622</,
    );
    // A narrow page hides empty cells, so an empty cell must not contain a newline.
    expect(page).toMatch(/g\.t\.max_us \(µs\).*<td data-of="difference"><td data-of="per second"><\/tr>/);
  });

  test('when it is shown, then a hint explains how to zoom and how to hide lines', () => {
    expect(pageOf(...ANNOTATED, ...rows([1, 1]))).toMatch(
      /Drag to zoom, double-click to show all, click a name to hide it[\s\S]*a line is their mean, and the band/,
    );
  });

  test('when the command makes it, then it is complete and loads nothing', () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/p.tsv`, [...ANNOTATED, ...rows([1, 1], [2, 2])].map((line) => `${line}\n`).join(''));
    const { status, stdout, stderr } = cliSync(['plot', `${folder}/p.tsv`, '-o', `${folder}/p.html`, '--title', 'A & B']);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
    const page = readFileSync(`${folder}/p.html`, 'utf8');
    expect(page).toContain('<title>A &amp; B</title>');
    expect(page).toContain("default-src 'none'");
    expect(page).toContain('uPlot=function');
    expect(page).toContain('Permission is hereby granted');
    expect(page).not.toMatch(/<(script|link|img|iframe)[^>]*(src|href)=|@import|url\(/);
    // An engine can parse each script.
    const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, code]) => code!);
    expect(scripts).toHaveLength(2);
    for (const code of scripts) execFileSync(node, ['--check', '-'], { input: code });
  });

  test('when the command, which is bundled, makes it, then its code needs nothing that the page lacks', () => {
    const folder = temporaryFolder();
    const many = Array.from({ length: 3000 }, (_, i): [number, number] => [i + 1, i * i]);
    writeFileSync(`${folder}/p.tsv`, [...ANNOTATED, ...rows(...many)].map((line) => `${line}\n`).join(''));
    expect(cliSync(['plot', `${folder}/p.tsv`, '-o', `${folder}/p.html`]).status).toBe(0);
    const page = readFileSync(`${folder}/p.html`, 'utf8');
    const [, textContent] = /<script type="application\/json" id="profile">(.*)<\/script>/.exec(page)!;
    const code = page.slice(page.lastIndexOf('<script>') + 8, page.lastIndexOf('</script>'));
    const element = () => ({
      ...{ append() {}, addEventListener() {}, setAttribute() {}, replaceChildren() {} },
      ...{ clientWidth: 800, style: { setProperty() {} }, textContent },
    });
    const points: number[] = [];
    class Plot {
      static readonly paths = { stepped() {} };
      readonly over = element();
      readonly series: object[];
      constructor(options: { series: object[] }, [times]: number[][]) {
        this.series = options.series.map(() => ({}));
        points.push(times!.length);
      }
      setData() {}
      setScale() {}
    }
    runInNewContext(code, {
      uPlot: Plot,
      document: { getElementById: element, createElement: element, querySelectorAll: () => [], body: {} },
      getComputedStyle: () => ({ color: '#000' }),
      matchMedia: () => ({ matches: false }),
      addEventListener() {},
      ResizeObserver: class {
        observe() {}
      },
    });
    // Means, since there are more points than pixels.
    expect(points.length).toBeGreaterThan(0);
    for (const count of points) expect(count).toBeLessThan(800);
  });
});

describe('given the command line', () => {
  test.each([
    { args: ['plot'], says: /^vmm-metrics: plot: FILE\.tsv is missing.*\n$/ },
    { args: ['plot', 'a'], says: /-o FILE\.html/ },
    { args: ['plot', 'a', '-o', 'c', '--points', '1'], says: /--points must be an integer from 2 to 1000000; got 1;/ },
    { args: ['plot', '', '-o', 'c'], says: /FILE\.tsv must not be empty/ },
    { args: ['plot', 'a', '-o', ''], says: /FILE\.html must not be empty/ },
    { args: ['plot', 'a', '--nope'], says: /^vmm-metrics: plot: .*--nope.*\n$/ },
  ])('when it is $args, then one line says what is wrong, and the exit code is 2', ({ args, says }) => {
    const { status, stdout, stderr } = cliSync(args);
    expect(stderr).toMatch(says);
    expect({ status, stdout, lines: stderr.split('\n').length }).toEqual({ status: 2, stdout: '', lines: 2 });
  });

  test.each([
    { name: 'there is none', file: 'none', says: /^vmm-metrics: Cannot read the profile '.*none': ENOENT: no such file/ },
    { name: 'it is no profile', file: 'text', says: /^vmm-metrics: '.*text' is not a profile: it has no header/ },
    { name: 'it has no rows', file: 'header', says: /^vmm-metrics: '.*header' has no samples\n$/ },
  ])('when the profile cannot be read because $name, then one line says so, the exit code is 1, and no page is made', ({ file, says }) => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/text`, 'hello\n');
    writeFileSync(`${folder}/header`, 'Time (ns)\ta\n');
    const { status, stderr } = cliSync(['plot', `${folder}/${file}`, '-o', `${folder}/page`]);
    expect(stderr).toMatch(says);
    expect({ status, lines: stderr.split('\n').length }).toEqual({ status: 1, lines: 2 });
    expect(existsSync(`${folder}/page`)).toBe(false);
  });

  const profileIn = (folder: string) => {
    const text = [...ANNOTATED, ...rows([1, 1], [2, 2])].map((line) => `${line}\n`).join('');
    writeFileSync(`${folder}/p.tsv`, text);
    return text;
  };

  test('when the page would overwrite a region, then one line says so, and the region stays unchanged', () => {
    const folder = temporaryFolder();
    profileIn(folder);
    closing(Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: freshName(), file: `${folder}/r` }));
    const before = readFileSync(`${folder}/r`);
    const { status, stderr } = cliSync(['plot', 'p.tsv', '-o', 'r'], { cwd: folder });
    expect(stderr).toMatch(/^vmm-metrics: plot: -o 'r' is a region file; writing to it would destroy its metrics;.*\n$/);
    expect(status).toBe(2);
    expect(readFileSync(`${folder}/r`).equals(before)).toBe(true);
  });

  test.each([
    { name: 'the same path', output: 'p.tsv' },
    { name: 'another path', output: './x/../p.tsv' },
    { name: 'a hard link', output: 'hard' },
    { name: 'a symbolic link', output: 'soft' },
  ])('when the page would overwrite the profile by $name, then one line says so, and the profile stays unchanged', ({ output }) => {
    const folder = temporaryFolder();
    const text = profileIn(folder);
    mkdirSync(`${folder}/x`);
    linkSync(`${folder}/p.tsv`, `${folder}/hard`);
    symlinkSync('p.tsv', `${folder}/soft`);
    const { status, stdout, stderr } = cliSync(['plot', 'p.tsv', '-o', output], { cwd: folder });
    expect(stderr).toMatch(/^vmm-metrics: plot: -o would overwrite the profile 'p\.tsv';.*\n$/);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(readFileSync(`${folder}/p.tsv`, 'utf8')).toBe(text);
  });

  test('when -o is -, then the page goes to standard output, unless that is the profile', () => {
    const folder = temporaryFolder();
    const text = profileIn(folder);
    const { status, stdout, stderr } = cliSync(['plot', 'p.tsv', '-o', '-'], { cwd: folder });
    expect({ status, stderr, files: readdirSync(folder) }).toEqual({ status: 0, stderr: '', files: ['p.tsv'] });
    expect(stdout).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
    const stdio = ['ignore', openSync(`${folder}/p.tsv`, 'a'), 'ignore'] as const;
    expect(cliSync(['plot', `${folder}/p.tsv`, '-o', '-'], { stdio: [...stdio] }).status).toBe(2);
    expect(readFileSync(`${folder}/p.tsv`, 'utf8')).toBe(text);
  });

  test('when the reader of standard output leaves, then the command ends without a message', () => {
    const folder = temporaryFolder();
    profileIn(folder);
    const script = `set -o pipefail; '${node}' '${program}' plot '${folder}/p.tsv' -o - | head -c 10`;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '<!doctype ', stderr: '' });
  });

  test('when an older page exists, then the new page replaces it atomically with the same mode, and no other file is left', () => {
    const folder = temporaryFolder();
    profileIn(folder);
    const page = `${folder}/p.html`;
    writeFileSync(page, 'old', { mode: 0o600 });
    const old = openSync(page, 'r');
    expect(cliSync(['plot', `${folder}/p.tsv`, '-o', page]).status).toBe(0);
    expect(readFileSync(old, 'utf8')).toBe('old');
    expect(readFileSync(page, 'utf8')).toContain('</html>');
    expect(statSync(page).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(['p.html', 'p.tsv']);
  });

  test.each([
    { name: 'a link', output: 'link', says: '' },
    {
      name: 'a full device',
      output: '/dev/full',
      says: "vmm-metrics: Cannot write the page '/dev/full': ENOSPC: no space left on device, write\n",
    },
    { name: 'in no folder', output: 'none/p', says: /^vmm-metrics: Cannot write the page 'none\/p': ENOENT/ },
  ])('when the page is $name, then the page is written, or one line gives the reason', ({ output, says }) => {
    const folder = temporaryFolder();
    profileIn(folder);
    writeFileSync(`${folder}/page`, 'old');
    symlinkSync('page', `${folder}/link`);
    const { status, stderr } = cliSync(['plot', 'p.tsv', '-o', output], { cwd: folder });
    expect(stderr).toMatch(says);
    expect(status).toBe(output === 'link' ? 0 : 1);
    expect(readFileSync(`${folder}/page`, 'utf8').endsWith('</html>\n')).toBe(output === 'link');
    expect(readdirSync(folder).sort()).toEqual(['link', 'p.tsv', 'page']);
  });

  test('when --help is given, then the help is printed', () => {
    expect(cliSync(['plot', '--help']).stdout).toMatch(/^Usage: vmm-metrics plot FILE\.tsv\.\.\. -o FILE\.html[\s\S]*default: 5000/);
  });
});
