// The terms of the benchmarks. A subject is one question. Its rows are its figures in the table. One run measures every
// row in several rounds, and in every round for each tree that is compared.

import type { Tree } from './tree.ts';

/** `lock xadd` of the same run, as the row that a bound is relative to. */
export const XADD = 'lock xadd';

/** What a row's figure must hold. */
export interface Bound {
  readonly atMost?: number;
  readonly atLeast?: number;
  /** What the figure is divided by first: `XADD`, or another row of the subject. Left out: nothing. */
  readonly of?: string;
}

export type Unit = 'ns' | 'us' | 'ms' | 'MiB' | 'bytes' | '%' | 'times' | 'lines';

export interface Row {
  /** Unique in its subject. */
  readonly name: string;
  readonly unit: Unit;
  readonly bound?: Bound;
  /** What stands for many samples. Default: the median. */
  readonly quantile?: number;
  /** Not of this package: measured once, also where two trees are compared. */
  readonly once?: boolean;
}

export interface Sample {
  readonly value: number;
  /** Nanoseconds of a `lock xadd` at that moment, where it took turns with the row. */
  readonly xaddNs?: number;
}

/** The samples of one row of one tree in one round. */
export interface Measurement {
  readonly row: string;
  /** The index of the tree; 0 for what is measured once. */
  readonly tree: number;
  readonly samples: readonly Sample[];
  /** What the tree or this Node lacks, where there are no samples. */
  readonly absent?: string;
  /** What went wrong, where there are no samples. */
  readonly failed?: string;
}

/** How much is measured. */
export interface Effort {
  /** Milliseconds that one turn of a trial takes. */
  readonly turnMs: number;
  /** What is compared pairwise is measured so often in a round, turn about. */
  readonly turns: number;
}

export interface Subject {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Measures one round, of those rows at least. */
  measure(trees: readonly Tree[], effort: Effort, wanted: ReadonlySet<string>): Promise<Measurement[]>;
}

/** The tree or this Node lacks what a row measures. The row then shows the message, and the run goes on. */
export class Absent extends Error {
  override readonly name = 'Absent';
}
