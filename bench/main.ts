// npm run bench: each trial in processes of its own, several rounds of all trials turn about, and medians. Within a process the trial
// and the yardstick (a native `lock xadd`) take turns, so that a machine that changes its speed changes it for both.
//
// The loops are our own: a harness that calls a function for each iteration measures its own call, at a nanosecond an operation.

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { type Trial, trials } from './trials.ts';

const ROUNDS = 5;
const TURNS = 9;

interface Figure {
  readonly value: number;
  readonly ns: number;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Runs one trial here. For xadds the figure is the ratio of the medians. */
async function runTrial(trial: Trial): Promise<Figure> {
  const { xaddNs } = createRequire(import.meta.url)('../../test/addon/build/Release/vmm_test.node') as { xaddNs(times: number): number };
  const run = trial.prepare();
  const turns = trial.unit === 'times one' ? 3 : TURNS;
  const values: number[] = [];
  const yardsticks: number[] = [];
  for (let i = 0; i < 3; i++) await run(Math.ceil(trial.times / 4)); // until it is compiled
  for (let i = 0; i < turns; i++) {
    yardsticks.push(xaddNs(2_000_000));
    values.push(await run(trial.times));
  }
  const ns = median(values);
  return { ns, value: trial.unit === 'xadd' ? ns / median(yardsticks) : ns };
}

function runAll(): number {
  const figures = new Map<Trial, Figure[]>(trials.map((trial) => [trial, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, trial] of trials.entries()) {
      const text = execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--trial', String(i)], { encoding: 'utf8' });
      figures.get(trial)!.push(JSON.parse(text) as Figure);
    }
  }
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, commit ${commit}`);
  console.log(`medians of ${ROUNDS} processes a trial, turn about; in brackets the lowest and highest\n`);
  let failed = 0;
  for (const [trial, all] of figures) {
    const values = all.map((figure) => figure.value);
    const value = median(values);
    const holds = value <= (trial.atMost ?? Number.POSITIVE_INFINITY) && value >= (trial.atLeast ?? 0);
    if (!holds) failed++;
    const target = trial.atMost !== undefined ? `at most ${trial.atMost}` : trial.atLeast !== undefined ? `at least ${trial.atLeast}` : '';
    const absolute = trial.unit === 'xadd' ? `${shown(median(all.map((figure) => figure.ns)))} ns` : '';
    const figure = `${shown(value)} ${trial.unit} [${shown(Math.min(...values))} … ${shown(Math.max(...values))}]`;
    console.log(`${holds ? ' ' : '!'} ${trial.name.padEnd(50)}${figure.padEnd(40)}${absolute.padStart(12)}  ${target}`);
  }
  return failed;
}

function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

const { values } = parseArgs({ options: { trial: { type: 'string' } } });
if (values.trial === undefined) process.exitCode = runAll() === 0 ? 0 : 1;
else console.log(JSON.stringify(await runTrial(trials[Number(values.trial)]!)));
