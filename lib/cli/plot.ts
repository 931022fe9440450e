// vmm-metrics plot: a profile's file as a page.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

import { type Command, parsed, UsageError } from './command.ts';
import { type ChartLibrary, profilePage } from './profile-page.ts';
import { profileSeriesOf } from './profile-series.ts';
import { ProfileTextError, profileTableOf } from './profile-table.ts';

const HELP = `Usage: vmm-metrics plot FILE.tsv -o FILE.html [--title TEXT] [--points N]

Makes one page of a profile: rates of what only goes up, values of the rest.
It needs no network.

  -o, --output FILE  the page
  --title TEXT       its title (default: the name of the profile's file)
  --points N         how many points a line has at most (default 5000)
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
    try {
      const table = profileTableOf(readFileSync(input));
      writeFileSync(values.output, profilePage(values.title ?? basename(input), table, profileSeriesOf(table, points), chartLibrary()));
    } catch (error) {
      throw error instanceof ProfileTextError ? new Error(`${input}: ${error.message}`) : error;
    }
    return 0;
  },
};

function chartLibrary(): ChartLibrary {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  return { script: read('dist/uPlot.iife.min.js'), style: read('dist/uPlot.min.css'), license: read('LICENSE') };
}
