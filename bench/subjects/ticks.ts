// How many of its ticks does a profile meet, from inside the process and from outside? A loop that only waits for ticks
// is the reference. Meanwhile the process increments metrics without pause. `npm run bench:profiling` shows more.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { addon } from '../addon.ts';
import { endChild, startChild } from '../children.ts';
import { PROFILED } from '../profile-names.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Row, Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const RUN_MS = 1000;
const LOOP_MS = 500;

const RATES = [
  { at: 'at 1 ms', intervalUs: 1000, spinUs: 0, outside: 99 },
  { at: 'at 100 us', intervalUs: 100, spinUs: 20, outside: 95 },
] as const;
type Rate = (typeof RATES)[number];

const INSIDE = (at: string) => `ticks met ${at}: startProfiling()`;
const rowsOf = ({ at, outside }: Rate) =>
  [
    { name: `ticks met ${at}: a loop that only waits`, unit: '%', once: true },
    { name: INSIDE(at), unit: '%' },
    { name: `ticks met ${at}: startProfiling(), a column of KVM too`, unit: '%', bound: { atLeast: 0.97, of: INSIDE(at) } },
    { name: `ticks met ${at}: vmm-metrics profile`, unit: '%', bound: { atLeast: outside } },
    { name: `a tick of startProfiling() ${at}, processor time`, unit: 'ns' },
  ] as const satisfies Row[];

async function insideOf(
  tree: Tree,
  folder: string,
  { intervalUs }: Rate,
  ...more: readonly 'kvm'[]
): Promise<{ met: number; tickNs: number }> {
  const words = [join(folder, 'inside.tsv'), String(intervalUs), String(RUN_MS), ...more];
  const { child, message } = await startChild(tree, 'profiled', ...words);
  if (child.exitCode === null) await once(child, 'exit');
  return message as { met: number; tickNs: number };
}

async function outsideOf({ folder: root }: Tree, folder: string, region: string, { intervalUs }: Rate): Promise<number> {
  const output = join(folder, 'outside.tsv');
  const words = ['profile', region, '--metrics', PROFILED.join(), '-o', output, '--interval-us', intervalUs, '--seconds', RUN_MS / 1000];
  const child = spawn(process.execPath, [join(root, 'dist/lib/cli/main.js'), ...words.map(String)], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  const [, samples, missed] = /^# samples=(\d+) missed_ticks=(\d+)/m.exec(readFileSync(output, 'utf8')) ?? [];
  if (code !== 0 || samples === undefined) throw new Error(`vmm-metrics profile ended with exit code ${code}`);
  const met = Number(samples) - 1; // the last sample is taken at the end, and has no tick
  return met / (met + Number(missed));
}

export const subject: Subject = {
  name: 'ticks of profiles',
  rows: RATES.flatMap(rowsOf),
  async measure(trees) {
    const folder = folderInMemory();
    const measurements: Measurement[] = [];
    for (const [i, tree] of trees.entries()) {
      const region = join(folder, `region${i}`);
      const { child: counting } = await startChild(tree, 'region-holder', region, 'counting');
      for (const rate of RATES) {
        const { intervalUs, spinUs } = rate;
        const [loop, inside, ofKvm, outside, tick] = rowsOf(rate);
        const add = (row: Row, value: number) => measurements.push({ row: row.name, tree: row.once ? 0 : i, samples: [{ value }] });
        const wait = () => add(loop, 100 * addon.keepTime(intervalUs * 1000, LOOP_MS, spinUs * 1000));
        wait();
        add(outside, 100 * (await outsideOf(tree, folder, region, rate)));
        wait();
        counting.kill('SIGSTOP'); // the next process counts by itself
        const { met, tickNs } = await insideOf(tree, folder, rate);
        if (existsSync(join(tree.folder, 'dist/lib/kvm.js'))) add(ofKvm, 100 * (await insideOf(tree, folder, rate, 'kvm')).met);
        else measurements.push({ row: ofKvm.name, tree: i, samples: [], absent: 'there is no vmm-metrics/kvm' });
        counting.kill('SIGCONT');
        add(inside, 100 * met);
        add(tick, tickNs);
      }
      await endChild(counting);
    }
    return measurements;
  },
};
