// How long does a process take to start with the package, and how much memory? The figures of a process that imports an
// empty module are subtracted from both. Time is the processor time of all threads. The whole start and the import of
// peers are also timed by a clock, since Node's loader waits too.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { childPath } from '../children.ts';
import { PROMETHEUS } from '../peers.ts';
import type { Measurement, Row, Subject } from '../subject.ts';
import { environmentOf, type Tree } from '../tree.ts';

const MIB = 2 ** 20;

interface Step {
  readonly name: string;
  /** The name of the step in children/start.ts. */
  readonly word: string;
  readonly once?: boolean;
  /** Whether the time by a clock has a row too. */
  readonly isClocked?: boolean;
  readonly atMostMs?: number;
  readonly atMostMiB?: number;
}

const BARE: Step = { name: 'a bare Node', word: 'bare', once: true };
const EMPTY: Step = { name: 'an empty module', word: 'empty', once: true };
const BEYOND: readonly Step[] = [
  { name: 'import vmm-metrics', word: 'import' },
  { name: 'import, Firecracker schema', word: 'schema' },
  { name: 'import, schema, open()', word: 'open' },
  { name: 'import, schema, open(), init()', word: 'init', isClocked: true, atMostMs: 15, atMostMiB: 5 },
  ...[...PROMETHEUS, '@opentelemetry/sdk-metrics'].map(
    (name): Step => ({ name: `import ${name}`, word: name, once: true, isClocked: true }),
  ),
];

const timeRow = ({ name, once = false, atMostMs }: Step): Row => ({
  name: `${name}: time`,
  unit: 'ms',
  once,
  ...(atMostMs !== undefined && { bound: { atMost: atMostMs } }),
});
const clockRow = (step: Step): Row => ({ ...timeRow(step), name: `${step.name}: by a clock` });
const memoryRow = ({ name, once = false, atMostMiB }: Step): Row => ({
  name: `${name}: memory`,
  unit: 'MiB',
  once,
  ...(atMostMiB !== undefined && { bound: { atMost: atMostMiB } }),
});

interface Start {
  readonly processorMs: number;
  /** Since the process started, by a clock. */
  readonly ms: number;
  readonly rssBytes: number;
}

async function started(step: Step, tree: Tree): Promise<Start | undefined> {
  const child = spawn(process.execPath, [childPath('start'), step.word], {
    env: environmentOf(tree),
    stdio: ['ignore', 'pipe', step.once ? 'ignore' : 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  const [code] = await once(child, 'close');
  if (code === 0) return JSON.parse(text) as Start;
  if (step.once) return undefined; // the package is not installed
  throw new Error(`"${step.name}" ended with exit code ${code}`);
}

export const subject: Subject = {
  name: 'starts',
  rows: [
    ...[BARE, EMPTY, ...BEYOND].map(timeRow),
    ...BEYOND.filter(({ isClocked }) => isClocked).map(clockRow),
    ...[BARE, EMPTY, ...BEYOND].map(memoryRow),
  ],
  async measure(trees, { turns }) {
    const samples = new Map<string, { row: string; tree: number; samples: { value: number }[]; absent?: string }>();
    const add = (row: Row, tree: number, value: number | undefined) => {
      const key = `${row.name}, ${tree}`;
      const measurement = samples.get(key) ?? { row: row.name, tree, samples: [] };
      if (value !== undefined) measurement.samples.push({ value });
      else measurement.absent = 'the package cannot be imported';
      samples.set(key, measurement);
    };
    for (let turn = 0; turn < turns; turn++) {
      const [bare, empty] = [await started(BARE, trees[0]!), await started(EMPTY, trees[0]!)] as [Start, Start];
      for (const [step, { processorMs, rssBytes }] of [
        [BARE, bare],
        [EMPTY, empty],
      ] as const) {
        add(timeRow(step), 0, processorMs);
        add(memoryRow(step), 0, rssBytes / MIB);
      }
      for (const step of BEYOND) {
        for (const [i, tree] of (step.once ? trees.slice(0, 1) : trees).entries()) {
          const start = await started(step, tree);
          add(timeRow(step), i, start && start.processorMs - empty.processorMs);
          if (step.isClocked) add(clockRow(step), i, start && start.ms - empty.ms);
          add(memoryRow(step), i, start && (start.rssBytes - empty.rssBytes) / MIB);
        }
      }
    }
    return [...samples.values()] satisfies Measurement[];
  },
};
