// `vmm-metrics lines`: what flushed lines say together.

import { createReadStream } from 'node:fs';

import { checkedPath } from '../arguments.ts';
import { schemaOfModule } from '../codegen/schema-module.ts';
import { firecrackerSchema } from '../firecracker.ts';
import { jsonText } from '../json.ts';
import { LineKinds } from '../lines/kinds.ts';
import { numbersOf } from '../lines/line.ts';
import { LinesSummary, type MetricSummary } from '../lines/summary.ts';
import { profilePage } from '../profile/page.ts';
import { profileSeriesOf } from '../profile/series.ts';
import { fileKind } from '../region/file.ts';
import { digits } from '../text.ts';
import { chartLibrary } from './chart-library.ts';
import { type Column, lineMaker } from './columns.ts';
import { asUsageError, type Command, parsedMany, report, UsageError } from './command.ts';
import { LineFollower } from './line-follower.ts';
import { namesOf, titleOf } from './page-names.ts';
import { refuseRegion } from './regions.ts';
import { plain, styled } from './terminal-text.ts';
import { withContext, writeWhole } from './whole-file.ts';

const HELP = `Usage: vmm-metrics lines FILE... [--metrics NAMES] [--all] [--json]
                         [--schema MODULE [--export NAME]]
       vmm-metrics lines FILE... --plot FILE.html [--metrics NAMES]
       vmm-metrics lines FILE --follow [--metrics NAMES]

Reads lines of JSON that this package or Firecracker has flushed, and shows the
sum and the rate of each counter, and the last, least and largest value of each
gauge. - stands for standard input. Torn lines are skipped and counted.

  --metrics NAMES    only these metrics, with commas between them; * matches any
                     characters: 'vcpu.*,block_*.read_bytes'
  --all              also show metrics that are always zero
  --json             print one JSON document per file, each on a line of its own
  --plot FILE.html   make a page with charts, and with the distributions of
                     histograms over time; - for standard output
  -f, --follow       show the metrics of each new line that are not zero, until
                     interrupted; a file that is rotated is opened again
  --schema MODULE    a module whose schema says which metrics are counters;
                     without it, the schemas of Firecracker say so, and other
                     metrics count as counters, marked with ?
  --export NAME      the export of MODULE that is the schema (default: default)

A rate is the sum without the first line, divided by the time between the first
and the last line.
`;

/** How many points of each metric a page contains at most. */
const POINTS = 5000;

const OPTIONS = {
  metrics: { type: 'string' },
  all: { type: 'boolean' },
  json: { type: 'boolean' },
  plot: { type: 'string', value: 'file' },
  follow: { type: 'boolean', short: 'f' },
  schema: { type: 'string', value: 'file' },
  export: { type: 'string' },
} as const;

export const lines: Command = {
  summary: 'sum up flushed lines, or follow them',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsedMany(args, OPTIONS, 'FILE');
    const forms = (['json', 'plot', 'follow'] as const).filter((name) => values[name] !== undefined);
    if (forms.length > 1) throw new UsageError(`--${forms[0]} and --${forms[1]} cannot be used together`);
    if (operands.length > 1 && values.follow) throw new UsageError(`--follow takes one FILE; got ${operands.length}`);
    if (values.export !== undefined && values.schema === undefined) throw new UsageError('--export needs --schema');
    for (const path of operands) {
      asUsageError(() => checkedPath('FILE', path));
      if (fileKind(path) === 'region') throw new UsageError(`'${path}' is a region file; use vmm-metrics show`);
    }
    if (values.plot !== undefined) {
      asUsageError(() => checkedPath('--plot', values.plot));
      refuseRegion(values.plot);
      if (values.plot !== '-' && operands.includes(values.plot)) throw new UsageError(`--plot would overwrite '${values.plot}'`);
    }
    const kinds = new LineKinds(
      values.schema === undefined
        ? [firecrackerSchema({ version: '1.16', arch: 'aarch64' })]
        : [await schemaOfModule(values.schema, values.export ?? 'default')],
    );
    const isNamed = matcherOf(values.metrics);
    if (values.follow) {
      if (operands[0] === '-') throw new UsageError('--follow needs the path of a file');
      await new LineFollower(operands[0]!, kinds, isNamed).run();
      return 0;
    }
    const isShown = (metric: MetricSummary) => isNamed(metric.path) && (values.all || metric.max > 0n);
    if (values.plot !== undefined) {
      const summaries = await Promise.all(operands.map((path) => summaryOf(path, kinds, true)));
      writePage(values.plot, operands, summaries, isShown);
      return 0;
    }
    let hasFailed = false;
    let shown = 0;
    for (const path of operands) {
      try {
        const summary = await summaryOf(path, kinds, false);
        if (values.json) process.stdout.write(documentOf(path, summary, isNamed));
        else process.stdout.write((shown++ > 0 ? '\n' : '') + tableOf(path, summary, isNamed, isShown));
      } catch (error) {
        if (operands.length === 1) throw error;
        hasFailed = true;
        report((error as Error).message);
      }
    }
    return hasFailed ? 1 : 0;
  },
};

async function summaryOf(path: string, kinds: LineKinds, keepsLines: boolean): Promise<LinesSummary> {
  const summary = new LinesSummary(kinds, keepsLines);
  const { timeKey } = kinds;
  const addLine = (text: string) => {
    if (text.trim() === '') return;
    const numbers = numbersOf(text, timeKey);
    if (numbers === undefined) summary.torn++;
    else summary.add(numbers);
  };
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of path === '-' ? process.stdin : createReadStream(path)) {
      const bytes = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      let at = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
        addLine(bytes.toString('utf8', at, end));
        at = end + 1;
      }
      rest = bytes.subarray(at);
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    // A path of a file that is missing may be meant as a metric.
    const hint = code === 'ENOENT' && !kinds.of(path).isGuess ? '; to choose metrics, use --metrics' : '';
    throw new Error(`Cannot read '${path}': ${message}${hint}`, { cause });
  }
  // A line counts as whole only with its newline.
  if (rest.toString().trim() !== '') summary.torn++;
  return summary;
}

const NEWLINE = 10;

/** Whether a path is among names in which * stands for any characters. */
function matcherOf(names: string | undefined): (path: string) => boolean {
  if (names === undefined) return () => true;
  const patterns = names.split(',').map((name) => name.trim());
  if (patterns.includes('')) throw new UsageError(`--metrics has an empty name; got '${names}'`);
  const expressions = patterns.map((name) => {
    const literal = name.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${literal.join('[^]*')}$`);
  });
  return (path) => expressions.some((expression) => expression.test(path));
}

const COLUMNS: readonly Column[] = [
  { title: 'METRIC' },
  { title: 'SUM', isNumber: true },
  { title: 'PER SECOND', isNumber: true },
  { title: 'LAST', isNumber: true },
  { title: 'MIN', isNumber: true },
  { title: 'MAX', isNumber: true },
  { title: '' },
];

function tableOf(
  path: string,
  summary: LinesSummary,
  isNamed: (path: string) => boolean,
  isShown: (metric: MetricSummary) => boolean,
): string {
  const metrics = [...summary.metrics].filter(isShown);
  const hidden = [...summary.metrics].filter(({ path: name }) => isNamed(name)).length - metrics.length;
  const cells = metrics.map((metric) => {
    const { kind, sum, last, min, max } = metric;
    const unit = kind.unit === 'count' ? '' : kind.unit;
    const note = kind.isGuess ? `${unit}?` : unit;
    if (kind.kind === 'inc') return [plain(metric.path), digits(sum), rateText(metric, summary), '', '', '', note];
    return [plain(metric.path), '', '', digits(last), digits(min), digits(max), note];
  });
  const makeLine = lineMaker(COLUMNS, cells);
  const out = [`${plain(path)}: ${describe(summary)}`];
  if (cells.length > 0) out.push('', styled('dim', makeLine(COLUMNS.map(({ title }) => title))), ...cells.map(makeLine));
  if (hidden > 0)
    out.push('', `${hidden} ${hidden === 1 ? 'metric is' : 'metrics are'} always zero; use --all to show ${hidden === 1 ? 'it' : 'them'}`);
  if (metrics.some(({ kind }) => kind.isGuess)) {
    out.push('', 'No schema has the metrics marked with ?, so they count as counters; name their schema with --schema.');
  }
  return `${out.join('\n')}\n`;
}

function describe({ lines: count, torn, firstMs, lastMs, seconds }: LinesSummary): string {
  const parts = [`${digits(BigInt(count))} ${count === 1 ? 'line' : 'lines'}`];
  if (firstMs !== undefined) {
    parts.push(`from ${new Date(firstMs).toISOString()} to ${new Date(lastMs!).toISOString()} (${seconds.toFixed(1)} s)`);
  }
  if (torn > 0) parts.push(`${digits(BigInt(torn))} torn ${torn === 1 ? 'line was' : 'lines were'} skipped`);
  return parts.join(', ');
}

function rateOf({ sumAfterFirst }: MetricSummary, { seconds }: LinesSummary): number | undefined {
  return seconds > 0 ? Number(sumAfterFirst) / seconds : undefined;
}

function rateText(metric: MetricSummary, summary: LinesSummary): string {
  const rate = rateOf(metric, summary);
  if (rate === undefined) return '';
  return rate >= 100 ? digits(BigInt(Math.round(rate))) : `${Number(rate.toPrecision(3))}`;
}

function documentOf(file: string, summary: LinesSummary, isNamed: (path: string) => boolean): string {
  const { lines: count, torn, firstMs, lastMs } = summary;
  const metrics = [...summary.metrics].filter(({ path }) => isNamed(path));
  const all = metrics.map((metric) => {
    const { path, kind, sum, last, min, max } = metric;
    const { unit, isGuess } = kind;
    if (kind.kind === 'inc') return { path, kind: 'inc', unit, isGuess, sum, perSecond: rateOf(metric, summary) };
    return { path, kind: 'store', unit, isGuess, last, min, max };
  });
  const times = firstMs === undefined ? {} : { from: new Date(firstMs), to: new Date(lastMs!) };
  return `${jsonText({ file, lines: count, torn, ...times, metrics: all })}\n`;
}

function writePage(
  output: string,
  paths: readonly string[],
  summaries: readonly LinesSummary[],
  isShown: (metric: MetricSummary) => boolean,
): void {
  const names = namesOf(paths);
  const files = summaries.map((summary, i) => ({
    name: names[i]!,
    table: withContext(`Cannot plot '${paths[i]}'`, () => summary.table(isShown)),
    distributions: summary.distributions(isShown),
  }));
  const page = profilePage(titleOf(paths), files, profileSeriesOf(files, POINTS), chartLibrary());
  if (output === '-') process.stdout.write(page);
  else writeWhole('the page', output, page);
  summaries.forEach((summary, i) => {
    if (summary.torn > 0) report(`'${paths[i]}': ${describe(summary)}`);
  });
}
