// `vmm-metrics watch`: the metrics of processes in a terminal, as they change.

import { checkedInteger } from '../arguments.ts';
import { readRegion } from '../region/reader.ts';
import { type Command, numberOf, parsedMany } from './command.ts';
import { regionsOf } from './regions.ts';
import { WatchScreen } from './watch-screen.ts';
import { WatchSources } from './watch-sources.ts';

const HELP = `Usage: vmm-metrics watch PATH... [--interval MS]

Shows the metrics in region files, and updates them as they change. A PATH is a
file; a directory, for all region files in it and below it; or a pattern, in
which * matches any characters of one part of the path. New files appear by
themselves. It needs a terminal; in a script, use vmm-metrics show.

  --interval MS  milliseconds between updates, 100 to 3600000 (default: 1000)

Of several files, it shows one line per file, with the state of its process and
its fastest counter; the key enter shows the metrics of one file. From 120
columns on, it also shows the trend of each rate, and descriptions. The key ?
lists all keys, q quits.
`;

const INTERVAL_MS = 1000;

const OPTIONS = { interval: { type: 'string' } } as const;

export const watch: Command = {
  summary: 'show the metrics as they change, with rates per second',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsedMany(args, OPTIONS, 'PATH');
    const intervalMs = numberOf(values.interval ?? `${INTERVAL_MS}`, (value) =>
      checkedInteger('--interval, in milliseconds,', value, 100, 3_600_000),
    );
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      throw new Error('watch needs a terminal; in a script, use show --json or show --line');
    }
    const { regions } = regionsOf(operands);
    // An error is reported before the screen is taken.
    for (const { path, isNamed } of regions) if (isNamed) await readRegion(path);
    const sources = new WatchSources(operands);
    try {
      sources.refresh();
      await new WatchScreen(sources, intervalMs).run();
    } finally {
      sources.close();
    }
    return 0;
  },
};
