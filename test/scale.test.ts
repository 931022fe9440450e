// The figures of docs/scale.md: the counts are those of a real machine, and the rest is worked out from them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { runAgent } from './helpers/agent.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const page = readFileSync(new URL('../docs/scale.md', import.meta.url), 'utf8');

/** The numbers in the row of a table that begins with this cell. */
function row(first: string): number[] {
  const line = page.split('\n').find((one) => one.startsWith(`| ${first} |`));
  if (line === undefined) throw new Error(`docs/scale.md has no row '${first}'`);
  const cells = line.split('|').slice(2, 5);
  return cells.map((cell) => Number(cell.trim().replaceAll(',', '')));
}

/** That each number is one of these, rounded to as many digits as the page gives. */
function expectRow(first: string, exact: readonly number[]): void {
  const shown = row(first);
  const rounded = exact.map((value, i) => Number(value.toPrecision(`${shown[i]}`.replace(/^0\.|\.|0+$/g, '').length)));
  expect({ first, shown }).toEqual({ first, shown: rounded });
}

const SECONDS = 15;
const series = row('series with the 5 that Prometheus adds for each target');

test('given the machine of docs/scale.md, when its series are counted, then they are those of the page', async () => {
  const folder = temporaryFolder();
  const { app } = closing(Metrics.open(firecracker, { name: freshName(), file: join(folder, 'vm0.region') }));
  for (let i = 0; i < 19; i++) {
    if (i < 8) for (const group of [app.block, app.net]) group.alloc(`${i}`);
    app.pmem.alloc(`${i}`);
  }
  const agent = await runAgent([folder]);
  const [all, sums, chosen] = row('series of the agent');
  expect((await agent.series('/vm/vm0/metrics')).size).toBe(all);
  const withSums = await agent.series('/vm/vm0/metrics?detail=vm');
  expect(withSums.size).toBe(sums);
  expect([...withSums.keys()].filter((key) => /^vmm_(?:up|state|info|start_time_seconds|degraded)\{/.test(key)).length + 20).toBe(chosen);
  expect(series).toEqual([all, sums, chosen].map((count) => count! + 5));
});

test('given the figures of one VM, when those of a million are worked out, then they are those of the page', () => {
  const alone = [14.6, 8.5, 1.4];
  const together = [6.5, 2.2, 0.24];
  expect(page).toContain(`| of that, with gzip | ${alone.join(' | ')} | measured |`);
  expect(page).toContain(`| of that, with gzip | ${together.join(' | ')} | measured |`);
  const perSecond = series.map((count) => (count * 1e6) / SECONDS);
  const gbits = (kilobytes: readonly number[]) => kilobytes.map((each) => (each * 1e3 * 1e6 * 8) / SECONDS / 1e9);
  const gibibytes = series.map((count) => (count * 1e6 * 4096) / 2 ** 30);
  expectRow('million series', series);
  expectRow(
    'million samples per second',
    perSecond.map((samples) => samples / 1e6),
  );
  expectRow('Gbit/s of scrapes, with gzip', gbits(alone));
  expectRow('Gbit/s, if a host is one target', gbits(together));
  expectRow(
    'Gbit/s of `remote_write`',
    perSecond.map((samples) => (samples * 19 * 8) / 1e9),
  );
  expectRow('GiB of memory of Prometheus', gibibytes);
  expect(row('Prometheus servers with 64 GiB')).toEqual(gibibytes.map((memory) => Math.ceil(memory / 64)));
  expect(row('hosts for each of them')).toEqual(series.map((count) => Math.floor((64 * 2 ** 30) / 4096 / (count * 1000))));
  expectRow(
    'TB of disk for a day',
    perSecond.map((samples) => (samples * 86_400 * 1.5) / 1e12),
  );
  expectRow('GB of memory of VictoriaMetrics', series);
});
