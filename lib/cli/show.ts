// `vmm-metrics show`: what a region file holds, for people, for programs, or as the line that would have been.

import { styleText } from 'node:util';

import { type RegionReading, readRegion } from '../region/reader.ts';
import { digits } from '../text.ts';
import { type Command, parsed, plain, report, UsageError } from './command.ts';
import { jsonOf } from './json.ts';
import { noRegions, regionsOf } from './regions.ts';
import { isZero, latencyNote, type MetricRow, pendingText, rowsOf, stateOf, wrapped } from './rows.ts';

const HELP = `Usage: vmm-metrics show FILE|DIR [--all] [--json | --line]

Shows the metrics in a region file, of a process that runs or is gone; of a
folder, those in all its region files.

  --all    also the metrics that are 0
  --json   one JSON document a file, on one line; integers have up to 64 bits
  --line   the line that the process would have flushed next, byte for byte

TOTAL counts since the start of the process. PENDING is what no flushed line
has said: of a dead process, what vmm-metrics flush would say.
Exits 1 when a file cannot be read; the others are shown all the same.
`;

export const show: Command = {
  summary: 'show the metrics in a region file, or in all of a folder',
  help: HELP,
  async run(args) {
    const options = { all: { type: 'boolean' }, json: { type: 'boolean' }, line: { type: 'boolean' } } as const;
    const { values, operands } = parsed(args, options, ['FILE|DIR']);
    if (values.json && values.line) throw new UsageError('--json and --line exclude each other');
    if (values.all && (values.json || values.line)) throw new UsageError('--all is for the table; --json and --line have everything');
    const path = operands[0]!;
    const { paths, isFolder } = await regionsOf(path);
    if (paths.length === 0) throw noRegions(path);
    let failed = false;
    let shown = 0;
    for (const one of paths) {
      try {
        const reading = await readRegion(one);
        // Made before it is printed: what fails here prints nothing.
        const text = values.json ? jsonText(one, reading) : values.line ? reading.line() : tableOf(one, reading, values.all ?? false);
        const gap = shown++ > 0 && !values.json && !values.line ? '\n' : '';
        process.stdout.write(gap + text);
      } catch (error) {
        if (!isFolder) throw error;
        failed = true;
        report((error as Error).message);
      }
    }
    return failed ? 1 : 0;
  },
};

function jsonText(file: string, reading: RegionReading): string {
  const { schema, ...rest } = reading;
  return `${jsonOf({ file, ...rest, schema: schema.shape })}\n`;
}

/** Where descriptions fit beside the numbers. */
const WIDE = 110;

function tableOf(path: string, reading: RegionReading, all: boolean): string {
  const isTerminal = process.stdout.isTTY === true;
  const width = isTerminal ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const rows = rowsOf(reading);
  const shown = all ? rows : rows.filter((row) => !isZero(row));
  const out = [plain(path), ...wrapped(stateOf(reading), width), ...notesOf(reading)];
  if (shown.length > 0) out.push('', ...linesOf(shown, width));
  const zeros = rows.length - shown.length;
  if (zeros > 0) out.push('', `${zeros} ${zeros === 1 ? 'metric is' : 'metrics are'} 0: show --all`);
  return `${out.join('\n')}\n`;
}

function notesOf({ lineInFlight, state, hasPending }: RegionReading): string[] {
  const notes: string[] = [];
  if (lineInFlight === 'unknown') {
    notes.push('It had a line on its way, and nobody can tell whether that got out: what is pending may have been said.');
  }
  if (state !== 'running' && !hasPending) notes.push('Nothing is pending: its last line says it all.');
  return notes;
}

function linesOf(rows: readonly MetricRow[], width: number): string[] {
  const cells = rows.map((row) => ({
    row,
    total: digits(row.total),
    pending: pendingText(row),
    notes: latencyNote(row),
  }));
  const widest = (of: (cell: (typeof cells)[number]) => string, least: number) => Math.max(least, ...cells.map((cell) => of(cell).length));
  const names = widest(({ row }) => `  ${row.name}`, 6);
  const totals = widest(({ total }) => total, 5);
  const pendings = widest(({ pending }) => pending, 7);
  const units = widest(({ row }) => row.unit, 0);
  const line = (name: string, total: string, pending: string, unit: string, rest: string) =>
    `${name.padEnd(names)}  ${total.padStart(totals)}  ${pending.padStart(pendings)}  ${unit.padEnd(units)}  ${rest}`.trimEnd();
  const left = width - (names + totals + pendings + units + 8);
  const notes = Math.max(...cells.map((cell) => cell.notes.length));
  const rest = (cell: (typeof cells)[number]) =>
    width < WIDE ? cell.notes : cut(`${cell.notes.padEnd(notes)}${notes > 0 ? '  ' : ''}${cell.row.doc}`, left);

  const lines: string[] = [styled('dim', line('METRIC', 'TOTAL', 'PENDING', '', ''))];
  let section: string | undefined;
  for (const cell of cells) {
    if (cell.row.section !== section) {
      section = cell.row.section;
      lines.push(styled('bold', section));
    }
    lines.push(line(`  ${cell.row.name}`, cell.total, cell.pending, cell.row.unit, rest(cell)));
  }
  return lines;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

function styled(style: 'bold' | 'dim', text: string): string {
  return process.stdout.isTTY && process.env['NO_COLOR'] === undefined ? styleText(style, text) : text;
}
