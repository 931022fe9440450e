// `vmm-metrics plot`: makes a page from the table of a profile.

import { type BigIntStats, fstatSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

import { checkedInteger, checkedPath } from '../arguments.ts';
import { profilePage } from '../profile/page.ts';
import { profileSeriesOf } from '../profile/series.ts';
import { ProfileTextError, profileTableOf } from '../profile/table.ts';
import { chartLibrary } from './chart-library.ts';
import { asUsageError, type Command, numberOf, parsed, UsageError } from './command.ts';
import { refuseRegion } from './regions.ts';
import { withContext, writeWhole } from './whole-file.ts';

const HELP = `Usage: vmm-metrics plot FILE.tsv -o FILE.html [--title TEXT] [--points N]

Makes a page from the table of a profile: counters as rates, gauges as values.
Where samples are too close to be told apart, a line shows their mean, and a
band shows their minimum and maximum. The page needs no network.

  -o, --output FILE  the page; - for standard output
  --title TEXT       the title of the page (default: the name of FILE.tsv)
  --points N         how many points of each metric the page contains at most
                     (default: 5000). If there are more samples, a point is the
                     mean of several, with their minimum and maximum
`;

const POINTS = 5000;
const MAX_POINTS = 1_000_000;

export const plot: Command = {
  summary: 'make a page from a profile',
  help: HELP,
  async run(args) {
    const options = { output: { type: 'string', short: 'o' }, title: { type: 'string' }, points: { type: 'string' } } as const;
    const { values, operands } = parsed(args, options, ['FILE.tsv']);
    const input = operands[0]!;
    if (values.output === undefined) throw new UsageError('-o FILE.html is missing');
    const points = numberOf(values.points ?? `${POINTS}`, (value) => checkedInteger('--points', value, 2, MAX_POINTS));
    asUsageError(() => checkedPath('FILE.tsv', input));
    const output = values.output;
    asUsageError(() => checkedPath('FILE.html', output));
    refuseRegion(output);
    if (isSameFile(output, input)) throw new UsageError(`-o would overwrite the profile '${input}'`);

    const page = pageOf(input, values.title ?? basename(input), points);
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

function pageOf(input: string, title: string, points: number): string {
  const bytes = withContext(`Cannot read the profile '${input}'`, () => readFileSync(input));
  try {
    const table = profileTableOf(bytes);
    return profilePage(title, table, profileSeriesOf(table, points), chartLibrary());
  } catch (error) {
    throw error instanceof ProfileTextError ? new Error(`'${input}' ${error.message}`) : error;
  }
}
