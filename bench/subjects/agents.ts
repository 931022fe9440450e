// What does the agent of a host cost, `vmm-metrics serve`, with a thousand region files of 35 devices each?

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';

import { startAgent } from '../agent.ts';
import { endChild, startChild } from '../children.ts';
import { copyRegion } from '../region-copies.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const FILES = 1000;
const SCRAPES = 10;
const FLEET = `a scrape of ${FILES} files, read and rendered`;
const SENT = 'the same, and sent';
const JAVASCRIPT = 'the same, not sent, in JavaScript alone';
const ONE = 'a scrape of one of them';
const TARGETS = `${FILES} targets, each scraped every 10 s`;
const MEMORY = 'the most memory of the agent in these scrapes';
const CLIENTS = 200;
const SLOW_CLIENTS = 20;
const CROWD = `the same, with ${CLIENTS} clients at once and ${SLOW_CLIENTS} slow ones`;
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

/** Processor time of a process in milliseconds, with all its threads. The kernel counts in steps of 10 ms. */
function processorMs(pid: number): number {
  const [utime, stime] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ').slice(11, 13);
  return 10 * (Number(utime) + Number(stime));
}

const mostMebibytesOf = (pid: number) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024;

interface RunningAgent {
  readonly pid: number;
  readonly port: number;
}

const connections = new Agent({ keepAlive: true, maxSockets: 1 });

function fetched(port: number, path: string, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, method, host: '127.0.0.1', agent: connections }, (response) => {
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(bytes) : reject(new Error(`${path}: ${response.statusCode}`))));
    });
    sent.on('error', reject).end();
  });
}

/** Processor time of scrapes that share no answer, in milliseconds each. The answer to HEAD is made, and not sent. */
async function scrapesMs(agent: RunningAgent, method: 'GET' | 'HEAD'): Promise<number> {
  const { pid, port } = agent;
  const before = processorMs(pid);
  for (let i = 0; i < SCRAPES; i++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    await fetched(port, '/metrics', method);
  }
  return (processorMs(pid) - before) / SCRAPES;
}

const patterns = new Map<Tree, Promise<string>>();

async function measured(tree: Tree): Promise<Readonly<Record<string, number>>> {
  return {
    ...(await withAgent(tree, true, measuredNative)),
    ...(await withAgent(tree, true, measuredCrowd)),
    ...(await withAgent(tree, false, measuredInJavaScript)),
  };
}

async function withAgent<T>(tree: Tree, isNative: boolean, measure: (agent: RunningAgent) => Promise<T>): Promise<T> {
  if (!patterns.has(tree)) patterns.set(tree, folderOfRegions(tree));
  const { agent, port } = await startAgent(tree, await patterns.get(tree)!, isNative);
  try {
    return await measure({ pid: agent.pid!, port });
  } finally {
    agent.kill('SIGKILL');
  }
}

async function measuredNative(agent: RunningAgent) {
  const { pid, port } = agent;
  await fetched(port, '/metrics'); // decodes all schemas
  await scrapesMs(agent, 'HEAD'); // V8 compiles
  const fleet = await scrapesMs(agent, 'HEAD');
  const sent = await scrapesMs(agent, 'GET');
  const mebibytes = mostMebibytesOf(pid);
  const oneByOne = async () => {
    for (let i = 0; i < FILES; i++) await fetched(port, `/vm/vm${i}/metrics`);
  };
  // V8 compiles before the measurement, not in the midst of it: an agent runs for weeks.
  for (let i = 0; i < 3; i++) await oneByOne();
  const before = processorMs(pid);
  await fetched(port, '/sd');
  await oneByOne();
  const targetsMs = processorMs(pid) - before;
  return {
    [FLEET]: fleet,
    [SENT]: sent,
    [ONE]: (1000 * targetsMs) / FILES,
    [TARGETS]: (100 * targetsMs) / (1000 * EVERY_S),
    [MEMORY]: mebibytes,
  };
}

/** Whole answers for all clients, while others read 50 kB/s. */
async function measuredCrowd({ pid, port }: RunningAgent) {
  const asking = () => {
    const socket = connect(port, '127.0.0.1');
    socket.write('GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n');
    return socket;
  };
  const slow = Array.from({ length: SLOW_CLIENTS }, () => {
    const socket = asking().pause();
    const timer = setInterval(() => socket.read(5000), 100);
    return socket.on('error', () => {}).on('close', () => clearInterval(timer)); // the agent may cut it off
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const answered = async () => {
    let bytes = 0;
    for await (const part of asking()) bytes += (part as Buffer).length;
    return bytes;
  };
  const sizes = await Promise.all(Array.from({ length: CLIENTS }, answered));
  for (const socket of slow) socket.destroy();
  if (Math.min(...sizes) < 0.99 * Math.max(...sizes)) throw new Error(`an answer has only ${Math.min(...sizes)} bytes`);
  return { [CROWD]: mostMebibytesOf(pid) };
}

async function measuredInJavaScript(agent: RunningAgent) {
  await fetched(agent.port, '/metrics'); // renders all names
  return { [JAVASCRIPT]: await scrapesMs(agent, 'HEAD') };
}

export const subject: Subject = {
  name: 'agents',
  rows: [
    { name: FLEET, unit: 'ms', bound: { atMost: 50 } },
    { name: SENT, unit: 'ms' },
    { name: JAVASCRIPT, unit: 'ms', bound: { atMost: 250 } },
    { name: ONE, unit: 'us', bound: { atMost: 300 } },
    { name: TARGETS, unit: '%', bound: { atMost: 5 } },
    { name: MEMORY, unit: 'MiB', bound: { atMost: 160 } },
    { name: CROWD, unit: 'MiB', bound: { atMost: 256 } },
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
