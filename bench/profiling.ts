// npm run bench:profiling: how many ticks a profile meets, how late the samples are, what the profile costs, and what
// it costs the threads that count. A run samples ten metrics for two seconds, while a worker increments metrics. There
// are three rounds of all rates; the figures are medians.
//
// Before and after each run, two loops wait for ticks at that rate and do nothing else: one spins, and the other waits
// as the profile does. They show how many ticks a thread can meet at all on the machine at that moment. With --tries N,
// a run in which other processes took more than a twentieth of a core is repeated, up to N runs in all, and the
// quietest run counts.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

import { Metrics, type ProfileStats } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { ADDON, addon } from './addon.ts';
import { environment, environmentText } from './environment.ts';
import { COUNTED, PROFILED } from './profile-names.ts';
import { median } from './statistics.ts';
import { folderInMemory } from './store.ts';
import { processorNsByThread } from './threads.ts';
import { commitOf, HERE, treeAt } from './tree.ts';

const ROUNDS = 3;
const RUN_MS = 2000;
const KEEP_TIME_MS = 500;
const SLOWDOWN_TURNS = 12;
const SLOWDOWN_TURN_MS = 400;
const SLOWDOWN_AT_MOST = 1.05;
const ALIKE = 0.002; // by how much two equal runs differ
const QUIET_CORES = 0.05;
const TICKS_PER_SECOND = 100; // of /proc, on Linux

// How the profile waits at each rate: it reads the clock in a loop for the last `spinUs` before a tick, see
// native/profile/sampler.h.
const rates = [
  { name: '1 ms', intervalUs: 1000, spinUs: 0, atLeast: 0.995, coresAtMost: 0.05 },
  { name: '100 us', intervalUs: 100, spinUs: 20, atLeast: 0.99, coresAtMost: 0.35 },
  { name: '10 us', intervalUs: 10, spinUs: 10, atLeast: 0.98, coresAtMost: 1 },
  { name: '1 us', intervalUs: 1, spinUs: 1, atLeast: 0.9, coresAtMost: undefined },
] as const;
type Rate = (typeof rates)[number];

interface Run extends ProfileStats {
  /** The fraction of all ticks that was sampled. */
  readonly met: number;
  /** The fraction of all ticks that the spinning loop met. */
  readonly spinning: number;
  /** The fraction of all ticks that the other loop met, which waits as the profile does. */
  readonly waiting: number;
  readonly samplingCores: number;
  readonly writingCores: number;
  /** The fraction of all samples that came within half an interval of the previous sample. */
  readonly crowded: number;
  /** How many cores other processes used meanwhile. */
  readonly othersCores: number;
}

const { values } = parseArgs({ options: { tries: { type: 'string', default: '1' } } });
const tries = Number(values.tries);

const KEEP_TIME = `
  const { parentPort, workerData: { addon, ms } } = require('node:worker_threads');
  const { keepTime } = require(addon);
  parentPort.postMessage('begins');
  keepTime(100_000, ms, 20_000);
`;
const metrics = Metrics.open(firecracker, { name: 'bench-profiling' });
// The file is in memory, because at 1 us it grows by a hundred megabytes a second.
const output = join(folderInMemory(), 'profile.tsv');
const options = { metrics: PROFILED, output };

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Seconds of processor time that all other processes have used. */
function othersSeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const own = process.cpuUsage();
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND - (own.user + own.system) / 1e6;
}

/** The quietest of several runs. A run that is quiet enough ends the tries. */
async function quietRunAt(rate: Rate): Promise<Run> {
  let quietest: Run | undefined;
  for (let i = 0; i < tries && (quietest?.othersCores ?? 1) > QUIET_CORES; i++) {
    const run = await runAt(rate);
    if (quietest === undefined || run.othersCores < quietest.othersCores) quietest = run;
  }
  return quietest!;
}

async function runAt({ intervalUs, spinUs }: Rate): Promise<Run> {
  const beganSeconds = othersSeconds();
  const beganAll = performance.now();
  const loops = () => ({
    spinning: addon.keepTime(intervalUs * 1000, KEEP_TIME_MS, intervalUs * 1000),
    waiting: addon.keepTime(intervalUs * 1000, KEEP_TIME_MS, spinUs * 1000),
  });
  const before = loops();
  const profile = metrics.startProfiling({ ...options, intervalUs });
  const began = performance.now();
  await sleep(RUN_MS);
  const seconds = (performance.now() - began) / 1000;
  const spent = processorNsByThread();
  const stats = await profile.stop();
  const after = loops();
  const othersCores = Math.max(0, othersSeconds() - beganSeconds) / ((performance.now() - beganAll) / 1000);
  return {
    othersCores,
    ...stats,
    spinning: (before.spinning + after.spinning) / 2,
    waiting: (before.waiting + after.waiting) / 2,
    met: (stats.samples - 1) / (stats.samples - 1 + stats.missedTicks),
    samplingCores: (spent.get('vmm-sampling') ?? 0) / 1e9 / seconds,
    writingCores: (spent.get('vmm-samples-out') ?? 0) / 1e9 / seconds,
    crowded: crowdedIn(output, (intervalUs * 1000) / 2),
  };
}

/** Reads the times in the file, which may be hundreds of megabytes long. */
function crowdedIn(path: string, closerThanNs: number): number {
  const file = openSync(path, 'r');
  const chunk = Buffer.alloc(1 << 20);
  let rows = 0;
  let crowded = 0;
  let before = Number.NEGATIVE_INFINITY;
  let time = 0;
  let inTime = false; // the header's line is no row
  for (let bytes = 0; (bytes = readSync(file, chunk)) > 0; ) {
    for (let i = 0; i < bytes; i++) {
      const byte = chunk[i]!;
      if (byte === 10) {
        inTime = true;
        time = 0;
      } else if (inTime && byte === 9) {
        inTime = false;
        rows++;
        if (time - before < closerThanNs) crowded++;
        before = time;
      } else if (inTime) time = time * 10 + byte - 48;
    }
  }
  closeSync(file);
  return crowded / rows;
}

interface Times {
  readonly ns: number;
  readonly processorNs: number;
}

/**
 * How much longer an increment takes while a profile runs at 100 us, and while a loop that touches no metric waits as
 * that profile does. A cost that both have is due to the machine, whose processors share a core or its cache. The turns
 * alternate with turns in which neither runs.
 */
async function slowdowns(worker: Worker): Promise<{ profiled: Times; waited: Times }> {
  let times: Times[] = [];
  worker.on('message', (one: Times) => times.push(one));
  const turn = async (): Promise<Times> => {
    await sleep(0); // messages that have come belong to the turn before
    times = [];
    await sleep(SLOWDOWN_TURN_MS);
    return middle(times.slice(1));
  };
  const all = { alone: [] as Times[], profiled: [] as Times[], waited: [] as Times[] };
  for (let i = 0; i < SLOWDOWN_TURNS; i++) {
    all.alone.push(await turn());
    const profile = metrics.startProfiling({ ...options, intervalUs: 100 });
    all.profiled.push(await turn());
    await profile.stop();
    const waiting = new Worker(KEEP_TIME, { eval: true, workerData: { addon: ADDON, ms: SLOWDOWN_TURN_MS + KEEP_TIME_MS } });
    await new Promise((resolve) => waiting.once('message', resolve));
    all.waited.push(await turn());
    await new Promise((resolve) => waiting.once('exit', resolve));
  }
  worker.removeAllListeners('message');
  const alone = middle(all.alone);
  const ratio = (times: readonly Times[]) => ({
    ns: middle(times).ns / alone.ns,
    processorNs: middle(times).processorNs / alone.processorNs,
  });
  return { profiled: ratio(all.profiled), waited: ratio(all.waited) };
}

function middle(times: readonly Times[]): Times {
  return { ns: median(times.map(({ ns }) => ns)), processorNs: median(times.map(({ processorNs }) => processorNs)) };
}

const percent = (part: number) => `${(100 * part).toFixed(2)} %`.padStart(9);
const us = (ns: number) => (ns / 1000).toFixed(2).padStart(9);

const stop = new Int32Array(new SharedArrayBuffer(4));
const worker = new Worker(new URL('./children/incrementer.js', import.meta.url), { workerData: { stop, fields: [...COUNTED] } });
await new Promise((resolve) => worker.once('message', resolve));
const runs = new Map(rates.map((rate) => [rate, [] as Run[]]));
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const rate of rates) runs.get(rate)!.push(await quietRunAt(rate));
  }
  const { profiled, waited } = await slowdowns(worker);
  console.log(`${environmentText(environment())}, commit ${commitOf(treeAt(HERE))}`);
  console.log(
    `${options.metrics.length} metrics, ${RUN_MS / 1000} s a run, medians of ${ROUNDS} rounds, while a worker increments metrics\n`,
  );
  console.log('              a loop that  late us:                          cores:              within half');
  console.log('rate    ticks met   spins   only waits   median       p99       max  sampling  writing      a tick  others');
  for (const [{ name, atLeast, coresAtMost }, all] of runs) {
    const of = (figure: (run: Run) => number) => median(all.map(figure));
    const met = of((run) => run.met);
    const waiting = of((run) => run.waiting);
    const cores = of((run) => run.samplingCores);
    const isCheap = cores <= (coresAtMost ?? 2);
    const mark = met >= atLeast && isCheap ? ' ' : met >= waiting - ALIKE && isCheap ? '~' : '!';
    if (mark === '!') process.exitCode = 1;
    console.log(
      `${mark} ${name.padEnd(6)}${percent(met)} ${percent(of((run) => run.spinning))} ${percent(waiting)}    ` +
        `${us(of((run) => run.lateNs.median))} ${us(of((run) => run.lateNs.p99))} ${us(of((run) => run.lateNs.max))}` +
        `     ${cores.toFixed(3)}    ${of((run) => run.writingCores).toFixed(3)}   ${percent(of((run) => run.crowded))}    ` +
        `${of((run) => run.othersCores).toFixed(2)}   at least ${percent(atLeast).trim()}${coresAtMost === undefined ? '' : `, ${coresAtMost} cores`}`,
    );
  }
  console.log('~ below the bound, but a loop that only waits as the profile does met no more ticks');

  const isDear = profiled.processorNs > SLOWDOWN_AT_MOST * Math.max(1, waited.processorNs);
  if (isDear) process.exitCode = 1;
  console.log(
    `\n${isDear ? '!' : ' '} an increment while profiled at 100 us takes ${profiled.processorNs.toFixed(3)} times its processor time (at most ` +
      `${SLOWDOWN_AT_MOST}), and ${waited.processorNs.toFixed(3)} times beside a loop that waits in the same way and reads no metric; by the ` +
      `clock, which counts other processes too, ${profiled.ns.toFixed(3)} and ${waited.ns.toFixed(3)} times`,
  );
} finally {
  Atomics.store(stop, 0, 1);
  metrics.close();
}
