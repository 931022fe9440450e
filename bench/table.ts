// The table on the screen: one line for each row, grouped by subject.

import type { Figure, Range, Result } from './figures.ts';
import type { Row } from './subject.ts';

/** Widths of columns. */
const NAME = 50;
const RANGE = 25;
/** A row is marked if its figure is worse than that of the other tree by more than this factor. */
export const WORSE = 1.03;

/** The value with three significant digits or more, and commas between thousands. */
export function shown(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(size >= 10 ? 1 : 2);
}

const range = ({ lowest, highest }: Range) => `[${shown(lowest)} … ${shown(highest)}]`;

function limitOf({ bound }: Row): string {
  if (bound === undefined) return '';
  const { atMost, atLeast, of } = bound;
  const limit = atMost !== undefined ? `at most ${shown(atMost)}` : `at least ${shown(atLeast!)}`;
  return of === undefined ? limit : `${limit} × ${of}`;
}

function boundText(row: Row, { compared, holds }: Figure): string {
  return compared === undefined ? '' : `${holds ? 'holds' : 'MISSED'}: ${shown(compared)}, ${limitOf(row)}`;
}

/** The lines of one subject's results. With two trees there are columns for the second tree and for the ratio. */
export function tableOf(subject: string, results: readonly Result[], isComparing: boolean): string[] {
  const lines = [`\n${subject}`];
  for (const { row, figures, notes, hasFailed, change } of results) {
    const [now, before] = figures;
    if (now === undefined && before === undefined) {
      lines.push(`${hasFailed ? '!' : '-'} ${row.name.padEnd(NAME)} ${notes.join('; ')}${row.bound ? ` (${limitOf(row)})` : ''}`);
      continue;
    }
    const cells = [
      now === undefined ? ''.padStart(17 + RANGE) : `${shown(now.value).padStart(10)} ${row.unit.padEnd(5)} ${range(now).padEnd(RANGE)}`,
      (now?.inXadd ? shown(now.inXadd.value) : '').padStart(8),
    ];
    if (isComparing) {
      cells.push(
        (before === undefined ? '' : shown(before.value)).padStart(10),
        (before?.inXadd ? shown(before.inXadd.value) : '').padStart(8),
      );
      cells.push(
        (change === undefined ? '' : `${change.value.toFixed(2)} [${change.lowest.toFixed(2)} … ${change.highest.toFixed(2)}]`).padEnd(21),
      );
    }
    const mark = now?.holds === false || hasFailed ? '!' : change !== undefined && isWorse(row, change) ? '>' : ' ';
    lines.push(
      `${mark} ${row.name.padEnd(NAME)}${cells.join(' ')}  ${now ? boundText(row, now) : ''}${notes.length ? ` (${notes.join('; ')})` : ''}`.trimEnd(),
    );
  }
  return lines;
}

/** Whether the first tree is worse: clearly in the median, and at least a little in every round. */
export function isWorse({ bound, unit }: Row, { value, lowest, highest }: Range): boolean {
  const isBetterHigh = bound?.atLeast !== undefined || unit === '%';
  return isBetterHigh ? value < 1 / WORSE && highest < 1 : value > WORSE && lowest > 1;
}

export function headOf(isComparing: boolean): string {
  const now = `${'median'.padStart(10)} ${'unit'.padEnd(5)} ${'[lowest … highest]'.padEnd(RANGE)} ${'× xadd'.padStart(8)}`;
  const other = ` ${'before'.padStart(10)} ${'× xadd'.padStart(8)} ${'now/before'.padEnd(21)}`;
  return `  ${''.padEnd(NAME)}${now}${isComparing ? other : ''}  bound`;
}
