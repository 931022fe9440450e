// `vmm-metrics plot`: makes a page from the tables of profiles, or from region files.

import { type BigIntStats, fstatSync, readFileSync, statSync } from 'node:fs';

import { checkedInteger, checkedPath } from '../arguments.ts';
import { profilePage } from '../profile/page.ts';
import { profileSeriesOf } from '../profile/series.ts';
import { type ProfileTable, ProfileTextError, profileTableOf } from '../profile/table.ts';
import { fileKind } from '../region/file.ts';
import { chartLibrary } from './chart-library.ts';
import { asUsageError, type Command, numberOf, parsedMany, UsageError } from './command.ts';
import { namesOf, titleOf } from './page-names.ts';
import { pageOfRegions } from './plot-regions.ts';
import { refuseRegion } from './regions.ts';
import { withContext, writeWhole } from './whole-file.ts';

const HELP = `Usage: vmm-metrics plot FILE.tsv... -o FILE.html [--title TEXT] [--points N]
       vmm-metrics plot FILE.region... -o FILE.html [--title TEXT]

Makes a page from the tables of profiles: counters as rates, gauges as values.
A counter of time is shown as the share of a core that it takes. Where samples
are too close to be told apart, a line shows their mean, and a band shows their
minimum and maximum. The page needs no network.

With several files, or with a table of several processes, each metric has one
chart with a line for each process. If the files were sampled at the same time,
their lines are on one clock; otherwise each line begins at 0.

From region files, makes a page of their distributions: those of histograms, and
of latencies with a histogram. The process may be running or dead.

  -o, --output FILE  the page; - for standard output
  --title TEXT       the title of the page (default: the names of the files)
  --points N         how many points of each metric the page contains at most
                     (default: 5000). If there are more samples, a point is the
                     mean of several, with their minimum and maximum
`;

const POINTS = 5000;
const MAX_POINTS = 1_000_000;
const OPENING_BRACE = 0x7b;

const OPTIONS = { output: { type: 'string', short: 'o', value: 'file' }, title: { type: 'string' }, points: { type: 'string' } } as const;

export const plot: Command = {
  summary: 'make a page from profiles, or of distributions',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsedMany(args, OPTIONS, 'FILE.tsv');
    if (values.output === undefined) throw new UsageError('-o FILE.html is missing');
    const points = numberOf(values.points ?? `${POINTS}`, (value) => checkedInteger('--points', value, 2, MAX_POINTS));
    for (const input of operands) asUsageError(() => checkedPath('FILE.tsv', input));
    const output = values.output;
    asUsageError(() => checkedPath('FILE.html', output));
    refuseRegion(output);
    for (const input of operands) if (isSameFile(output, input)) throw new UsageError(`-o would overwrite the profile '${input}'`);

    const regions = operands.filter((input) => fileKind(input) === 'region');
    if (regions.length > 0 && regions.length < operands.length) {
      throw new UsageError(`'${regions[0]}' is a region file; a page is of profiles or of region files, not of both`);
    }
    if (regions.length > 0 && values.points !== undefined) throw new UsageError('--points is only for profiles');
    const page = regions.length > 0 ? pageOfRegions(regions, values.title) : pageOf(operands, values.title, points);
    if (output === '-') process.stdout.write(page);
    else writeWhole('the page', output, page);
    return 0;
  },
};

/** Whether both paths name one file, for instance through a link. */
function isSameFile(output: string, input: string): boolean {
  const bigint = true;
  const profile = ifThere(() => statSync(input, { bigint }));
  const page = ifThere(() => (output === '-' ? fstatSync(1, { bigint }) : statSync(output, { bigint })));
  return profile !== undefined && page?.dev === profile.dev && page.ino === profile.ino;
}

/** Undefined if stat() fails; opening the file fails later and reports why. */
function ifThere(stats: () => BigIntStats): BigIntStats | undefined {
  try {
    return stats();
  } catch {
    return undefined;
  }
}

function pageOf(inputs: readonly string[], title: string | undefined, points: number): string {
  const names = namesOf(inputs);
  const files = inputs.map((input, i) => ({ name: names[i]!, table: tableIn(input) }));
  return profilePage(title ?? titleOf(inputs), files, profileSeriesOf(files, points), chartLibrary());
}

function tableIn(input: string): ProfileTable {
  const bytes = withContext(`Cannot read the profile '${input}'`, () => readFileSync(input));
  if (bytes[0] === OPENING_BRACE) {
    throw new Error(`'${input}' is not a profile but flushed lines: use vmm-metrics lines --plot`);
  }
  try {
    return profileTableOf(bytes);
  } catch (error) {
    throw error instanceof ProfileTextError ? new Error(`'${input}' ${error.message}`) : error;
  }
}
