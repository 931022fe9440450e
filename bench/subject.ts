// The terms of the benchmarks. A subject is one question. The rows of a subject are its figures in the table. A run has
// several rounds, and each round measures every row for each tree that is compared.

import type { Tree } from './tree.ts';

/** In the `of` of a bound, this stands for the `lock xadd` of the same run. */
export const XADD = 'lock xadd';

/** A limit that a figure must keep. */
export interface Bound {
  readonly atMost?: number;
  readonly atLeast?: number;
  /**
   * Before the comparison, the figure is divided by the figure named here: `XADD`, or another row of the subject.
   * Default: none.
   */
  readonly of?: string;
}

export type Unit = 'ns' | 'us' | 'ms' | 'MiB' | 'bytes' | '%' | 'times' | 'lines';

export interface Row {
  /** Unique in its subject. */
  readonly name: string;
  readonly unit: Unit;
  readonly bound?: Bound;
  /** The figure is this quantile of the samples. Default: 0.5, the median. */
  readonly quantile?: number;
  /** Whether the row does not depend on the tree. If so, it is measured once, even when two trees are compared. */
  readonly once?: boolean;
}

export interface Sample {
  readonly value: number;
  /** Nanoseconds of a `lock xadd` in the same turn, for rows that take turns with one. */
  readonly xaddNs?: number;
}

/** The samples of one row of one tree in one round. */
export interface Measurement {
  readonly row: string;
  /** The index of the tree; 0 for a row that is measured once. */
  readonly tree: number;
  readonly samples: readonly Sample[];
  /** If there are no samples: what the tree or this Node lacks. */
  readonly absent?: string;
  /** If there are no samples: what went wrong. */
  readonly failed?: string;
}

/** How much is measured. */
export interface Effort {
  /** Milliseconds that one turn of a trial takes. */
  readonly turnMs: number;
  /** How many turns a row has in a round. */
  readonly turns: number;
}

export interface Subject {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Measures the wanted rows, and perhaps others, for one round. */
  measure(trees: readonly Tree[], effort: Effort, wanted: ReadonlySet<string>): Promise<Measurement[]>;
}

/** The tree or this Node lacks what a row measures. The row then shows the message, and the run goes on. */
export class Absent extends Error {
  override readonly name = 'Absent';
}
