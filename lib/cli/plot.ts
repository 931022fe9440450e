// vmm-metrics plot: a profile's file as a page.

import { type BigIntStats, fstatSync, lstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

import { checkedPath } from '../arguments.ts';
import { type ChartLibrary, profilePage } from '../profile/page.ts';
import { profileSeriesOf } from '../profile/series.ts';
import { ProfileTextError, profileTableOf } from '../profile/table.ts';
import { asUsage, type Command, parsed, UsageError } from './command.ts';
import { refuseRegion } from './regions.ts';

const HELP = `Usage: vmm-metrics plot FILE.tsv -o FILE.html [--title TEXT] [--points N]

Makes one page of a profile: rates of what only goes up, values of the rest.
It needs no network.

  -o, --output FILE  the page; - for standard output
  --title TEXT       its title (default: the name of the profile's file)
  --points N         how many points a line has at most (default 5000); fewer
                     smooth: a point is the mean rate, or the largest value, of
                     its samples
`;

const POINTS = 5000;
const MAX_POINTS = 1_000_000;

export const plot: Command = {
  summary: 'make a page of a profile',
  help: HELP,
  async run(args) {
    const options = { output: { type: 'string', short: 'o' }, title: { type: 'string' }, points: { type: 'string' } } as const;
    const { values, operands } = parsed(args, options, ['FILE.tsv']);
    const input = operands[0]!;
    if (values.output === undefined) throw new UsageError('-o FILE.html is missing');
    const points = Number(values.points ?? POINTS);
    if (!Number.isInteger(points) || points < 2 || points > MAX_POINTS) {
      throw new UsageError(`--points must be an integer from 2 to ${MAX_POINTS}; got '${values.points}'`);
    }
    asUsage(() => checkedPath('FILE.tsv', input));
    const output = values.output;
    asUsage(() => checkedPath('FILE.html', output));
    refuseRegion(output);
    if (isProfile(output, input)) throw new UsageError(`-o would overwrite the profile '${input}'`);

    const page = pageOf(input, values.title ?? basename(input), points);
    // Who reads no further has what they wanted: main.ts sees to it.
    if (output === '-') process.stdout.write(page);
    else writePage(output, page);
    return 0;
  },
};

/** Whether both are one file, whatever their names. */
function isProfile(output: string, input: string): boolean {
  const bigint = true;
  const profile = existing(() => statSync(input, { bigint }));
  const page = existing(() => (output === '-' ? fstatSync(1, { bigint }) : statSync(output, { bigint })));
  return profile !== undefined && page?.dev === profile.dev && page.ino === profile.ino;
}

/** What cannot be looked at is not there; why, the one who opens it will be told. */
function existing(stats: () => BigIntStats): BigIntStats | undefined {
  try {
    return stats();
  } catch {
    return undefined;
  }
}

function pageOf(input: string, title: string, points: number): string {
  const bytes = saying(`Cannot read the profile '${input}'`, () => readFileSync(input));
  try {
    const table = profileTableOf(bytes);
    return profilePage(title, table, profileSeriesOf(table, points), chartLibrary());
  } catch (error) {
    throw error instanceof ProfileTextError ? new Error(`${input}: ${error.message}`) : error;
  }
}

/**
 * Whole, or not at all: an older page is there until the new one takes its place. What is no file, as a pipe or a link,
 * is written to.
 */
function writePage(path: string, page: string): void {
  saying(`Cannot write the page '${path}'`, () => {
    const old = lstatSync(path, { throwIfNoEntry: false });
    if (old !== undefined && !old.isFile()) {
      writeFileSync(path, page);
      return;
    }
    const made = join(dirname(path), `.vmm-metrics-${process.pid}.tmp`);
    try {
      writeFileSync(made, page, { flag: 'wx', mode: old?.mode ?? 0o666 });
      renameSync(made, path);
    } catch (error) {
      rmSync(made, { force: true });
      throw error;
    }
  });
}

function saying<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

function chartLibrary(): ChartLibrary {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  return { script: read('dist/uPlot.iife.min.js'), style: read('dist/uPlot.min.css'), license: read('LICENSE') };
}
