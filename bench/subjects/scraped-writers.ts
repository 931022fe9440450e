// What does an increment cost while the agent of the host scrapes 1,000 region files each second? Once the writer's
// file is among them, and once it is not: then the agent puts the same load on the machine. The two take turns, second
// by second. The ratio of their fast quartiles is what reading costs the writer. A slower slice is the work of others.

import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { dirname, join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';

import { startAgent } from '../agent.ts';
import type { Slice } from '../children/scraped-writer.ts';
import { endChild, startChild } from '../children.ts';
import { copyRegion } from '../region-copies.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Sample, Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const FILES = 1000;
/** Seconds with each of the two agents in a round. */
const SECONDS = 12;
const WARM_SECONDS = 4;
const FAST = 0.25;

const OWN = 'inc() of a process whose file the agent reads each second; whole seconds';
const OTHER = 'the same, while the agent reads other files each second';
const OWN_SCRAPE = 'the same as the first, only slices during a scrape';
const OTHER_SCRAPE = 'the same as the second, only slices during a scrape';

const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const connections = new Agent({ keepAlive: true });

/** Resolves when all of it was read and rendered. */
function scraped(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path: '/metrics', method: 'HEAD', host: '127.0.0.1', agent: connections }, (response) => {
      response.resume().on('end', resolve);
    });
    sent.on('error', reject).end();
  });
}

async function measured(tree: Tree): Promise<Readonly<Record<string, Sample[]>>> {
  const folder = folderInMemory();
  const original = join(folder, 'region');
  const { child } = await startChild(tree, 'region-holder', original);
  await endChild(child);
  const fileIn = (which: string, i: number) => join(folder, which, `vm${i}`, 'metrics.region');
  const filesIn = (which: string, first: number) => Array.from({ length: FILES - first }, (_, i) => fileIn(which, first + i));
  const [own, other] = [filesIn('own', 1), filesIn('other', 0)];
  const writersFile = fileIn('own', 0);
  for (const path of [...own, ...other, writersFile]) mkdirSync(dirname(path), { recursive: true });
  copyRegion(original, [...own, ...other]);
  const { child: writer } = await startChild(tree, 'scraped-writer', writersFile);
  const agents = await Promise.all(['own', 'other'].map((which) => startAgent(tree, join(folder, which, '*', 'metrics.region'), true)));
  try {
    const samples: Record<string, Sample[]> = { [OWN]: [], [OTHER]: [], [OWN_SCRAPE]: [], [OTHER_SCRAPE]: [] };
    for (let second = -WARM_SECONDS; second < 2 * SECONDS; second++) {
      // own, other, other, own, and again
      const which = ((second >> 1) ^ second) & 1;
      const beganMs = nowMs();
      await scraped(agents[which]!.port);
      const scrapedMs = nowMs();
      await after(1000 - (scrapedMs - beganMs));
      const answer = once(writer, 'message');
      writer.send('notes');
      const [slices] = (await answer) as [readonly Slice[]];
      if (second < 0) continue;
      const rows = which === 0 ? [OWN, OWN_SCRAPE] : [OTHER, OTHER_SCRAPE];
      for (const [endMs, value] of slices) {
        if (endMs < beganMs) continue;
        samples[rows[0]!]!.push({ value });
        if (endMs < scrapedMs) samples[rows[1]!]!.push({ value });
      }
    }
    return samples;
  } finally {
    for (const { agent } of agents) agent.kill('SIGKILL');
    await endChild(writer);
  }
}

export const subject: Subject = {
  name: 'scraped-writers',
  rows: [
    { name: OWN, unit: 'ns', quantile: FAST, bound: { atMost: 1.03, of: OTHER } },
    { name: OTHER, unit: 'ns', quantile: FAST },
    { name: OWN_SCRAPE, unit: 'ns', quantile: FAST },
    { name: OTHER_SCRAPE, unit: 'ns', quantile: FAST },
  ],
  async measure(trees) {
    const measurements: Measurement[] = [];
    for (const [tree, of] of trees.entries()) {
      const hasAgent = existsSync(join(of.folder, 'dist/lib/serve/agent.js'));
      const samples = hasAgent ? await measured(of) : {};
      for (const { name } of subject.rows) {
        measurements.push({ row: name, tree, samples: samples[name] ?? [], ...(!hasAgent && { absent: 'there is no agent' }) });
      }
    }
    return measurements;
  },
};
