// `vmm-metrics show`: prints what a region file contains, as a table, as JSON, or as the next line.

import { HistogramValue } from '../histogram/value.ts';
import { jsonText } from '../json.ts';
import { type RegionSummary, readingOf, summaryOf } from '../region/reader.ts';
import type { SettledContent } from '../region/settled.ts';
import { digits } from '../text.ts';
import { type Column, lineMaker } from './columns.ts';
import { type Command, parsedMany, report, UsageError } from './command.ts';
import { distributionOf } from './distribution.ts';
import { fromRegion, regionsOf } from './regions.ts';
import { latencyNote, type MetricRow, pendingText, rowsOf } from './rows.ts';
import { describeState } from './state.ts';
import { cut, plain, styled, wrapped } from './terminal-text.ts';

const HELP = `Usage: vmm-metrics show PATH... [--all] [--json | --line]
       vmm-metrics show PATH... --histogram METRIC

Shows the metrics in region files, whether their processes are running or dead.
A PATH is a file; a directory, for all region files in it and below it; or a
pattern, in which * matches any characters of one part of the path.

  --all    also show metrics that are zero
  --json   print one JSON document per file, each on a line of its own; integers
           are exact, up to 64 bits
  --line   print the line that the process would have flushed next, byte for
           byte
  --histogram METRIC
           draw the distribution of a metric, for instance disk.read_us;
           the metric is a histogram, or a latency with a histogram

TOTAL counts since the process opened its metrics. PENDING is the part that no
flushed line contains yet; if the process is dead, vmm-metrics flush writes it.
If one of several files cannot be read, the others are still shown, and the exit
code is 1.
`;

const OPTIONS = {
  all: { type: 'boolean' },
  json: { type: 'boolean' },
  line: { type: 'boolean' },
  histogram: { type: 'string' },
} as const;

export const show: Command = {
  summary: 'show the metrics in region files',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsedMany(args, OPTIONS, 'PATH');
    if (values.json && values.line) throw new UsageError('--json and --line cannot be used together');
    if (values.all && (values.json || values.line)) {
      throw new UsageError('--all is only for the table; --json and --line always include every metric');
    }
    if (values.histogram !== undefined && (values.all || values.json || values.line)) {
      throw new UsageError('--histogram cannot be used with --all, --json or --line');
    }
    const { regions, troubles } = regionsOf(operands);
    const isAlone = regions.length === 1 && troubles.length === 0 && regions[0]!.isNamed;
    for (const { message } of troubles) report(message);
    let hasFailed = troubles.length > 0;
    let shown = 0;
    for (const { path: file } of regions) {
      try {
        // Makes the whole text before printing it, so that a failure does not leave half of it on the screen.
        const text = fromRegion(file, (content) => {
          if (values.histogram !== undefined) return pictureOf(file, content, values.histogram);
          if (values.json) return documentOf(file, content);
          return values.line ? readingOf(file, content).line() : tableOf(file, content, values.all ?? false);
        });
        const gap = shown++ > 0 && !values.json && !values.line ? '\n' : '';
        process.stdout.write(gap + text);
      } catch (error) {
        if (isAlone) throw error;
        hasFailed = true;
        report((error as Error).message);
      }
    }
    return hasFailed ? 1 : 0;
  },
};

function documentOf(file: string, content: SettledContent): string {
  const { schema, ...rest } = readingOf(file, content);
  return `${jsonText({ file, ...rest, schema: schema.shape })}\n`;
}

function pictureOf(file: string, content: SettledContent, path: string): string {
  const all = readingOf(file, content).collect();
  const found = all.find((metric) => metric.path === path);
  const value = found === undefined || typeof found.value === 'bigint' ? undefined : found.value;
  const histogram = value instanceof HistogramValue ? value : value?.histogram;
  if (histogram === undefined) {
    const drawn = all.filter((one) => typeof one.value !== 'bigint' && (one.value instanceof HistogramValue || one.value.histogram));
    const known =
      drawn.length === 0
        ? 'no metric is a histogram(), or a latency() with a histogram'
        : `these have one: ${drawn.map((one) => one.path).join(', ')}`;
    throw new Error(`Region file '${file}': ${found === undefined ? 'there is no metric' : 'no distribution in'} '${path}'; ${known}`);
  }
  const width = process.stdout.isTTY ? process.stdout.columns : WIDE;
  const head = [plain(file), ...wrapped(`${plain(path)}: ${plain(found!.doc)}`, width)];
  return `${[...head, '', ...distributionOf(histogram, width)].join('\n')}\n`;
}

/** From this width on, descriptions fit beside the numbers. */
const WIDE = 110;

function tableOf(path: string, content: SettledContent, all: boolean): string {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const summary = summaryOf(content);
  const { rows, hidden } = rowsOf(content, { zeros: all });
  const out = [plain(path), ...stateLines(summary, width), ...notesOf(summary, path, width)];
  if (rows.length > 0) out.push('', ...sectionsOf(rows, width));
  if (hidden > 0)
    out.push('', `${hidden} ${hidden === 1 ? 'metric is zero; use --all to show it' : 'metrics are zero; use --all to show them'}`);
  return `${out.join('\n')}\n`;
}

function stateLines(summary: RegionSummary, width: number): string[] {
  const isLoud = summary.state === 'crashed' || summary.state === 'killed' || summary.state === 'panicked';
  const lines = wrapped(describeState(summary), width);
  return isLoud ? lines.map((line) => styled(['bold', 'red'], line)) : lines;
}

function notesOf({ lineInFlight, state, hasPending, sinkPath }: RegionSummary, path: string, width: number): string[] {
  const notes: string[] = [];
  if (lineInFlight === 'unknown') {
    const note = 'A line was in flight, and it is unknown whether the line got out. The line may contain some of the pending values.';
    notes.push(...wrapped(note, width));
  }
  if (state !== 'running' && hasPending) {
    const sink = sinkPath === undefined ? 'SINK' : quoted(sinkPath);
    const command = [`vmm-metrics flush ${quoted(path)}`, `--to ${sink}`];
    const note = withCommand('NOT FLUSHED: the pending values. This command writes them:', command, width);
    notes.push(...note.map((line) => styled('bold', line)));
  }
  if (state !== 'running' && !hasPending) notes.push('Nothing pending: all values have been flushed.');
  return notes;
}

/** A note and a command, in as few lines as fit. A shell takes the command from all its lines as one. */
function withCommand(note: string, parts: readonly string[], width: number): string[] {
  const whole = parts.join(' ');
  if (note.length + 1 + whole.length <= width) return [`${note} ${whole}`];
  if (2 + whole.length <= width) return [...wrapped(note, width), `  ${whole}`];
  return [...wrapped(note, width), ...parts.map((part, i) => `${i === 0 ? '  ' : '    '}${part}${i < parts.length - 1 ? ' \\' : ''}`)];
}

/** A path as a word for a shell. */
function quoted(path: string): string {
  return /^[\w./:@%+=-]+$/.test(path) ? path : `'${plain(path).replaceAll("'", "'\\''")}'`;
}

const COLUMNS: readonly Column[] = [
  { title: 'METRIC' },
  { title: 'TOTAL', isNumber: true },
  { title: 'PENDING', isNumber: true },
  { title: '' },
  { title: '' },
  { title: '' },
];

function sectionsOf(rows: readonly MetricRow[], width: number): string[] {
  const isWide = width >= WIDE;
  const cells = rows.map((row) => [
    `  ${row.name}`,
    digits(row.total),
    pendingText(row),
    row.unit,
    latencyNote(row),
    isWide ? row.doc : '',
  ]);
  const makeLine = lineMaker(COLUMNS, cells);
  const lines = [styled('dim', makeLine(COLUMNS.map(({ title }) => title)))];
  rows.forEach(({ section }, i) => {
    if (section !== rows[i - 1]?.section) lines.push(styled('bold', section));
    const line = makeLine(cells[i]!);
    lines.push(isWide ? cut(line, width) : line);
  });
  return lines;
}
