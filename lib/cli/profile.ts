// `vmm-metrics profile`: samples the metrics of other processes at a fixed rate, through their region files.

import { closeSync, openSync } from 'node:fs';
import { basename } from 'node:path';

import { checkedNumber, checkedPath } from '../arguments.ts';
import { checkedNames } from '../profile/columns.ts';
import { DEFAULT_INTERVAL_US, MAX_INTERVAL_US } from '../profiler.ts';
import { RegionSampler } from '../region/sampler.ts';
import { type SamplingOptions, type SamplingOutput, sampleInto } from '../region/sampling.ts';
import { asUsageError, type Command, numberOf, parsedMany, report, UsageError } from './command.ts';
import { refuseRegion } from './regions.ts';

const HELP = `Usage: vmm-metrics profile FILE... --metrics NAMES -o FILE.tsv
                            [--interval-us N] [--seconds N]

Samples metrics of running processes at a fixed rate, through their region
files, into a table as startProfiling() writes it. vmm-metrics plot makes a page
of the table. The processes do no extra work; only their memory is read.

  --metrics NAMES    names, separated by commas. A metric of a group is named
                     like vcpu.exit_io_out; of a device, like
                     block_rootfs.read_bytes; a latency metric needs .sum_us,
                     .min_us or .max_us at the end. With several files, the
                     table has these columns for each file, named FILE:NAME
  -o, --output FILE  the table; - for standard output
  --interval-us N    microseconds between samples, 100 to 86400000000 (default:
                     1000). Below 1000, many samples are missed; use
                     startProfiling() in the process instead
  --seconds N        how long to sample (default: until Ctrl-C, or until none of
                     the processes runs any more)
`;

const ENDED = { closed: 'it was closed', exited: 'it exited', panicked: 'it panicked', crashed: 'it crashed', killed: 'it was killed' };
/** One sample takes some ten microseconds. */
const MIN_SAMPLE_US = 100;
const MAX_SECONDS = 1e9;
const STANDARD_OUTPUT: SamplingOutput = { fd: 1, name: 'standard output' };
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export const profile: Command = {
  summary: 'sample the metrics of other processes at a fixed rate',
  help: HELP,
  async run(args) {
    const options = {
      metrics: { type: 'string' },
      output: { type: 'string', short: 'o' },
      'interval-us': { type: 'string' },
      seconds: { type: 'string' },
    } as const;
    const { values, operands: paths } = parsedMany(args, options, 'FILE');
    if (values.metrics === undefined) throw new UsageError('--metrics NAMES is missing');
    if (values.output === undefined) throw new UsageError('-o FILE.tsv is missing');
    const intervalUs = numberOf(values['interval-us'] ?? `${DEFAULT_INTERVAL_US}`, (value) =>
      checkedNumber('--interval-us', value, MIN_SAMPLE_US, MAX_INTERVAL_US),
    );
    const seconds =
      values.seconds === undefined
        ? Number.POSITIVE_INFINITY
        : numberOf(values.seconds, (value) => checkedNumber('--seconds', value, 0, MAX_SECONDS));
    const names = asUsageError(() => checkedNames('--metrics', values.metrics));
    for (const path of paths) asUsageError(() => checkedPath('FILE', path));
    refuseRegion(values.output);

    const samplers: RegionSampler[] = [];
    try {
      for (const path of paths) samplers.push(RegionSampler.open(path, names));
      checkSomeoneRuns(paths, samplers);
      const rate = { names: columnNames(paths, names), intervalNs: Math.round(intervalUs * 1000), seconds };
      await sampleUntilSignal(values.output, samplers, rate);
    } catch (error) {
      throw error instanceof RangeError ? new Error(error.message) : error; // an unknown metric
    } finally {
      for (const sampler of samplers) sampler.close();
    }
    return 0;
  },
};

function checkSomeoneRuns(paths: readonly string[], samplers: readonly RegionSampler[]): void {
  const states = samplers.map((sampler) => sampler.state());
  if (states.some((state) => state === 'running')) return;
  const files = paths.map((path) => `'${path}'`).join(', ');
  throw new Error(`no process counts into ${files} any more: ${ENDED[states[0] as keyof typeof ENDED]}`);
}

function columnNames(paths: readonly string[], names: readonly string[]): string[] {
  if (paths.length === 1) return [...names];
  const isUnique = new Set(paths.map((path) => basename(path))).size === paths.length;
  return paths.flatMap((path) => names.map((name) => `${isUnique ? basename(path) : path}:${name}`));
}

async function sampleUntilSignal(path: string, samplers: readonly RegionSampler[], rate: Omit<SamplingOptions, 'signal'>): Promise<void> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const output = path === '-' ? STANDARD_OUTPUT : { fd: openSync(path, 'w', 0o600), name: path };
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    const { samples, missedTicks } = await sampleInto(output, samplers, { ...rate, signal: controller.signal });
    if (output !== STANDARD_OUTPUT) report(`${samples} samples, ${missedTicks} ticks missed`);
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    if (code !== 'EPIPE' || output !== STANDARD_OUTPUT) throw error;
    // The reader stopped early, as `head` does.
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    if (output !== STANDARD_OUTPUT) closeSync(output.fd);
  }
}
