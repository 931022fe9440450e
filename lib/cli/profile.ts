// `vmm-metrics profile`: the metrics of another process at a fixed rate, from outside, by its region file.

import { closeSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { checkedPath } from '../arguments.ts';
import { binding } from '../binding.ts';
import { systemError } from '../failures.ts';
import { annotationOf, checkedNames, headerOf } from '../profile/columns.ts';
import { RegionSampler } from '../region/sampler.ts';
import { asUsage, type Command, parsedMany, report, UsageError } from './command.ts';
import { refuseRegion } from './regions.ts';

const HELP = `Usage: vmm-metrics profile FILE... --metrics NAMES -o FILE.tsv
                            [--interval-us N] [--seconds N]

Samples metrics of other processes by their region files, into a table as
startProfiling() writes it; vmm-metrics plot makes a page of that. It costs the
other processes nothing but that their memory is read.

  --metrics NAMES    with commas between them: vcpu.exit_io_out, of a device
                     block_rootfs.read_bytes, of a latency its .sum_us, .min_us
                     or .max_us. Of several files, each has a column for each
                     metric, named FILE:NAME
  -o, --output FILE  the table; - for standard output
  --interval-us N    from tick to tick, 100 to 86400000000 (default 1000). Below
                     1000 many ticks are missed: there startProfiling() is for
  --seconds N        how long (default: until Ctrl-C, or until none of the
                     processes runs any more)
`;

const ENDED = { closed: 'it was closed', exited: 'it exited', panicked: 'it panicked', crashed: 'it crashed', killed: 'it was killed' };
const INTERVAL_US = 1000;
/** A read takes some ten microseconds; below, native code of the process itself can sample. */
const MIN_INTERVAL_US = 100;
const MAX_INTERVAL_US = 86_400_000_000;
const MAX_SECONDS = 1e9;
/** How long an output that takes nothing is waited for when the profile is over, and how often it is tried. */
const OVER_PATIENCE_MS = 1000;
const FULL_PAUSE_MS = 10;
/** How long rows may wait until they are written, and how often it is looked whether the processes still run. */
const PAUSE_MS = 200;

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
    const intervalUs = numberOf('--interval-us', values['interval-us'] ?? String(INTERVAL_US), MIN_INTERVAL_US, MAX_INTERVAL_US);
    const seconds = values.seconds === undefined ? Number.POSITIVE_INFINITY : numberOf('--seconds', values.seconds, 0, MAX_SECONDS);
    const names = asUsage(() => checkedNames('--metrics', values.metrics));
    for (const path of paths) asUsage(() => checkedPath('FILE', path));

    refuseRegion(values.output);

    const samplers: RegionSampler[] = [];
    try {
      for (const path of paths) samplers.push(RegionSampler.open(path, names));
      const states = samplers.map((sampler) => sampler.state());
      if (states.every((state) => state !== 'running')) {
        throw new Error(
          `no process counts into ${paths.map((path) => `'${path}'`).join(', ')} any more: ${ENDED[states[0] as keyof typeof ENDED]}`,
        );
      }
      const output = values.output === '-' ? STANDARD_OUTPUT : { fd: openSync(values.output, 'w', 0o600), name: values.output };
      try {
        await sampleInto(output, samplers, columnNames(paths, names), Math.round(intervalUs * 1000), seconds);
      } finally {
        if (output !== STANDARD_OUTPUT) closeSync(output.fd);
      }
    } catch (error) {
      throw error instanceof RangeError ? new Error(error.message) : error; // a name that is not there
    } finally {
      for (const sampler of samplers) sampler.close();
    }
    return 0;
  },
};

function columnNames(paths: readonly string[], names: readonly string[]): string[] {
  if (paths.length === 1) return [...names];
  const isUnique = new Set(paths.map((path) => basename(path))).size === paths.length;
  return paths.flatMap((path) => names.map((name) => `${isUnique ? basename(path) : path}:${name}`));
}

interface Output {
  readonly fd: number;
  readonly name: string;
}

const STANDARD_OUTPUT: Output = { fd: 1, name: 'standard output' };

async function sampleInto(output: Output, samplers: readonly RegionSampler[], names: readonly string[], stepNs: number, seconds: number) {
  const columns = samplers.flatMap((sampler) => sampler.columns);
  const values = new BigUint64Array(columns.length);
  const late = createHistogram();
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  let isAsked = false;
  const ask = () => {
    isAsked = true;
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, ask);

  let text = `# start=${new Date().toISOString()} interval_ns=${stepNs}${annotationOf(columns)}\n${headerOf(names)}`;
  const begin = process.hrtime.bigint();
  const now = () => Number(process.hrtime.bigint() - begin);
  const isOver = () => isAsked || now() > seconds * 1e9;
  const row = (ns: number) => {
    let first = 0;
    for (const sampler of samplers) {
      sampler.sample(values, first);
      first += sampler.columns.length;
    }
    text += `${ns}\t${values.join('\t')}\n`;
  };

  let [samples, missed, tick, pausedAt] = [0, 0, 1, 0];
  const lastTick = Math.floor((seconds * 1e9) / stepNs);
  while (!isAsked && tick <= lastTick) {
    if (now() - pausedAt >= PAUSE_MS * 1e6) {
      // Between two samples, whatever their distance: what is there is written, signals are heard, and the processes
      // looked after.
      pausedAt = now();
      await writeOut(output, text, isOver);
      text = '';
      await new Promise(setImmediate);
      if (samplers.map((sampler) => sampler.state()).every((state) => state !== 'running')) break;
    }
    const leftNs = tick * stepNs - now();
    if (leftNs > 0) {
      Atomics.wait(waiting, 0, 0, Math.min(leftNs / 1e6, PAUSE_MS));
      if (now() < tick * stepNs) continue;
    }
    const atNs = now();
    const due = Math.min(Math.floor(atNs / stepNs), lastTick);
    missed += due - tick;
    tick = due;
    row(atNs);
    samples++;
    late.record(Math.max(1, Math.round(atNs - tick * stepNs)));
    tick++;
  }
  row(now());
  samples++;
  const [median, p99, max] = late.count === 0 ? [0, 0, 0] : [late.percentile(50), late.percentile(99), late.max];
  text += `# samples=${samples} missed_ticks=${missed} back_offs=0 late_ns_median=${median} late_ns_p99=${p99} late_ns_max=${max}\n`;
  await writeOut(output, text, isOver);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, ask);
  if (output !== STANDARD_OUTPUT) report(`${samples} samples, ${missed} ticks missed`);
}

/**
 * Writes all, or throws. An output that takes nothing is waited for, while signals are heard; once it is over, for a
 * second more.
 */
async function writeOut({ fd, name }: Output, text: string, isOver: () => boolean): Promise<void> {
  let bytes: Uint8Array = Buffer.from(text);
  for (let waitedMs = 0; bytes.length > 0; ) {
    const { sent, failure } = binding().send(fd, bytes, 0);
    bytes = bytes.subarray(sent);
    if (failure === undefined) continue;
    const { code, message } = systemError(failure);
    if (code === 'EPIPE' && fd === 1) process.exit(0); // who reads no further has what they wanted
    if (code !== 'EAGAIN' || waitedMs >= OVER_PATIENCE_MS) throw new Error(`Failed to write the profile to '${name}': ${message}`);
    if (isOver()) waitedMs += FULL_PAUSE_MS;
    await sleep(FULL_PAUSE_MS);
  }
}

function numberOf(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max)) {
    throw new UsageError(`${option} must be a number from ${min} to ${max}; got '${text}'`);
  }
  return value;
}
