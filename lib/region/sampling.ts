// Region files sampled at a fixed rate into a table, in the format of startProfiling(): docs/profile-table.md.

import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { binding } from '../binding.ts';
import { ErrorCode } from '../errors.ts';
import { failureError, systemError } from '../failures.ts';
import { annotationOf, headerLineOf } from '../profile/columns.ts';
import type { RegionSampler } from './sampler.ts';

/**
 * As in native/profile/sampler.h: if the interval is below SPIN_BELOW_NS, the sampling spins through the last
 * SPIN_LAST_NS before a tick.
 */
const SPIN_BELOW_NS = 500_000;
const SPIN_LAST_NS = 20_000;

export interface SamplingOptions {
  /** The names of the columns: those of the first sampler, then those of the next. */
  readonly names: readonly string[];
  /** Nanoseconds from tick to tick. */
  readonly intervalNs: number;
  /** How long to sample; may be infinite. */
  readonly seconds: number;
  /** Ends the sampling early. */
  readonly signal: AbortSignal;
}

export interface SamplingOutput {
  readonly fd: number;
  /** For error messages. */
  readonly name: string;
}

/** How it went. */
export interface SamplingStats {
  readonly samples: number;
  readonly missedTicks: number;
}

/** How long rows may wait until they are written, and how often the sampling looks whether the processes still run. */
const PAUSE_MS = 200;
/**
 * After the end of the sampling: how long to wait for an output that takes nothing, and the pause between two tries.
 */
const OVER_PATIENCE_MS = 1000;
const FULL_PAUSE_MS = 10;

/**
 * Samples until the time is over, the signal is aborted, or no process runs any more. Then takes a last row.
 * @throws MetricsError `ERR_METRICS_PROFILE` if the output cannot be written; `cause` has Node's `code`. MetricsError
 * `ERR_METRICS_REGION` if a region file cannot be read any more.
 */
export function sampleInto(output: SamplingOutput, samplers: readonly RegionSampler[], options: SamplingOptions): Promise<SamplingStats> {
  return new Sampling(output, samplers, options).run();
}

class Sampling {
  readonly #output: SamplingOutput;
  readonly #samplers: readonly RegionSampler[];
  readonly #options: SamplingOptions;
  readonly #values: BigUint64Array;
  readonly #beginNs: number;
  readonly #late = createHistogram();
  /** What is not written yet. */
  #text: string;
  #samples = 0;

  constructor(output: SamplingOutput, samplers: readonly RegionSampler[], options: SamplingOptions) {
    const columns = samplers.flatMap((sampler) => sampler.columns);
    this.#output = output;
    this.#samplers = samplers;
    this.#options = options;
    this.#values = new BigUint64Array(columns.length);
    const annotation = `# start=${new Date().toISOString()} interval_ns=${options.intervalNs}${annotationOf(columns)}\n`;
    this.#text = `${annotation}${headerLineOf(options.names)}`;
    this.#beginNs = Number(process.hrtime.bigint());
  }

  async run(): Promise<SamplingStats> {
    const { intervalNs, seconds, signal } = this.#options;
    const lastTick = Math.floor((seconds * 1e9) / intervalNs);
    let [missedTicks, tick, pausedAtNs] = [0, 1, 0];
    while (!signal.aborted && tick <= lastTick) {
      if (this.#nowNs() - pausedAtNs >= PAUSE_MS * 1e6) {
        pausedAtNs = this.#nowNs();
        if (!(await this.#pause())) break;
      }
      const atNs = this.#waitFor(Math.min(tick * intervalNs, pausedAtNs + PAUSE_MS * 1e6));
      if (atNs < tick * intervalNs) continue;
      const due = Math.min(Math.floor(atNs / intervalNs), lastTick);
      missedTicks += due - tick;
      this.#takeRow(atNs);
      this.#late.record(Math.max(1, Math.round(atNs - due * intervalNs)));
      tick = due + 1;
    }
    this.#takeRow(this.#nowNs());
    this.#text += this.#closingLine(missedTicks);
    await this.#write();
    return { samples: this.#samples, missedTicks };
  }

  #nowNs(): number {
    return this.#waitFor(0);
  }

  /** Waits until that moment or until a signal comes, and returns the time. */
  #waitFor(momentNs: number): number {
    const spinNs = this.#options.intervalNs < SPIN_BELOW_NS ? SPIN_LAST_NS : 0;
    return binding().waitForTick(momentNs + this.#beginNs, spinNs) - this.#beginNs;
  }

  #takeRow(atNs: number): void {
    let first = 0;
    for (const sampler of this.#samplers) {
      sampler.sample(this.#values, first);
      first += sampler.columns.length;
    }
    this.#text += `${atNs}\t${this.#values.join('\t')}\n`;
    this.#samples++;
  }

  /** Between two samples: writes the rows, lets signals be heard, and returns whether a process still runs. */
  async #pause(): Promise<boolean> {
    await this.#write();
    await new Promise(setImmediate);
    // Every region is read, because a region that cannot be read any more is an error.
    return this.#samplers.map((sampler) => sampler.state()).some((state) => state === 'running');
  }

  #closingLine(missedTicks: number): string {
    const late = this.#late;
    const [median, p99, max] = late.count === 0 ? [0, 0, 0] : [late.percentile(50), late.percentile(99), late.max];
    const figures = `samples=${this.#samples} missed_ticks=${missedTicks} back_offs=0`;
    return `# ${figures} late_ns_median=${median} late_ns_p99=${p99} late_ns_max=${max}\n`;
  }

  /** Writes all text. Waits while the output takes nothing, but at most a second after the end of the sampling. */
  async #write(): Promise<void> {
    const { fd, name } = this.#output;
    const { seconds, signal } = this.#options;
    let bytes: Uint8Array = Buffer.from(this.#text);
    this.#text = '';
    for (let waitedMs = 0; bytes.length > 0; ) {
      const { sent, failure } = binding().send(fd, bytes, 0);
      bytes = bytes.subarray(sent);
      if (failure === undefined) continue;
      if (systemError(failure).code !== 'EAGAIN' || waitedMs >= OVER_PATIENCE_MS) {
        throw failureError(failure, { what: `Failed to write the profile to '${name}'`, error: ErrorCode.PROFILE });
      }
      if (signal.aborted || this.#nowNs() > seconds * 1e9) waitedMs += FULL_PAUSE_MS;
      await sleep(FULL_PAUSE_MS);
    }
  }
}
