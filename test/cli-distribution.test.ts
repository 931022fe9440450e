// Distributions in `vmm-metrics show`: a picture of one, and quantiles in the table.

import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics } from 'vmm-metrics';

import { distributionOf } from '../lib/cli/distribution.ts';
import { bucketIndexOf, bucketOf } from '../lib/histogram/bucket-index.ts';
import { schemeOf } from '../lib/histogram/scheme.ts';
import { HistogramValue } from '../lib/histogram/value.ts';
import { cli } from './helpers/command.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  vcpu: group({
    exits: inc('KVM exits'),
    exit: latency('Time of an exit', { histogram: true }),
    plain: latency('Time without a histogram'),
  }),
});

/** A region file of a running store with these durations. */
function regionWithDurations(): string {
  const file = join(temporaryFolder(), 'm.region');
  const metrics = Metrics.open(schema, { name: 'distribution', file });
  onTestFinished(() => metrics.close());
  for (let i = 0; i < 100; i++) metrics.app.vcpu.exit.observe(i < 90 ? 3 : 1000);
  metrics.app.vcpu.plain.observe(2);
  metrics.app.vcpu.plain.observe(4);
  return file;
}

describe('given 90 durations of 3 us and 10 of 1,000 us', () => {
  test('when their distribution is shown, then each power of two is a bar with readable edges, and the numbers are exact', async () => {
    const file = regionWithDurations();
    const { code, stdout, stderr } = await cli('show', file, '--histogram', 'vcpu.exit');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`${file}\nvcpu.exit: Time of an exit\n`);
    const bars = stdout.split('\n').filter((line) => line.includes('%'));
    // From 2^-19 s on, without a gap: the powers of two between the two bars are empty.
    expect(bars).toHaveLength(10);
    expect(bars[0]).toMatch(/^ *1\.91 us +3\.81 us +90 +90\.0% {2}█{50}$/);
    expect(bars.slice(1, -1).every((line) => / 0 +0\.0%$/.test(line))).toBe(true);
    expect(bars.at(-1)).toMatch(/^ *977 us +1\.95 ms +10 +10\.0% {2}█{5}[▏▎▍▌▋▊▉]$/);
    expect(stdout).toMatch(/^count 100, mean 103 us, min 3 us, max 1 ms$/m);
    expect(stdout).toMatch(/^p50 3(\.\d+)? us, p90 3(\.\d+)? us, p99 (1|1\.0\d) ms, p99\.9 (1|1\.0\d) ms$/m);
  });

  test('when the table is shown, then a latency has its mean and count, and its quantiles if it has a histogram', async () => {
    const { stdout } = await cli('show', regionWithDurations());
    expect(stdout).toMatch(/exit +10,270 .* sum; min 3, max 1,000; mean 103 us of 100; p50 3(\.\d+)? us, p90 /);
    expect(stdout).toMatch(/plain +6 .* sum; min 2, max 4; mean 3 us of 2 +Time/);
  });

  test.each([
    { path: 'vcpu.exti', says: "there is no metric 'vcpu.exti'; these have one: vcpu.exit" },
    { path: 'vcpu.plain', says: "no distribution in 'vcpu.plain'; these have one: vcpu.exit" },
    { path: 'vcpu.exits', says: "no distribution in 'vcpu.exits'; these have one: vcpu.exit" },
  ])('when $path is asked for, then the error names the metrics that have a distribution', async ({ path, says }) => {
    const file = regionWithDurations();
    const { code, stdout, stderr } = await cli('show', file, '--histogram', path);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(says);
  });
});

describe('given a histogram with a value of 0 and large ones', () => {
  const scheme = schemeOf('us');
  const counts = new BigUint64Array(scheme.buckets);
  for (const ns of [0, 1e9, 1e9, 3e9]) counts[bucketOf(bucketIndexOf(scheme), ns)]! += 1n;
  const value = new HistogramValue(scheme, { sum: 5_000_000n, min: 0n, max: 3_000_000n, counts });

  test('when it is drawn, then the empty powers of two behind the zero bucket are one line, and each line begins where the last one ends', () => {
    const lines = distributionOf(value, 80);
    const rows = lines.slice(1, lines.indexOf('')).map((line) => line.trim().split(/ {2,}/));
    expect(rows.map(([above, upTo, count]) => [above, upTo, count])).toEqual([
      ['0 ns', '91.9 ns', '1'],
      ['91.9 ns', '500 ms', '0'],
      ['500 ms', '1 s', '2'],
      ['1 s', '2 s', '0'],
      ['2 s', '4 s', '1'],
    ]);
  });

  test.each([120, 80, 50, 40, 34])('when the terminal is %i columns wide, then no line is wider, and each count has its bar', (width) => {
    const lines = distributionOf(value, width);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    expect(lines.filter((line) => line.includes('█'))).toHaveLength(3);
    expect(lines.some((line) => line.includes('%'))).toBe(width > 40);
    expect(lines.join(' ')).toContain('count 4, mean 1.25 s, min 0 ns, max 3 s');
  });
});
