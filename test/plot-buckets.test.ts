// The charts of a profile's page where points outnumber pixels: a line of means, and a band from minimum to maximum.

import { runInNewContext } from 'node:vm';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { BUCKET_PARTS, type BucketOptions, bucketsOf } from '../lib/profile/buckets.ts';
import { type Chart, type ProfileSeries, profileSeriesOf, type Series } from '../lib/profile/series.ts';
import { profileTableOf } from '../lib/profile/table.ts';
import { type Plot, pageOf } from './helpers/page.ts';

const range = (count: number) => [...Array(count).keys()];
const series = (values: readonly (number | null)[], more: Partial<Series> = {}): Series => ({
  name: 'g.n',
  label: 'n',
  clock: 0,
  values,
  ...more,
});
const whole = (times: readonly number[], width: number, areRates = false): BucketOptions => ({
  from: times[0]!,
  to: times.at(-1)!,
  width,
  areRates,
});
/** Sizes that a double holds exactly, so that sums and times can be compared exactly. */
const MS = 2 ** -10;

afterEach(() => vi.unstubAllGlobals());

describe('given points in buckets', () => {
  test('when there is no gap, then each bucket has the mean, minimum and maximum of its points, at its middle', () => {
    const times = range(3000).map((i) => i * MS);
    const values = times.map((_, i) => (i * 7919) % 1024);
    const { times: middles, lines } = bucketsOf(times, [series(values), series(values.map((value) => 2 * value))], whole(times, 16 * MS));
    const buckets = range(187).map((k) => values.slice(16 * k, 16 * k + 16));
    // The last bucket would have eight points: enough to stand alone.
    buckets.push(values.slice(2992));
    expect(middles).toEqual(buckets.map((_, k) => (16 * k + 8) * MS));
    for (const [i, factor] of [1, 2].entries()) {
      expect(lines[i]!.mean).toEqual(buckets.map((all) => (factor * all.reduce((sum, value) => sum + value)) / all.length));
      expect(lines[i]!.low).toEqual(buckets.map((all) => factor * Math.min(...all)));
      expect(lines[i]!.high).toEqual(buckets.map((all) => factor * Math.max(...all)));
    }
  });

  test('when the values are rates, then the mean is the rate over the whole bucket, however late its samples were', () => {
    // The count is i² at time i, but every third sample is late, close to the next one.
    const times = range(64).map((i) => (i % 3 === 1 ? i + 0.875 : i));
    const count = (time: number) => time * time;
    const values = times.map((time, i) => (i === 0 ? null : (count(time) - count(times[i - 1]!)) / (time - times[i - 1]!)));
    const { lines } = bucketsOf(times, [series(values)], whole(times, 8, true));
    const lastOf = (k: number) => times.filter((time) => time < 8 * (k + 1)).at(-1)!;
    const expected = range(8).map((k) => {
      const from = k === 0 ? times[0]! : lastOf(k - 1);
      return (count(lastOf(k)) - count(from)) / (lastOf(k) - from);
    });
    lines[0]!.mean.forEach((mean, k) => {
      expect(mean).toBeCloseTo(expected[k]!, 10);
    });
    expect(lines[0]!.mean).toHaveLength(8);
  });

  test('when a gap is longer than a bucket, then lines and bands break there; when it is shorter, then they do not', () => {
    // Each null stands for a gap of missed ticks. The first gap, from 14 to 18, is 4 long; the second, from 27 to 47,
    // is 20 long.
    const times = [...range(15), 16, ...range(10).map((i) => i + 18), 37, ...range(17).map((i) => i + 47)];
    const values = times.map((time) => (time === 16 || time === 37 ? null : time));
    const { times: middles, lines } = bucketsOf(times, [series(values), series(values)], whole(times, 8));
    // 14 and 18 are in adjacent buckets. 24 to 27 and 47 are few, but not fewer than half of the points beside them.
    expect(middles).toEqual([4, 12, 20, 28, 40, 52, 60]);
    for (const line of lines) {
      expect(line.mean).toEqual([3.5, 11, 20.5, 25.5, null, 51, 59.5]);
      expect(line.low).toEqual([0, 8, 18, 24, null, 47, 56]);
      expect(line.high).toEqual([7, 14, 23, 27, null, 55, 63]);
    }
  });

  test('when a bucket at a gap or at an end has few points, then they join the bucket beside it', () => {
    const times = [7, ...range(8).map((i) => i + 8), 16, 24, 32, ...range(16).map((i) => i + 40), 56];
    const values = times.map((time) => (time === 24 ? null : time));
    const { times: middles, lines } = bucketsOf(times, [series(values)], whole(times, 8));
    expect(middles).toEqual([12, 28, 44, 52]);
    expect(lines[0]).toEqual({ mean: [11.5, null, 380 / 9, 52], low: [7, null, 32, 48], high: [16, null, 47, 56] });
  });

  test('when points have extremes of their own, then the band has these extremes', () => {
    const times = [0, 1, 2, 3];
    const line = series([5, 6, 7, 8], { low: [5, 2, 7, 8], high: [5, 6, 7, 30] });
    expect(bucketsOf(times, [line], whole(times, 2)).lines).toEqual([{ mean: [5.5, 7.5], low: [2, 7], high: [6, 30] }]);
  });

  test('when a series has no value where another series has one, then only its own line has no value there', () => {
    const times = [0, 1, 2, 3];
    const { lines } = bucketsOf(times, [series([null, null, 4, 6]), series([1, 2, 3, 4])], whole(times, 2));
    expect(lines[0]).toEqual({ mean: [null, 5], low: [null, 4], high: [null, 6] });
    expect(lines[1]!.mean).toEqual([1.5, 3.5]);
  });

  test.each([
    { areRates: true },
    { areRates: false },
  ])('when a part is shown, of rates: $areRates, then it has the buckets of the whole, and one more on each side', ({ areRates }) => {
    const times = range(1000).map((i) => i + ((i * 37) % 10) / 16);
    const line = series(times.map((_, i) => (i % 100 > 90 ? null : (i * 7919) % 1024)));
    const all = bucketsOf(times, [line], whole(times, 8, areRates));
    const part = bucketsOf(times, [line], { from: 333, to: 501, width: 8, areRates });
    const first = all.times.indexOf(part.times[0]!);
    const count = part.times.length;
    expect(part.times).toEqual(all.times.slice(first, first + count));
    expect(part.lines[0]).toEqual({
      mean: all.lines[0]!.mean.slice(first, first + count),
      low: all.lines[0]!.low.slice(first, first + count),
      high: all.lines[0]!.high.slice(first, first + count),
    });
    expect(part.times[0]).toBe(324);
    expect(part.times.at(-1)).toBe(508);
  });

  test('when the page runs the texts of the functions, then it gets the same buckets', () => {
    const times = range(200).filter((i) => i % 50 < 40);
    const lines = [series(times.map((i) => (i === 20 ? null : i * i)))];
    const options = whole(times, 8, true);
    const ofPage = runInNewContext(`${BUCKET_PARTS.join('\n')}; (${bucketsOf})`) as typeof bucketsOf;
    expect(JSON.stringify(ofPage(times, lines, options))).toBe(JSON.stringify(bucketsOf(times, lines, options)));
  });
});

/** The plots that the page draws for a profile. */
const drawn = (profile: ProfileSeries) => pageOf(profile).plots;

const chart = (...lines: readonly (readonly (number | null)[])[]): Chart => ({
  title: 'g',
  unit: 'count per second',
  shortUnit: '/s',
  areRates: true,
  series: lines.map((values, i) => ({ name: `g.n${i}`, label: `n${i}`, clock: 0, values })),
});
const profileOf = (times: readonly number[], ...charts: readonly Chart[]): ProfileSeries => ({
  times: [times],
  charts,
  heatMaps: [],
  totals: [],
  rowsPerPoint: 1,
});

describe('given a chart', () => {
  test('when points have gaps on both sides, then they are drawn as dots, and values have their unit', () => {
    const rows = [1, 2, 4, 6, 7, 9].map((tick, i) => `${tick * 1e6 + 10}\t${i + 1}\t${i + 1}`);
    const lines = ['# start=x interval_ns=1000000\tinc count\tstore us', 'Time (ns)\tg.n\tg.level_us', ...rows];
    const profile = profileSeriesOf([{ name: 't', table: profileTableOf(Buffer.from(lines.map((line) => `${line}\n`).join(''))) }], 1000);
    const [rate, value] = drawn(profile).map(({ options }) => options.series.at(-1)!);
    // In order: a point, a point, a gap, a point, a gap, a point, a point, a gap, a point. The first point has no rate.
    expect(rate!.points.filter(undefined, 1, false)).toEqual([1, 3, 8]);
    expect(value!.points.filter(undefined, 1, false)).toEqual([3, 8]);
    expect(value!.points.filter(undefined, 1, true)).toBeNull();
    const [big] = drawn(profileOf([1, 2, 3], chart([12_500, 1, null])));
    expect([0, 1, 2].map((at) => big!.readingsAt(at))).toEqual([
      ['1 s', 'n0 12.5k/s'],
      ['2 s', 'n0 1/s'],
      ['3 s', 'n0 –'],
    ]);
  });

  test('when points are few, then each is drawn; when points are many, then their means are drawn, with a band behind all lines', () => {
    const times = range(3000);
    const [noise, wave] = [times.map((i) => (i * 7919) % 1024), times.map((i) => (i * 31) % 100)];
    const few = times.slice(0, 266);
    expect(drawn(profileOf(few, chart(noise.slice(0, 266), wave.slice(0, 266))))[0]!.data).toEqual([
      few,
      ...[noise, noise, wave, wave, noise, wave].map((values) => values.slice(0, 266)),
    ]);
    // With one more point, the points are closer than 3 pixels. Buckets have at least 3 points; the next round number
    // is 5. The last two points join the bucket before theirs.
    const [more] = drawn(profileOf(times.slice(0, 267), chart(noise.slice(0, 267)))) as [Plot];
    expect(more.data[0]).toEqual(range(53).map((k) => 5 * k + 2.5));
    const many = drawn(profileOf(times, chart(noise, wave)))[0]!;
    // 4 pixels are 15 seconds; the next round number is 20.
    const buckets = bucketsOf(times, chart(noise, wave).series, { from: 0, to: 2999, width: 20, areRates: true });
    const [a, b] = buckets.lines;
    expect(many.data).toEqual([buckets.times, a!.high, a!.low, b!.high, b!.low, a!.mean, b!.mean]);
    expect(many.data[0]!.length).toBe(150);
    // The bands have the colours of the lines, and their edges appear neither in the legend nor under the cursor.
    const { bands, series: all } = many.options;
    expect(bands.map((band) => band.series)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(bands.map(({ fill }) => fill.slice(0, 7))).toEqual([all[5]!.stroke, all[6]!.stroke]);
    expect(all.map((one) => one.class === 'edge')).toEqual([false, true, true, true, true, false, false]);
    expect(many.readingsAt(0)[1]).toBe(`n0 ${a!.mean[0]}/s (${a!.low[0]} to ${a!.high[0]})`);
  });

  test('when a name of the legend is clicked, then its line and its band are hidden; when it is clicked again, then they are shown', () => {
    const { plots, legends } = pageOf(profileOf([1, 2], chart([1, 2], [5, 9])));
    const [plot] = plots;
    const [, second] = legends[0]!;
    expect(legends[0]!.map(({ textContent, attributes }) => [textContent, attributes.get('aria-pressed')])).toEqual([
      ['n0', 'true'],
      ['n1', 'true'],
    ]);
    second!.listeners.get('click')!();
    expect(plot!.shown).toEqual([3, 4, 6].map((at) => [at, { show: false }]));
    expect(second!.attributes.get('aria-pressed')).toBe('false');
    expect(plot!.readingsAt(0)).toEqual(['1 s', 'n0 1/s']);
    second!.listeners.get('click')!();
    expect(plot!.shown.slice(3)).toEqual([3, 4, 6].map((at) => [at, { show: true }]));
  });

  test('when the pointer is on a name, then the other lines are faint, with their bands', () => {
    const { plots, legends } = pageOf(profileOf([1, 2], chart([1, 2], [5, 9])));
    const alphas = () => plots[0]!.series.map(({ alpha }) => alpha);
    legends[0]![0]!.listeners.get('pointerenter')!();
    expect(alphas().slice(1)).toEqual([1, 1, 0.15, 0.15, 1, 0.15]);
    legends[0]![0]!.listeners.get('pointerleave')!();
    expect(alphas().slice(1)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('when lines coincide, then the later lines are dashed, so that the earlier ones stay visible; other lines are solid', () => {
    const times = range(100);
    const line = times.map((i) => i % 10);
    const near = line.map((value) => value + 0.05);
    const other = line.map((value) => 20 - value);
    const [plot] = drawn(profileOf(times, chart(line, other, near, line, other, times)));
    expect(plot!.series.slice(13).map(({ dash }) => dash)).toEqual([undefined, undefined, [20, 10], [10, 20], [10, 10], undefined]);
  });
});
