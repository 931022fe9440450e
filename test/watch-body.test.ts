// The scrolling table of `vmm-metrics watch`: what stays, what is made, and how wide it is.

import { describe, expect, test } from 'vitest';

import { sparkline } from '../lib/cli/sparkline.ts';
import { type Body, type BodyLine, visibleOf } from '../lib/cli/watch-body.ts';
import { rateText } from '../lib/cli/watch-table.ts';

/** Two groups of 50 metrics; `made` counts the lines whose text was made. */
function bodyOf(): { body: Body; made: string[] } {
  const made: string[] = [];
  const lines = ['alpha', 'beta'].flatMap((group): BodyLine[] => [
    { kind: 'heading', text: group },
    ...[...Array(50).keys()].map((i): BodyLine => {
      const cells = () => {
        made.push(`${group}${i}`);
        return [`  ${group}${i}`, `${10 ** (i % 7)}`];
      };
      return { kind: 'cells', heading: group, cells };
    }),
  ]);
  return { body: { columns: [{ title: 'METRIC' }, { title: 'TOTAL', isNumber: true }], lines }, made };
}
const seen = (body: Body, top: number, height = 10, widths: readonly number[] = []) => visibleOf(body, { top, width: 80, height, widths });

describe('given a table that is longer than the screen', () => {
  test('when its beginning is shown, then only the lines on the screen are made, under the titles', () => {
    const { body, made } = bodyOf();
    const { lines, from, to } = seen(body, 0);
    expect(lines).toHaveLength(10);
    expect(lines.slice(0, 3)).toEqual(['METRIC      TOTAL', 'alpha', '  alpha0        1']);
    expect([from, to]).toEqual([0, 9]);
    expect(made).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((i) => `alpha${i}`));
  });

  test('when it is scrolled, then the titles and the heading of the first line stay', () => {
    const { body } = bodyOf();
    const { lines, from, to } = seen(body, 20);
    expect(lines).toHaveLength(10);
    expect(lines[0]).toMatch(/^METRIC +TOTAL$/);
    expect(lines.slice(1, 3).map((line) => line.trim().split(/ +/)[0])).toEqual(['alpha', 'alpha19']);
    expect([from, to]).toEqual([20, 28]);
    // A heading that is the first line itself is not there twice.
    expect(
      seen(body, 51)
        .lines.slice(1, 3)
        .map((line) => line.trim().split(/ +/)[0]),
    ).toEqual(['beta', 'beta0']);
  });

  test('when it is scrolled beyond its end, then its last line is the last one on the screen', () => {
    const { body } = bodyOf();
    for (const top of [94, 102, Number.POSITIVE_INFINITY]) {
      const { lines, from, to } = seen(body, top);
      expect({ to, count: lines.length, from: from <= 94 }).toEqual({ to: 102, count: 10, from: true });
      expect(lines.at(-1)).toMatch(/^ {2}beta49 /);
    }
  });

  test('when wider numbers were on the screen before, then the columns keep their width', () => {
    const { body } = bodyOf();
    const wide = seen(body, 4, 6);
    expect(wide.lines.at(-1)).toBe('  alpha6  1000000');
    const later = seen(body, 8, 4, wide.widths);
    expect(later.lines.at(-1)!.length).toBe(wide.lines.at(-1)!.length);
    expect(seen(body, 8, 4).lines.at(-1)!.length).toBeLessThan(wide.lines.at(-1)!.length);
  });

  test.each([0, 1, 2, 3])('when the screen has room for %i lines, then no more are shown', (height) => {
    const { body } = bodyOf();
    for (const top of [0, 20, 500]) expect(seen(body, top, height).lines.length).toBeLessThanOrEqual(Math.max(height, 2));
  });

  test('when the screen is narrow, then names are cut before numbers', () => {
    const line: BodyLine = { kind: 'cells', heading: undefined, cells: () => ['a_very_long_name_of_a_metric_indeed', '1,234,567'] };
    const columns = [{ title: 'METRIC' }, { title: 'TOTAL', isNumber: true }];
    const { lines } = visibleOf({ columns, lines: [line] }, { top: 0, width: 40, height: 5, widths: [] });
    expect(lines[1]).toBe('a_very_long_name_of_a…  1,234,567');
  });
});

test.each([
  { values: [], line: '' },
  { values: [0, 0], line: '▁▁' },
  { values: [0, 50, 100], line: '▁▅█' },
  { values: [1e-9], line: '█' },
])('given the rates $values, when they are a sparkline, then it is $line', ({ values, line }) => {
  expect(sparkline(values)).toBe(line);
});

test.each([
  { rate: undefined, unit: '', text: '' },
  { rate: 0, unit: '', text: '0' },
  { rate: 2.25, unit: '', text: '2.3' },
  { rate: 2_000_000, unit: 'bytes', text: '2,000,000' },
  { rate: 857.9, unit: 'us', text: '0.09% core' },
  { rate: 2_900_000, unit: 'us', text: '290% core' },
  { rate: 1, unit: 'ns', text: '<0.01% core' },
  { rate: 0, unit: 'ms', text: '0% core' },
])('given a rate of $rate $unit per second, when it is shown, then it is "$text"', ({ rate, unit, text }) => {
  expect(rateText({ rate, unit })).toBe(text);
});
