// Region files sampled at a fixed rate into a table, in the format of startProfiling(): docs/profile-table.md.

import { setTimeout as sleep } from 'node:timers/promises';

import { binding } from '../binding.ts';
import { FileSamplerStop, type NativeFileSampler } from '../binding-readers.ts';
import { ErrorCode } from '../errors.ts';
import { failureError, systemError } from '../failures.ts';
import { annotationOf, headerLineOf } from '../profile/columns.ts';
import type { RegionSampler } from './sampler.ts';

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

/** The room for rows between two pauses; a row of many columns gets more. */
const TEXT_BYTES = 1 << 20;
/** The longest number with the tab before it. */
const FIELD_BYTES_MAX = 21;
/** A tick that never comes: nanoseconds that native code can add to the clock. */
const FAR_NS = 2 ** 61;

class Sampling {
  readonly #output: SamplingOutput;
  readonly #samplers: readonly RegionSampler[];
  readonly #options: SamplingOptions;
  readonly #values: BigUint64Array;
  readonly #beginNs: number;
  readonly #native: NativeFileSampler;
  /** Native code writes rows here. */
  readonly #rows: Uint8Array;

  constructor(output: SamplingOutput, samplers: readonly RegionSampler[], options: SamplingOptions) {
    const columns = samplers.reduce((sum, sampler) => sum + sampler.columns.length, 0);
    this.#output = output;
    this.#samplers = samplers;
    this.#options = options;
    this.#values = new BigUint64Array(columns);
    this.#rows = new Uint8Array(Math.max(TEXT_BYTES, 2 * (columns + 1) * FIELD_BYTES_MAX)).fill(1); // its memory is there
    this.#beginNs = nowNs();
    const { intervalNs, seconds } = options;
    const lastTick = Math.floor(Math.min(seconds * 1e9, FAR_NS) / intervalNs);
    this.#native = new (binding().FileSampler)(this.#beginNs, intervalNs, lastTick);
    this.#eachSampler((sampler, first) => sampler.sample(this.#values, first)); // a device may go before the first tick
    this.#native.setFiles(samplers.map((sampler) => sampler.native()));
  }

  async run(): Promise<SamplingStats> {
    await this.#write(this.#opening());
    for (let pauseNs = this.#beginNs + PAUSE_MS * 1e6; !this.#options.signal.aborted; ) {
      const { stop, bytes } = this.#native.run(pauseNs, this.#rows);
      await this.#write(this.#rows.subarray(0, bytes));
      if (stop === FileSamplerStop.over) break;
      if (stop === FileSamplerStop.changed) await this.#takeChanged();
      if (nowNs() < pauseNs) continue;
      if (!(await this.#pause())) break;
      pauseNs = nowNs() + PAUSE_MS * 1e6;
    }
    const last = this.#row(nowNs());
    const { samples, missedTicks, ...late } = this.#native.figures();
    const figures = `samples=${samples + 1} missed_ticks=${missedTicks} back_offs=0`;
    const lateness = `late_ns_median=${late.lateNsMedian} late_ns_p99=${late.lateNsP99} late_ns_max=${late.lateNsMax}`;
    await this.#write(Buffer.from(`${last}# ${figures} ${lateness}\n`));
    return { samples: samples + 1, missedTicks };
  }

  #opening(): Uint8Array {
    const { names, intervalNs } = this.#options;
    const columns = this.#samplers.flatMap((sampler) => sampler.columns);
    const annotation = `# start=${new Date().toISOString()} interval_ns=${intervalNs}${annotationOf(columns)}\n`;
    return Buffer.from(`${annotation}${headerLineOf(names)}`);
  }

  /** Takes a sample after more than values has changed, and says what is new to native code. */
  async #takeChanged(): Promise<void> {
    // The columns of devices that are gone keep the values of the last sample.
    if (this.#native.last(this.#values)) this.#eachSampler((sampler, first) => sampler.keep(this.#values, first));
    const atNs = nowNs();
    const row = this.#row(atNs);
    this.#native.note(atNs);
    this.#native.setFiles(this.#samplers.map((sampler) => sampler.native()));
    await this.#write(Buffer.from(row));
  }

  /** Calls `work` with each sampler and the index of its first column. */
  #eachSampler(work: (sampler: RegionSampler, first: number) => void): void {
    let first = 0;
    for (const sampler of this.#samplers) {
      work(sampler, first);
      first += sampler.columns.length;
    }
  }

  #row(atNs: number): string {
    this.#eachSampler((sampler, first) => sampler.sample(this.#values, first));
    return `${atNs - this.#beginNs}\t${this.#values.join('\t')}\n`;
  }

  /** Between two samples: lets signals be heard, and returns whether a process still runs. */
  async #pause(): Promise<boolean> {
    await new Promise(setImmediate);
    // Every region is read, because a region that cannot be read any more is an error.
    return this.#samplers.map((sampler) => sampler.state()).some((state) => state === 'running');
  }

  /** Writes all of it. Waits while the output takes nothing, but at most a second after the end of the sampling. */
  async #write(text: Uint8Array): Promise<void> {
    const { fd, name } = this.#output;
    const { seconds, signal } = this.#options;
    let bytes = text;
    for (let waitedMs = 0; bytes.length > 0; ) {
      const { sent, failure } = binding().send(fd, bytes, 0);
      bytes = bytes.subarray(sent);
      if (failure === undefined) continue;
      if (systemError(failure).code !== 'EAGAIN' || waitedMs >= OVER_PATIENCE_MS) {
        throw failureError(failure, { what: `Failed to write the profile to '${name}'`, error: ErrorCode.PROFILE });
      }
      if (signal.aborted || nowNs() > this.#beginNs + seconds * 1e9) waitedMs += FULL_PAUSE_MS;
      await sleep(FULL_PAUSE_MS);
    }
  }
}

const nowNs = () => Number(process.hrtime.bigint());
