// How many of its ticks does a profile meet, from inside the process and from outside? A loop that only waits for ticks
// is the reference. Meanwhile the process increments metrics without pause. `npm run bench:profiling` shows more.
//
// Profiles with a column of KVM and without one take short turns, and the best quarter of the turns counts. So turns in
// which other processes took the processor do not decide.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { addon } from '../addon.ts';
import type { Profiled } from '../children/profiled.ts';
import { endChild, startChild } from '../children.ts';
import { PROFILED } from '../profile-names.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Row, Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const RUN_MS = 1000;
const LOOP_MS = 500;
const TURN_MS = 20;
const TURNS = 40;
const BEST_QUARTER = 0.75;

const RATES = [
  { at: 'at 1 ms', intervalUs: 1000, spinUs: 0, outside: 99 },
  { at: 'at 100 us', intervalUs: 100, spinUs: 20, outside: 95 },
] as const;
type Rate = (typeof RATES)[number];

const INSIDE = (at: string) => `ticks met ${at}: startProfiling()`;
const rowsOf = ({ at, outside }: Rate) =>
  [
    { name: `ticks met ${at}: a loop that only waits`, unit: '%', once: true },
    { name: INSIDE(at), unit: '%', quantile: BEST_QUARTER },
    {
      name: `ticks met ${at}: startProfiling(), a column of KVM too`,
      unit: '%',
      quantile: BEST_QUARTER,
      bound: { atLeast: 0.99, of: INSIDE(at) },
    },
    { name: `ticks met ${at}: vmm-metrics profile`, unit: '%', bound: { atLeast: outside } },
    { name: `a tick of startProfiling() ${at}, processor time`, unit: 'ns' },
  ] as const satisfies Row[];

/** Profiles without and with a column of KVM, in turns. The second list is empty where there is no vmm-metrics/kvm. */
async function insideOf(tree: Tree, folder: string, { intervalUs }: Rate): Promise<readonly [Profiled[], Profiled[]]> {
  const start = (...more: readonly 'kvm'[]) =>
    startChild(tree, 'profiled', join(folder, `inside${more.join('')}.tsv`), String(intervalUs), String(TURN_MS), ...more);
  const hasKvm = existsSync(join(tree.folder, 'dist/lib/kvm.js'));
  const subjects = await Promise.all([start(), ...(hasKvm ? [start('kvm')] : [])]);
  const profiles: readonly [Profiled[], Profiled[]] = [[], []];
  for (let turn = 0; turn < TURNS; turn++) {
    const order = [...subjects.entries()];
    // Every second turn goes in reverse order, so that neither always follows the other.
    for (const [i, { child }] of turn % 2 === 0 ? order : order.toReversed()) {
      child.send('turn');
      const [profile] = await once(child, 'message');
      profiles[i as 0 | 1].push(profile as Profiled);
    }
  }
  for (const { child } of subjects) await endChild(child);
  return profiles;
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
        const add = (row: Row, ...values: readonly number[]) =>
          measurements.push({ row: row.name, tree: row.once ? 0 : i, samples: values.map((value) => ({ value })) });
        const wait = () => add(loop, 100 * addon.keepTime(intervalUs * 1000, LOOP_MS, spinUs * 1000));
        wait();
        add(outside, 100 * (await outsideOf(tree, folder, region, rate)));
        wait();
        counting.kill('SIGSTOP'); // the next process counts by itself
        const [plain, withKvm] = await insideOf(tree, folder, rate);
        counting.kill('SIGCONT');
        add(inside, ...plain.map(({ met }) => 100 * met));
        add(tick, ...plain.map(({ tickNs }) => tickNs));
        if (withKvm.length > 0) add(ofKvm, ...withKvm.map(({ met }) => 100 * met));
        else measurements.push({ row: ofKvm.name, tree: i, samples: [], absent: 'there is no vmm-metrics/kvm' });
      }
      await endChild(counting);
    }
    return measurements;
  },
};
