// vmm-metrics plot: a profile's file as a page.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { type CommandIo, UsageError } from './command.ts';
import { type ChartLibrary, profilePage } from './profile-page.ts';
import { profileSeriesOf } from './profile-series.ts';
import { ProfileTextError, profileTableOf } from './profile-table.ts';

export const PLOT_HELP = `Usage: vmm-metrics plot FILE.tsv -o FILE.html [options]

Makes one page of a profile that startProfiling() wrote: rates of what only goes up, values of the rest. It needs no network.

  -o, --output FILE  the page
  --title TEXT       its title (default: the name of the profile's file)
  --points N         how many points a line has at most (default 5000)
  --help             this text
`;

const MAX_POINTS = 1_000_000;

/** What the command was told to do. */
export interface PlotSettings {
  readonly input: string;
  readonly output: string;
  readonly title: string;
  readonly points: number;
}

/**
 * Reads the arguments. `undefined`: help is wanted.
 * @throws UsageError
 */
export function plotSettingsOf(args: readonly string[]): PlotSettings | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [input, ...more] = positionals;
  if (input === undefined) throw new UsageError('plot: name the file of a profile');
  if (more.length > 0) throw new UsageError(`plot: one file at a time; got '${more[0]}' as well`);
  if (values.output === undefined) throw new UsageError('plot: name the page to make: -o FILE.html');
  const points = Number(values.points);
  if (!Number.isInteger(points) || points < 2 || points > MAX_POINTS) {
    throw new UsageError(`plot: --points must be an integer from 2 to ${MAX_POINTS}; got '${values.points}'`);
  }
  return { input, output: values.output, title: values.title ?? basename(input), points };
}

/** Runs the command. Returns the exit code. @throws UsageError */
export async function plot(args: readonly string[], io: CommandIo): Promise<number> {
  const settings = plotSettingsOf(args);
  if (settings === undefined) {
    io.stdout.write(PLOT_HELP);
    return 0;
  }
  const { input, output, title, points } = settings;
  try {
    const table = profileTableOf(readFileSync(input));
    writeFileSync(output, profilePage(title, table, profileSeriesOf(table, points), chartLibrary()));
  } catch (error) {
    throw error instanceof ProfileTextError ? new Error(`${input}: ${error.message}`) : error;
  }
  return 0;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        output: { type: 'string', short: 'o' },
        title: { type: 'string' },
        points: { type: 'string', default: '5000' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`plot: ${(error as Error).message}`);
  }
}

function chartLibrary(): ChartLibrary {
  const folder = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  return { script: read('dist/uPlot.iife.min.js'), style: read('dist/uPlot.min.css'), license: read('LICENSE') };
}
