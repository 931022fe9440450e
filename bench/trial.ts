// A trial is a row with a process of its own. The process repeats an operation, and divides the time by the number of
// repetitions. The processes of a subject live at the same time and take turns, and measure a `lock xadd` before and
// after each turn. So a change in the speed of the machine affects all of them.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { Effort, Measurement, Row, Sample, Subject, Unit } from './subject.ts';
import { environmentOf, type Tree } from './tree.ts';

/** Repeats the operation. The figure is the number that this returns or resolves to; otherwise, it is the time. */
export type Operation = (times: number) => unknown;

export interface Trial extends Omit<Row, 'unit'> {
  /** Default: ns. */
  readonly unit?: Unit;
  /** Sets the trial up, once per process. Throws `Absent` if the tree or this Node lacks what the trial measures. */
  readonly prepare: () => Operation | Promise<Operation>;
  /** How often a turn repeats the operation. Default: as often as it fits into `turnMs`. */
  readonly times?: number;
  /**
   * The threads whose processor time is measured: the main thread or, for an operation that lets other threads work,
   * all threads of the process. On an idle machine the time of the thread is what a clock shows. On a busy machine a
   * clock also counts other processes. Default: `thread`.
   */
  readonly counts?: 'thread' | 'process';
  /** Options for Node itself. */
  readonly execArgv?: readonly string[];
}

/** What a trial's process sends. */
export type Answer = { readonly ready: true } | { readonly absent: string } | Sample;

export interface TrialSubject extends Subject {
  readonly trials: readonly Trial[];
}

/** @param url The URL of the module that exports the subject as `subject`. */
export function trialSubject(name: string, url: string, trials: readonly Trial[]): TrialSubject {
  const rows = trials.map(({ prepare, times, counts, execArgv, ...row }): Row => ({ unit: 'ns', ...row }));
  return {
    name,
    rows,
    trials,
    async measure(trees, effort, wanted) {
      const turns = new Turns(fileURLToPath(url), effort);
      try {
        for (const trial of trials) {
          if (!wanted.has(trial.name)) continue;
          const measured = trial.once ? trees.slice(0, 1) : trees;
          for (const [index, tree] of measured.entries()) await turns.add(trial, index, tree);
        }
        return await turns.run();
      } finally {
        await turns.end();
      }
    },
  };
}

interface Participant {
  readonly row: string;
  readonly tree: number;
  readonly child: ChildProcess;
  readonly samples: Sample[];
}

/** The trials of a round, each in a process that waits for its turn. */
class Turns {
  readonly #file: string;
  readonly #effort: Effort;
  readonly #participants: Participant[] = [];
  readonly #unmeasured: Measurement[] = [];

  constructor(file: string, effort: Effort) {
    this.#file = file;
    this.#effort = effort;
  }

  async add(trial: Trial, index: number, tree: Tree): Promise<void> {
    const script = fileURLToPath(new URL('./trial-process.js', import.meta.url));
    const child = fork(script, [this.#file, trial.name, String(this.#effort.turnMs)], {
      env: environmentOf(tree),
      execArgv: [...(trial.execArgv ?? [])],
    });
    const participant = { row: trial.name, tree: index, child, samples: [] };
    const unmeasured = { row: trial.name, tree: index, samples: [] };
    try {
      const answer = await answerOf(participant);
      if ('ready' in answer) {
        this.#participants.push(participant);
        return;
      }
      if ('absent' in answer) this.#unmeasured.push({ ...unmeasured, absent: answer.absent });
    } catch (error) {
      this.#unmeasured.push({ ...unmeasured, failed: (error as Error).message });
    }
    child.kill('SIGKILL');
  }

  async run(): Promise<Measurement[]> {
    for (let turn = 0; turn < this.#effort.turns; turn++) {
      // Every second turn goes in reverse order, so that no trial always follows the same other trial.
      const inOrder = turn % 2 === 0 ? this.#participants : this.#participants.toReversed();
      for (const participant of inOrder) {
        participant.child.send('turn');
        participant.samples.push((await answerOf(participant)) as Sample);
      }
    }
    return [...this.#unmeasured, ...this.#participants.map(({ row, tree, samples }) => ({ row, tree, samples }))];
  }

  /** Each process ends by itself, and removes its files, when it is disconnected. */
  async end(): Promise<void> {
    await Promise.all(
      this.#participants.map(async ({ child }) => {
        if (!child.connected) return;
        const exit = once(child, 'exit');
        child.disconnect();
        await exit;
      }),
    );
  }
}

async function answerOf({ row, child }: Participant): Promise<Answer> {
  const ended = new AbortController();
  const message = once(child, 'message', { signal: ended.signal });
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code, signal]) => {
    throw new Error(`the process of "${row}" ended with ${signal ?? `exit code ${code}`}`);
  });
  try {
    const [answer] = await Promise.race([message, exit]);
    return answer as Answer;
  } finally {
    message.catch(() => {});
    exit.catch(() => {});
    ended.abort();
  }
}
