// npm run bench: each trial in processes of its own, several rounds of all trials turn about, and medians. Within a
// process the trial and the yardstick (a native `lock xadd`) take turns, so that a machine that changes its speed
// changes it for both. Crashes are a distribution instead.
//
// The loops are our own: a harness that calls a function for each iteration measures its own call, at a nanosecond an
// operation.

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { addon } from './addon.ts';
import { crashTimesUs } from './crashes.ts';
import { type Trial, trials } from './trials.ts';
import { deathTimesMs, stopTimesMs } from './waits.ts';

const ROUNDS = 5;
const TURNS = 9;
const CRASHES = 200;
const WAITS = 5;

interface Figure {
  readonly value: number;
  readonly ns: number;
}

interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly lowest: number;
  readonly highest: number;
  readonly absolute?: string;
  readonly atMost?: number | undefined;
  readonly atLeast?: number | undefined;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Runs one trial here. For xadds the figure is the ratio of the medians. */
async function runTrial(trial: Trial): Promise<Figure> {
  const run = trial.prepare();
  const turns = trial.turns ?? TURNS;
  const values: number[] = [];
  const yardsticks: number[] = [];
  for (let i = 0; i < 3; i++) await run(Math.ceil(trial.times / 4)); // until it is compiled
  for (let i = 0; i < turns; i++) {
    yardsticks.push(addon.xaddNs(2_000_000));
    values.push(await run(trial.times));
  }
  const ns = median(values);
  return { ns, value: trial.unit === 'xadd' || trial.against ? ns / median(yardsticks) : ns };
}

function runTrials(): Row[] {
  const figures = new Map<string, Figure[]>(trials.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { name }] of trials.entries()) {
      const text = execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--trial', String(i)], { encoding: 'utf8' });
      figures.get(name)!.push(JSON.parse(text) as Figure);
    }
  }
  return trials.map(({ name, unit, against, atMost, atLeast }) => {
    const all = figures.get(name)!;
    // A ratio is that of two processes of one round.
    const values = all.map(({ value }, round) => (against === undefined ? value : value / figures.get(against)![round]!.value));
    const absolute = unit === 'xadd' || against !== undefined ? `${shown(median(all.map(({ ns }) => ns)))} ns` : '';
    return { name, unit, value: median(values), lowest: Math.min(...values), highest: Math.max(...values), absolute, atMost, atLeast };
  });
}

async function runCrashes(): Promise<Row[]> {
  const times = await crashTimesUs(CRASHES);
  const extremes = { unit: 'us', lowest: times[0]!, highest: times.at(-1)! };
  return [
    { name: 'fault to the line in a reader, median', value: median(times), ...extremes, atMost: 200 },
    { name: 'fault to the line in a reader, p99', value: times[Math.ceil(CRASHES * 0.99) - 1]!, ...extremes, atMost: 5000 },
  ];
}

async function runWaits(): Promise<Row[]> {
  const waits = [
    { name: 'fault to death, the pipe stays full', times: await deathTimesMs(WAITS) },
    { name: 'stop() of a profile, the pipe stays full', times: await stopTimesMs(WAITS) },
  ];
  return waits.map(({ name, times }) => ({
    name,
    value: median(times),
    unit: 'ms',
    lowest: times[0]!,
    highest: times.at(-1)!,
    atMost: 1000,
  }));
}

function holds({ value, atMost = Number.POSITIVE_INFINITY, atLeast = 0 }: Row): boolean {
  return value <= atMost && value >= atLeast;
}

async function runAll(): Promise<number> {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, commit ${commit}`);
  console.log(`medians of ${ROUNDS} processes a trial, turn about, and ${CRASHES} crashes; in brackets the lowest and highest\n`);
  const rows = [...runTrials(), ...(await runCrashes()), ...(await runWaits())];
  for (const row of rows) {
    const target = row.atMost !== undefined ? `at most ${row.atMost}` : row.atLeast !== undefined ? `at least ${row.atLeast}` : '';
    const figure = `${shown(row.value)} ${row.unit} [${shown(row.lowest)} … ${shown(row.highest)}]`;
    console.log(`${holds(row) ? ' ' : '!'} ${row.name.padEnd(50)}${figure.padEnd(40)}${(row.absolute ?? '').padStart(12)}  ${target}`);
  }
  return rows.filter((row) => !holds(row)).length;
}

function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

const { values } = parseArgs({ options: { trial: { type: 'string' } } });
if (values.trial === undefined) process.exitCode = (await runAll()) === 0 ? 0 : 1;
else console.log(JSON.stringify(await runTrial(trials[Number(values.trial)]!)));
