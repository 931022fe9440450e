// What does the agent of a host cost, `vmm-metrics serve`, with a thousand region files of 35 devices each?

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';

import { endChild, startChild } from '../children.ts';
import { copyRegion } from '../region-copies.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Subject } from '../subject.ts';
import { environmentOf, type Tree } from '../tree.ts';

const FILES = 1000;
const SCRAPES = 5;
const FLEET = `a scrape of ${FILES} files, read and rendered`;
const ONE = 'a scrape of one of them';
const TARGETS = `${FILES} targets, each scraped every 10 s`;
const MEMORY = 'memory of the agent after these scrapes';
const EVERY_S = 10;

/** A folder of regions of killed processes, each in a folder of its own. */
async function folderOfRegions(tree: Tree): Promise<string> {
  const folder = folderInMemory();
  const original = join(folder, 'region');
  const { child } = await startChild(tree, 'region-holder', original);
  await endChild(child);
  const paths = Array.from({ length: FILES }, (_, i) => join(folder, 'vms', `vm${i}`, 'metrics.region'));
  for (const path of paths) mkdirSync(join(path, '..'), { recursive: true });
  copyRegion(original, paths);
  return join(folder, 'vms', '*', 'metrics.region');
}

async function startAgent(tree: Tree, pattern: string): Promise<{ agent: ChildProcess; port: number }> {
  const command = join(tree.folder, 'dist/lib/cli/main.js');
  const agent = spawn(process.execPath, [command, 'serve', pattern, '--listen', '127.0.0.1:0'], {
    env: environmentOf(tree),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  const port = await new Promise<number>((resolve, reject) => {
    agent.stderr!.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const [, found] = /:(\d+); region files/.exec(text) ?? [];
      if (found !== undefined) resolve(Number(found));
    });
    agent.once('exit', (code) => reject(new Error(`the agent ended with exit code ${code}: ${text}`)));
  });
  return { agent, port };
}

/** Processor time of a process in milliseconds, with all its threads. The kernel counts in steps of 10 ms. */
function processorMs(pid: number): number {
  const [utime, stime] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ').slice(11, 13);
  return 10 * (Number(utime) + Number(stime));
}

const mebibytesOf = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024;

const connections = new Agent({ keepAlive: true, maxSockets: 1 });

function fetched(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ port, path, host: '127.0.0.1', agent: connections }, (response) => {
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(bytes) : reject(new Error(`${path}: ${response.statusCode}`))));
    }).on('error', reject);
  });
}

const patterns = new Map<Tree, Promise<string>>();

async function measured(tree: Tree): Promise<Readonly<Record<string, number>>> {
  if (!patterns.has(tree)) patterns.set(tree, folderOfRegions(tree));
  const { agent, port } = await startAgent(tree, await patterns.get(tree)!);
  const pid = agent.pid!;
  const timed = async (work: () => Promise<unknown>) => {
    const before = processorMs(pid);
    await work();
    return processorMs(pid) - before;
  };
  try {
    await fetched(port, '/metrics'); // decodes all schemas, and renders all names
    const fleetMs = await timed(async () => {
      for (let i = 0; i < SCRAPES; i++) {
        await new Promise((resolve) => setTimeout(resolve, 250)); // so that no answer is shared
        await fetched(port, '/metrics');
      }
    });
    const oneByOne = async () => {
      for (let i = 0; i < FILES; i++) await fetched(port, `/vm/vm${i}/metrics`);
    };
    await oneByOne();
    const targetsMs = await timed(async () => {
      await fetched(port, '/sd');
      await oneByOne();
    });
    return {
      [FLEET]: fleetMs / SCRAPES,
      [ONE]: (1000 * targetsMs) / FILES,
      [TARGETS]: (100 * targetsMs) / (1000 * EVERY_S),
      [MEMORY]: mebibytesOf(pid),
    };
  } finally {
    agent.kill('SIGKILL');
  }
}

export const subject: Subject = {
  name: 'agents',
  rows: [
    { name: FLEET, unit: 'ms', bound: { atMost: 250 } },
    { name: ONE, unit: 'us', bound: { atMost: 300 } },
    { name: TARGETS, unit: '%', bound: { atMost: 5 } },
    { name: MEMORY, unit: 'MiB' },
  ],
  async measure(trees) {
    const measurements: Measurement[] = [];
    for (const [i, tree] of trees.entries()) {
      const hasAgent = existsSync(join(tree.folder, 'dist/lib/serve/agent.js'));
      const values = hasAgent ? await measured(tree) : {};
      for (const { name } of subject.rows) {
        const value = values[name];
        measurements.push({
          row: name,
          tree: i,
          samples: value === undefined ? [] : [{ value }],
          ...(!hasAgent && { absent: 'there is no agent' }),
        });
      }
    }
    return measurements;
  },
};
