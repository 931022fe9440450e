// The rows of a profile as points of a chart, and the rows between which each point measures a rate. Pure.

import type { ProfileTable } from './table.ts';

/** A point stands for the rows from `from` to just before `to`. A gap has no rows. */
export interface Point {
  readonly timeNs: number;
  readonly from: number;
  readonly to: number;
}

/** All points, and the gaps that are longer than a point. */
export function pointsOf({ timesNs, intervalNs, gaps }: ProfileTable, rowsPerPoint: number): Point[] {
  const points: Point[] = [];
  let from = 0;
  const finish = (to: number) => {
    if (to > from) points.push({ timeNs: timesNs[to - 1]!, from, to });
    from = to;
  };
  for (let row = 0; row < timesNs.length; row++) {
    // Nobody could see a gap that is shorter than a point.
    if (gaps.has(row) && timesNs[row]! - timesNs[row - 1]! > intervalNs * rowsPerPoint) {
      finish(row);
      points.push({ timeNs: (timesNs[row - 1]! + timesNs[row]!) / 2, from: row, to: row });
    }
    if (row - from === rowsPerPoint) finish(row);
  }
  finish(timesNs.length);
  return points;
}

/** The two rows between which a rate is measured. */
export interface Stretch {
  readonly from: number;
  to: number;
}

/**
 * The stretch of each point, or undefined where there is no rate yet. A stretch is at least half an interval long,
 * because a single event in a shorter stretch would look like a peak. Two rows can be that close if the first one was
 * late, or the second one is the last of the profile. A point that is too close to the point before shares the stretch
 * of the next point. Before a gap, and at the end, such a point shares the stretch of the point before.
 */
export function stretchesOf({ timesNs, intervalNs }: ProfileTable, points: readonly Point[]): (Stretch | undefined)[] {
  const stretches = new Array<Stretch | undefined>(points.length);
  let last: Stretch | undefined;
  let waiting: number[] = [];
  let from = 0;
  const settle = () => {
    for (const i of waiting) stretches[i] = last;
    waiting = [];
  };
  const settleBackwards = () => {
    const nearest = waiting.at(-1);
    if (last !== undefined && nearest !== undefined) from = last.to = points[nearest]!.to - 1;
    settle();
  };
  points.forEach((point, i) => {
    const to = point.to - 1;
    if (point.from === point.to) settleBackwards();
    else if (to > 0) {
      waiting.push(i);
      if (timesNs[to]! - timesNs[from]! < intervalNs / 2) return;
      last = { from, to };
      from = to;
      settle();
    }
  });
  settleBackwards();
  return stretches;
}
