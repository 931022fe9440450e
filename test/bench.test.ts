// The benchmarks, without their measurements: how samples become figures, and that a run reports every row. The figures
// themselves come from `npm run bench`.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import { type Result, resultsOf } from '../bench/figures.ts';
import { type Measurement, type Row, type Subject, XADD } from '../bench/subject.ts';
import { isWorse, tableOf } from '../bench/table.ts';
import { node } from './helpers/children.ts';
import { HANG_MS } from './helpers/limits.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const FAST = { name: 'fast', unit: 'ns', bound: { atMost: 2, of: XADD } } as const satisfies Row;
const SLOW = { name: 'slow', unit: 'ns', bound: { atMost: 3, of: 'fast' } } as const satisfies Row;
const PEER = { name: 'peer', unit: 'ns', once: true } as const satisfies Row;

const subject: Subject = { name: 'words', rows: [FAST, SLOW, PEER], measure: async () => [] };
const all = new Set(['fast', 'slow', 'peer']);

const samples = (row: Row, tree: number, ...values: readonly number[]): Measurement => ({
  row: row.name,
  tree,
  samples: values.map((value) => ({ value, xaddNs: 5 })),
});
const resultOf = (row: Row, rounds: readonly (readonly Measurement[])[], trees = 1): Result =>
  resultsOf(subject, rounds, all, trees).find((result) => result.row === row)!;

describe('given the samples of several rounds', () => {
  const rounds = [
    [samples(FAST, 0, 9, 10, 11), samples(SLOW, 0, 29, 30, 31)],
    [samples(FAST, 0, 12, 12, 90), samples(SLOW, 0, 48, 48, 48)],
    [samples(FAST, 0, 8, 8, 8), samples(SLOW, 0, 32, 32, 32)],
  ];

  test('when they become a figure, then it is the median of the rounds, with the lowest and the highest round', () => {
    const [figure] = resultOf(FAST, rounds).figures;
    expect(figure).toMatchObject({ value: 10, lowest: 8, highest: 12 });
    expect(figure!.inXadd).toEqual({ value: 2, lowest: 1.6, highest: 2.4 });
  });

  test('when a bound is a ratio to lock xadd, then that ratio is compared, and an equal ratio holds', () => {
    expect(resultOf(FAST, rounds).figures[0]).toMatchObject({ compared: 2, holds: true });
  });

  test('when a bound is a ratio to another row, then the ratio of each round counts, not the ratio of the medians', () => {
    expect(resultOf(SLOW, rounds).figures[0]).toMatchObject({ value: 32, compared: 4, holds: false });
  });

  test('when a row was not measured, then the table gives the reason and the bound', () => {
    const results = [resultOf(SLOW, [[{ row: 'slow', tree: 0, samples: [], absent: 'there is no such thing' }]])];
    expect(results[0]!.figures).toEqual([undefined]);
    expect(tableOf('words', results, false).join('\n')).toMatch(/- slow +there is no such thing \(at most 3\.00 × fast\)/);
  });

  test('when a row failed, then the table marks it', () => {
    const results = [resultOf(SLOW, [[{ row: 'slow', tree: 0, samples: [], failed: 'it broke' }]])];
    expect(results[0]!.hasFailed).toBe(true);
    expect(tableOf('words', results, false).join('\n')).toMatch(/! slow +FAILED: it broke/);
  });
});

describe('given two trees', () => {
  const round = (now: number, before: number) => [samples(FAST, 0, now), samples(FAST, 1, before), samples(PEER, 0, 7)];

  test('when they are compared, then the change is the median of the ratios of the rounds', () => {
    const { figures, change } = resultOf(FAST, [round(10, 10), round(22, 20), round(30, 20)], 2);
    expect(figures.map((figure) => figure?.value)).toEqual([22, 20]);
    expect(change).toEqual({ value: 1.1, lowest: 1, highest: 1.5 });
  });

  test('when only one tree has a row, then the row has one figure and no change', () => {
    const { figures, change } = resultOf(PEER, [round(10, 10)], 2);
    expect(figures.map((figure) => figure?.value)).toEqual([7]);
    expect(change).toBeUndefined();
  });

  test.each([
    { change: { value: 1.04, lowest: 1.01, highest: 1.1 }, is: true },
    { change: { value: 1.04, lowest: 0.99, highest: 1.1 }, is: false },
    { change: { value: 1.02, lowest: 1.01, highest: 1.1 }, is: false },
  ])('when the change is $change, then isWorse is $is', ({ change, is }) => {
    expect(isWorse(FAST, change)).toBe(is);
  });

  test('when more is better, then less is worse', () => {
    const row = { name: 'ticks', unit: '%' } as const;
    expect(isWorse(row, { value: 0.9, lowest: 0.8, highest: 0.95 })).toBe(true);
    expect(isWorse(row, { value: 1.1, lowest: 1.05, highest: 1.2 })).toBe(false);
  });
});

describe('npm run bench', () => {
  const main = fileURLToPath(new URL('../dist/bench/main.js', import.meta.url));

  test('given one short round of one subject, when it ran, then the table and the file have a figure for each row of this package', () => {
    const file = join(temporaryFolder(), 'bench.json');
    const words = ['--rounds', '1', '--turn-ms', '1', '--only', 'devices', '--only', 'inc() over', '--json', file];
    const { stdout, stderr } = spawnSync(node, [main, ...words], { encoding: 'utf8', timeout: HANG_MS });
    expect(stderr).toBe('');
    const { environment, commits, rows } = JSON.parse(readFileSync(file, 'utf8')) as {
      environment: { node: string };
      commits: string[];
      rows: Result[];
    };
    expect(environment.node).toMatch(/^v\d+\./);
    expect(commits).toHaveLength(1);
    expect(rows.map(({ row }) => row.name)).toContain('inc() over 64 metrics');
    for (const { row, figures } of rows) {
      expect(figures[0]?.value, row.name).toBeGreaterThan(0);
      expect(stdout).toContain(row.name);
    }
    expect(stdout).toMatch(/\d+ of \d+ bounds hold\./);
  });
});
