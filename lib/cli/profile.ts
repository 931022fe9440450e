// `vmm-metrics profile`: samples the metrics of other processes at a fixed rate, through their region files.

import { closeSync, openSync } from 'node:fs';
import { basename } from 'node:path';

import { checkedNumber } from '../arguments.ts';
import { MetricsError } from '../errors.ts';
import { checkedNames } from '../profile/columns.ts';
import { DEFAULT_INTERVAL_US, MAX_INTERVAL_US } from '../profiler.ts';
import type { RegionState } from '../region/reader.ts';
import { RegionSampler } from '../region/sampler.ts';
import { type SamplingOptions, type SamplingOutput, sampleInto } from '../region/sampling.ts';
import { asUsageError, type Command, numberOf, parsedMany, report, UsageError } from './command.ts';
import { type CommandRegion, refuseRegion, regionsOf } from './regions.ts';

/** Each file takes a descriptor, and its columns take memory. */
const FILES_MAX = 1000;

const HELP = `Usage: vmm-metrics profile PATH... --metrics NAMES -o FILE.tsv
                            [--interval-us N] [--seconds N]

Samples metrics of running processes at a fixed rate, through their region
files, into a table as startProfiling() writes it. vmm-metrics plot makes a page
of the table. The processes do no extra work; only their memory is read.

A PATH is a region file; a directory, for all region files in it and below it;
or a pattern, in which * matches any characters of one part of the path. Of the
files in directories and patterns, those whose processes run at the beginning
are sampled, at most ${FILES_MAX}; a file takes one or two microseconds a sample.

  --metrics NAMES    names, separated by commas. A metric of a group is named
                     like vcpu.exit_io_out; of a device, like
                     block_rootfs.read_bytes; a latency metric needs .sum_us,
                     .min_us or .max_us at the end. With several files, the
                     table has these columns for each file, named FILE:NAME.
                     FILE is what the first * matched, or the path below the
                     directory without .region and without /metrics.region
  -o, --output FILE  the table; - for standard output
  --interval-us N    microseconds between samples, 100 to 86400000000 (default:
                     1000). Below 500, it spins before each sample, and uses a
                     quarter of a processor
  --seconds N        how long to sample (default: until Ctrl-C, or until none of
                     the processes runs any more)
`;

const ENDED = { closed: 'it was closed', exited: 'it exited', panicked: 'it panicked', crashed: 'it crashed', killed: 'it was killed' };
/** Every sample takes a sleep of the kernel, which is exact to some ten microseconds. */
const MIN_SAMPLE_US = 100;
const MAX_SECONDS = 1e9;
const STANDARD_OUTPUT: SamplingOutput = { fd: 1, name: 'standard output' };
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const OPTIONS = {
  metrics: { type: 'string' },
  output: { type: 'string', short: 'o', value: 'file' },
  'interval-us': { type: 'string' },
  seconds: { type: 'string' },
} as const;

export const profile: Command = {
  summary: 'sample the metrics of other processes at a fixed rate',
  help: HELP,
  options: OPTIONS,
  operands: 'file',
  async run(args) {
    const { values, operands } = parsedMany(args, OPTIONS, 'PATH');
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
    const { regions, troubles } = regionsOf(operands);
    refuseRegion(values.output);

    const sampled = new Sampled(names);
    try {
      for (const region of regions) sampled.open(region);
      sampled.checkSomeoneRuns();
      for (const { message } of [...troubles, ...sampled.troubles]) report(message);
      const rate = { names: sampled.columnNames(), intervalNs: Math.round(intervalUs * 1000), seconds };
      await sampleUntilSignal(values.output, sampled.samplers, rate);
    } catch (error) {
      throw error instanceof RangeError ? new Error(error.message) : error; // an unknown metric
    } finally {
      sampled.close();
    }
    return troubles.length + sampled.troubles.length === 0 ? 0 : 1;
  },
};

/** The files that are sampled. */
class Sampled {
  readonly samplers: RegionSampler[] = [];
  /** What is wrong with files that were found, and are not sampled. */
  readonly troubles: MetricsError[] = [];
  readonly #names: readonly string[];
  readonly #regions: CommandRegion[] = [];
  /** Files that were found, and whose processes have ended. */
  readonly #ended: { readonly path: string; readonly state: RegionState }[] = [];

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** Passes over a file that was found and cannot be read, or whose process does not run. */
  open(region: CommandRegion): void {
    let sampler: RegionSampler;
    try {
      sampler = RegionSampler.open(region.path, this.#names);
    } catch (error) {
      if (region.isNamed || !(error instanceof MetricsError)) throw error;
      this.troubles.push(error);
      return;
    }
    const state = region.isNamed ? 'running' : sampler.state();
    if (state !== 'running') {
      sampler.close();
      this.#ended.push({ path: region.path, state });
      return;
    }
    this.samplers.push(sampler);
    this.#regions.push(region);
    if (this.samplers.length > FILES_MAX) throw new Error(`these are more than ${FILES_MAX} region files of running processes`);
  }

  checkSomeoneRuns(): void {
    const ends = this.samplers.map((sampler, i) => ({ path: this.#regions[i]!.path, state: sampler.state() }));
    if (ends.some(({ state }) => state === 'running')) return;
    const ended = [...ends, ...this.#ended];
    if (ended.length === 0) throw this.troubles[0]!;
    const [first] = ended as [(typeof ended)[number]];
    const files = ended.map(({ path }) => `'${path}'`);
    const shown = files.length > 3 ? `${files.slice(0, 3).join(', ')} and ${files.length - 3} more files` : files.join(', ');
    throw new Error(`no process counts into ${shown} any more: ${ENDED[first.state as keyof typeof ENDED]}`);
  }

  columnNames(): string[] {
    if (this.#regions.length === 1) return [...this.#names];
    const areNamed = this.#regions.every(({ isNamed }) => isNamed);
    const files = this.#regions.map(({ path, name }) => (areNamed ? basename(path) : name));
    const isUnique = new Set(files).size === files.length;
    return this.#regions.flatMap(({ path }, i) => this.#names.map((name) => `${isUnique ? files[i] : path}:${name}`));
  }

  close(): void {
    for (const sampler of this.samplers) sampler.close();
  }
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
