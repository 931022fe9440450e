// A trial is a row that a process of its own measures: an operation that is repeated, timed, and divided by its number.
// All trials of a subject are alive together and take turns, each with a `lock xadd` before and after. So a machine
// that changes its speed changes it for all of them.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { Effort, Measurement, Row, Sample, Subject, Unit } from './subject.ts';
import { environmentOf, type Tree } from './tree.ts';

/** Repeats the operation so often. A number that it gives, or resolves to, is the figure; else its time is. */
export type Operation = (times: number) => unknown;

export interface Trial extends Omit<Row, 'unit'> {
  /** Default: ns. */
  readonly unit?: Unit;
  /** Sets the trial up, once a process. Throws `Absent` where the tree or this Node does not have what is measured. */
  readonly prepare: () => Operation | Promise<Operation>;
  /** How often a turn repeats the operation. Default: as often as a turn has room for. */
  readonly times?: number;
  /**
   * Whose processor time counts: that of the main thread, or of all threads of the process, for what lets other threads
   * work. On an idle machine the thread's is what a clock shows; on a busy one a clock would count other processes
   * too. Default: `thread`.
   */
  readonly counts?: 'thread' | 'process';
  /** How Node is started. */
  readonly execArgv?: readonly string[];
}

/** What a trial's process says. */
export type Answer = { readonly ready: true } | { readonly absent: string } | Sample;

export interface TrialSubject extends Subject {
  readonly trials: readonly Trial[];
}

/** @param url Of the module that exports the subject as `subject`. */
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
      // There and back, so that no trial always follows the same one.
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
