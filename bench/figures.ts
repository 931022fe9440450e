// Turns the samples of all rounds into one figure for each row and tree, and compares the figure with the bound.

import { median, quantile } from './statistics.ts';
import { type Bound, type Measurement, type Row, type Subject, XADD } from './subject.ts';

export interface Range {
  readonly value: number;
  /** The lowest round. */
  readonly lowest: number;
  /** The highest round. */
  readonly highest: number;
}

export interface Figure extends Range {
  /** The figure as a multiple of a `lock xadd` in the same turns, for rows of nanoseconds. */
  readonly inXadd?: Range;
  /** What the bound compares: the figure, or its ratio to another figure. */
  readonly compared?: number;
  readonly holds?: boolean;
}

/** One line of the table. */
export interface Result {
  readonly subject: string;
  readonly row: Row;
  /** One figure for each tree, or a single one for a row that is measured once. Undefined: the row was not measured. */
  readonly figures: readonly (Figure | undefined)[];
  /** Why a tree has no figure. */
  readonly notes: readonly string[];
  readonly hasFailed: boolean;
  /** The first tree's figure as a multiple of the second tree's. */
  readonly change?: Range;
}

type Rounds = readonly (readonly Measurement[])[];

export function resultsOf({ name, rows }: Subject, rounds: Rounds, wanted: ReadonlySet<string>, trees: number): Result[] {
  const ofRow = (row: string, tree: number) =>
    rounds.map((round) => round.filter((one) => one.row === row && one.tree === tree).flatMap(({ samples }) => samples));
  const values = (row: string, tree: number) => ofRow(row, tree).map((round) => round.map(({ value }) => value));
  const treeOf = (row: string, tree: number) => (rows.find((one) => one.name === row)!.once ? 0 : tree);

  /** The ratio of the row's figure to another row's, in each round. */
  const relative = (row: Row, tree: number, other: string) => {
    const figure = (round: readonly number[]) => quantile(round, row.quantile ?? 0.5);
    const others = values(other, treeOf(other, tree)).map(figure);
    return values(row.name, tree).map((round, i) => figure(round) / others[i]!);
  };

  const figureOf = (row: Row, tree: number): Figure | undefined => {
    const byRound = values(row.name, tree).filter((round) => round.length > 0);
    if (byRound.length === 0) return undefined;
    const range = rangeOf(
      byRound.map((round) => quantile(round, row.quantile ?? 0.5)),
      row.quantile === undefined ? undefined : quantile(byRound.flat(), row.quantile),
    );
    const xadds = ofRow(row.name, tree).map((round) =>
      round.flatMap(({ value, xaddNs }) => (xaddNs === undefined ? [] : [value / xaddNs])),
    );
    const inXadd = row.unit === 'ns' && xadds.every((round) => round.length > 0) ? rangeOf(xadds.map(median)) : undefined;
    const { bound } = row;
    if (bound === undefined) return { ...range, ...(inXadd && { inXadd }) };
    const of = bound.of === undefined ? range.value : bound.of === XADD ? inXadd!.value : median(relative(row, tree, bound.of));
    return { ...range, ...(inXadd && { inXadd }), compared: of, holds: holds(bound, of) };
  };

  return rows
    .filter((row) => wanted.has(row.name))
    .map((row) => {
      const count = row.once ? 1 : trees;
      const figures = Array.from({ length: count }, (_, tree) => figureOf(row, tree));
      const unmeasured = rounds.flat().filter((one) => one.row === row.name && (one.absent ?? one.failed) !== undefined);
      const [now, before] = [0, 1].map((tree) => values(row.name, tree).map((round) => quantile(round, row.quantile ?? 0.5)));
      const isCompared = figures[0] !== undefined && figures[1] !== undefined;
      return {
        subject: name,
        row,
        figures,
        notes: [...new Set(unmeasured.map(({ absent, failed }) => absent ?? `FAILED: ${failed}`))],
        hasFailed: unmeasured.some(({ failed }) => failed !== undefined),
        ...(isCompared && figures[1]!.value !== 0 && { change: rangeOf(now!.map((value, i) => value / before![i]!)) }),
      };
    });
}

function rangeOf(rounds: readonly number[], value = median(rounds)): Range {
  return { value, lowest: Math.min(...rounds), highest: Math.max(...rounds) };
}

function holds({ atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY }: Bound, value: number): boolean {
  return value <= atMost && value >= atLeast;
}

/** The time of a `lock xadd`, from all samples that were taken in turns with it. */
export function xaddOf(rounds: Rounds): Range | undefined {
  const byRound = rounds
    .map((round) => round.flatMap(({ samples }) => samples.flatMap(({ xaddNs }) => (xaddNs === undefined ? [] : [xaddNs]))))
    .filter((round) => round.length > 0);
  return byRound.length === 0 ? undefined : rangeOf(byRound.map(median));
}
