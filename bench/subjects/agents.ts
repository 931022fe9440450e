// What does the agent of a host cost, `vmm-metrics serve`, with a thousand region files of 35 devices each?

import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';

import { startAgent } from '../agent.ts';
import { endChild, startChild } from '../children.ts';
import { startHost } from '../machines.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const FILES = 1000;
/** So many of them are files of killed processes. */
const DEAD = 100;
const SCRAPES = 10;
const FLEET = `a scrape of ${FILES} files, read and rendered`;
const FIRST = 'the first scrape of all, and sent';
const SENT = 'the same, and sent';
const JAVASCRIPT = 'the same, not sent, in JavaScript alone';
const FLEET_PROTOBUF = 'the same as protobuf, not sent';
const ONE = 'a scrape of one of them';
const ONE_PROTOBUF = 'the same as protobuf';
const OTLP = `OpenTelemetry requests of ${FILES} virtual machines, read before and not sent`;
const FIRST_OTLP = 'the first of these requests';
const TARGETS = `${FILES} targets, each scraped every 10 s`;
const MEMORY = 'the most memory of the agent in these scrapes';
const CLIENTS = 200;
const SLOW_CLIENTS = 20;
const CROWD = `the same, with ${CLIENTS} clients at once and ${SLOW_CLIENTS} slow ones`;
const EVERY_S = 10;

/** A pattern for the region files of living and dead virtual machines. */
async function filesOf(tree: Tree): Promise<string> {
  const folder = folderInMemory();
  await startHost(tree, folder, FILES - DEAD, DEAD);
  return join(folder, '*', 'metrics.region');
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

/** What Prometheus sends when it wants native histograms. */
const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';

function fetched(port: number, path: string, method = 'GET', accept = '*/*'): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, method, headers: { accept }, host: '127.0.0.1', agent: connections }, (response) => {
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
async function scrapesMs(agent: RunningAgent, method: 'GET' | 'HEAD', accept?: string): Promise<number> {
  const { pid, port } = agent;
  const before = processorMs(pid);
  for (let i = 0; i < SCRAPES; i++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    await fetched(port, '/metrics', method, accept);
  }
  return (processorMs(pid) - before) / SCRAPES;
}

const patterns = new Map<Tree, Promise<string>>();

async function measured(tree: Tree): Promise<Readonly<Record<string, number>>> {
  return {
    ...(await withAgent(tree, true, measuredNative)),
    ...(await withAgent(tree, true, measuredProtobuf)),
    ...(await withAgent(tree, true, measuredCrowd)),
    ...(await withAgent(tree, false, measuredInJavaScript)),
    ...(await measuredOtlp(tree)),
  };
}

async function withAgent<T>(tree: Tree, isNative: boolean, measure: (agent: RunningAgent) => Promise<T>): Promise<T> {
  if (!patterns.has(tree)) patterns.set(tree, filesOf(tree));
  const { agent, port } = await startAgent(tree, await patterns.get(tree)!, isNative);
  try {
    return await measure({ pid: agent.pid!, port });
  } finally {
    agent.kill('SIGKILL');
  }
}

async function measuredNative(agent: RunningAgent) {
  const { pid, port } = agent;
  const beforeMs = processorMs(pid);
  await fetched(port, '/metrics');
  const first = processorMs(pid) - beforeMs;
  await scrapesMs(agent, 'HEAD'); // V8 compiles
  const fleet = await scrapesMs(agent, 'HEAD');
  const sent = await scrapesMs(agent, 'GET');
  const mebibytes = mostMebibytesOf(pid);
  const targetsMs = await oneByOneMs(agent, undefined, '/sd');
  return {
    [FIRST]: first,
    [FLEET]: fleet,
    [SENT]: sent,
    [ONE]: (1000 * targetsMs) / FILES,
    [TARGETS]: (100 * targetsMs) / (1000 * EVERY_S),
    [MEMORY]: mebibytes,
  };
}

/** Processor time of a scrape of each virtual machine, one after the other, and of one more request. */
async function oneByOneMs({ pid, port }: RunningAgent, accept?: string, more?: string): Promise<number> {
  const oneByOne = async () => {
    for (let i = 0; i < FILES; i++) await fetched(port, `/vm/vm${i}/metrics`, 'GET', accept);
  };
  // V8 compiles before the measurement, not in the midst of it: an agent runs for weeks.
  for (let i = 0; i < 3; i++) await oneByOne();
  const before = processorMs(pid);
  if (more !== undefined) await fetched(port, more);
  await oneByOne();
  return processorMs(pid) - before;
}

async function measuredProtobuf(agent: RunningAgent) {
  await fetched(agent.port, '/metrics', 'GET', PROTOBUF);
  await scrapesMs(agent, 'HEAD', PROTOBUF);
  const fleet = await scrapesMs(agent, 'HEAD', PROTOBUF);
  const one = (1000 * (await oneByOneMs(agent, PROTOBUF))) / FILES;
  return { [FLEET_PROTOBUF]: fleet, [ONE_PROTOBUF]: one };
}

async function measuredOtlp(tree: Tree): Promise<Readonly<Record<string, number>>> {
  const { child, message } = await startChild(tree, 'otlp-requests', await patterns.get(tree)!, `${FILES}`);
  await endChild(child);
  const { first, later } = message as { first?: number; later?: number };
  return first === undefined ? {} : { [FIRST_OTLP]: first, [OTLP]: later! };
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
    { name: FIRST, unit: 'ms' },
    { name: FLEET, unit: 'ms', bound: { atMost: 50 } },
    { name: SENT, unit: 'ms' },
    { name: JAVASCRIPT, unit: 'ms', bound: { atMost: 250 } },
    { name: FLEET_PROTOBUF, unit: 'ms' },
    { name: ONE, unit: 'us', bound: { atMost: 300 } },
    { name: ONE_PROTOBUF, unit: 'us', bound: { atMost: 300 } },
    { name: TARGETS, unit: '%', bound: { atMost: 5 } },
    { name: MEMORY, unit: 'MiB', bound: { atMost: 160 } },
    { name: CROWD, unit: 'MiB', bound: { atMost: 256 } },
    { name: OTLP, unit: 'ms', bound: { atMost: 20 } },
    { name: FIRST_OTLP, unit: 'ms' },
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
