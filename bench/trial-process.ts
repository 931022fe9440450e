// The process of one trial: trial-process.js MODULE TRIAL TURN_MS. It says when it is ready, and then answers each
// message with the sample of a turn.

import { addon } from './addon.ts';
import { Absent, type Sample } from './subject.ts';
import type { Answer, Operation, Trial, TrialSubject } from './trial.ts';

const XADDS = 500_000;
/** For how many turns an operation warms up, so that it is compiled. */
const WARM_TURNS = 8;

const [module, name, turnText] = process.argv.slice(2);
const turnMs = Number(turnText);
const { subject } = (await import(module!)) as { subject: TrialSubject };
const trial = subject.trials.find((one) => one.name === name)!;

const answer = (what: Answer) => process.send!(what);

function processNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}
const timeNs = trial.counts === 'process' ? processNs : addon.threadCpuNs;

function xaddNs(): number {
  const beganNs = addon.threadCpuNs();
  addon.xaddNs(XADDS);
  return (addon.threadCpuNs() - beganNs) / XADDS;
}

/** Nanoseconds of one operation, or the figure that the operation returns. */
async function figureOf(operation: Operation, times: number): Promise<number> {
  const beganNs = timeNs();
  const given = operation(times);
  const figure: unknown = given instanceof Promise ? await given : given;
  return typeof figure === 'number' ? figure : (timeNs() - beganNs) / times;
}

/** Warms the operation up, and finds how often it fits into a turn. */
async function timesOf({ times }: Trial, operation: Operation): Promise<number> {
  if (times !== undefined) {
    await figureOf(operation, Math.ceil(times / 10));
    return times;
  }
  let batch = 1;
  for (let spentMs = 0; ; ) {
    const batchMs = ((await figureOf(operation, batch)) * batch) / 1e6;
    spentMs += batchMs;
    if (spentMs > WARM_TURNS * turnMs && batchMs > turnMs / 4) return Math.max(1, Math.round((batch * turnMs) / batchMs));
    if (batchMs < turnMs / 2) batch *= 2;
  }
}

async function turn(operation: Operation, times: number): Promise<Sample> {
  const before = xaddNs();
  const value = await figureOf(operation, times);
  return { value, xaddNs: (before + xaddNs()) / 2 };
}

try {
  const operation = await trial.prepare();
  const times = await timesOf(trial, operation);
  process.on('message', async () => answer(await turn(operation, times)));
  process.on('disconnect', () => process.exit());
  answer({ ready: true });
} catch (error) {
  if (!(error instanceof Absent)) throw error;
  answer({ absent: error.message });
  process.disconnect();
}
