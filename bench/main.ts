// npm run bench: prints what operations cost, beside a `lock xadd`, other packages and bounds. A run measures all rows
// in a first round, then all rows again in a second round, and so on. So a change in the speed of the machine affects
// all rows alike.
//
// Each trial has a loop of its own. Some operations take a nanosecond, so a harness that called a function for each
// operation would measure that call.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { environment, environmentText } from './environment.ts';
import { type Range, type Result, resultsOf, xaddOf } from './figures.ts';
import type { Effort, Measurement, Subject } from './subject.ts';
import { headOf, isWorse, shown, tableOf, WORSE } from './table.ts';
import { commitOf, HERE, type Tree, treeAt } from './tree.ts';

const HELP = `Usage: npm run bench -- [--only NAME]... [--rounds N] [--against DIR] [--json FILE]

  --only NAME     measure only rows and subjects whose name contains NAME
  --rounds N      measure all rows N times, round by round (default 5)
  --turn-ms N     let one turn of an operation take N milliseconds (default 20)
  --against DIR   compare with another built tree of this package; the two trees alternate
  --json FILE     also write all results to FILE
`;

const SUBJECTS = [
  'increments',
  'values',
  'latencies',
  'snapshots',
  'expositions',
  'flushes',
  'devices',
  'readers',
  'shows',
  'agents',
  'scraped-writers',
  'pages',
  'ticks',
  'starts',
  'crashes',
  'waits',
  'contention',
  'traps',
  'lines',
  'kvm',
];
/** Turns of a trial in a round. */
const TURNS = 7;

interface Plan {
  readonly subject: Subject;
  /** The rows that are shown. */
  readonly wanted: ReadonlySet<string>;
  readonly rounds: Measurement[][];
}

/** Plans the rows that `only` names. An empty list names all rows. */
function planOf(subject: Subject, only: readonly string[]): Plan {
  const isNamed = (name: string) => only.some((part) => name.toLowerCase().includes(part.toLowerCase()));
  const rows = subject.rows.filter(({ name }) => only.length === 0 || isNamed(subject.name) || isNamed(name));
  return { subject, wanted: new Set(rows.map(({ name }) => name)), rounds: [] };
}

/** The wanted rows, and those that their bounds refer to. */
function needed({ subject, wanted }: Plan): ReadonlySet<string> {
  const others = subject.rows.flatMap(({ name, bound }) => (wanted.has(name) && bound?.of !== undefined ? [bound.of] : []));
  return new Set([...wanted, ...others]);
}

async function measured(plans: readonly Plan[], trees: readonly Tree[], rounds: number, effort: Effort): Promise<void> {
  for (let round = 1; round <= rounds; round++) {
    for (const plan of plans) {
      progress(`round ${round} of ${rounds}: ${plan.subject.name}`);
      plan.rounds.push(await roundOf(plan, trees, effort));
    }
  }
  progress('');
}

/** If a subject fails, its rows show the error, and the run goes on. */
async function roundOf(plan: Plan, trees: readonly Tree[], effort: Effort): Promise<Measurement[]> {
  try {
    return await plan.subject.measure(trees, effort, needed(plan));
  } catch (error) {
    return [...plan.wanted].map((row) => ({ row, tree: 0, samples: [], failed: (error as Error).message }));
  }
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function summaryOf(results: readonly Result[]): string[] {
  const missed = results.filter(({ figures }) => figures[0]?.holds === false);
  const worse = results.filter(({ row, change }) => change !== undefined && isWorse(row, change));
  const bounded = results.filter(({ figures }) => figures[0]?.holds !== undefined);
  const percent = Math.round(100 * (WORSE - 1));
  return [
    `\n${bounded.length - missed.length} of ${bounded.length} bounds hold.${missed.length === 0 ? '' : ` Missed (!): ${listed(missed)}.`}`,
    ...(worse.length === 0 ? [] : [`More than ${percent} % worse than before (>): ${listed(worse)}.`]),
  ];
}

const listed = (results: readonly Result[]) => results.map(({ row }) => `"${row.name}"`).join(', ');

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    'turn-ms': { type: 'string', default: '20' },
    against: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});

function countOf(option: string, text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new Error(`${option} must be a positive integer; got '${text}'`);
  return count;
}

async function run(): Promise<void> {
  const [rounds, turnMs] = [countOf('--rounds', values.rounds), countOf('--turn-ms', values['turn-ms'])];
  const trees = [treeAt(HERE), ...(values.against === undefined ? [] : [treeAt(values.against)])];
  const modules = await Promise.all(SUBJECTS.map((name) => import(`./subjects/${name}.js`) as Promise<{ subject: Subject }>));
  const plans = modules.map(({ subject }) => planOf(subject, values.only)).filter(({ wanted }) => wanted.size > 0);
  if (plans.length === 0) throw new Error(`no row or subject has ${values.only.map((name) => `'${name}'`).join(' or ')} in its name`);
  const where = environment();
  const commits = trees.map(commitOf);
  console.log(environmentText(where));
  console.log(`commit ${commits[0]}${commits.length > 1 ? `; before: commit ${commits[1]}, ${trees[1]!.folder}` : ''}`);
  console.log(`medians of ${rounds} rounds; the lowest and the highest round in brackets; ns are processor time`);

  await measured(plans, trees, rounds, { turnMs, turns: TURNS });

  const results = plans.map((plan) => ({ plan, results: resultsOf(plan.subject, plan.rounds, plan.wanted, trees.length) }));
  const xadd: Range | undefined = xaddOf(plans.flatMap((plan) => plan.rounds));
  if (xadd !== undefined) console.log(`lock xadd: ${shown(xadd.value)} ns [${shown(xadd.lowest)} … ${shown(xadd.highest)}]`);
  console.log(`\n${headOf(trees.length > 1)}`);
  for (const { plan, results: all } of results) console.log(tableOf(plan.subject.name, all, trees.length > 1).join('\n'));
  const all = results.flatMap((one) => one.results);
  console.log(summaryOf(all).join('\n'));
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ environment: where, commits, rounds, xaddNs: xadd, rows: all }, null, 1)}\n`);
  }
  const isBad = all.some(({ figures, hasFailed }) => hasFailed || figures[0]?.holds === false);
  process.exitCode = isBad ? 1 : 0;
}

process.once('SIGINT', () => process.exit(130)); // otherwise the files of the run would stay
try {
  if (values.help) process.stdout.write(HELP);
  else await run();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
