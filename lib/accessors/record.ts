// One running measurement of time, by CLOCK_MONOTONIC.

import { DISPOSE } from '../dispose.ts';

/**
 * One running measurement, in nanoseconds. Only the thread that started the measurement can use it. After `end()`, or
 * the disposal that `using` makes, the methods do nothing.
 */
export interface LatencyRecord extends Disposable {
  /** Records the duration since the start, or since the last `lap()`. The measurement is over. */
  end(): void;
  /**
   * Records the duration since the start, or since the last `lap()`, and goes on from the same moment: one reading of
   * the clock is the end of a duration and the start of the next duration. So nothing between two laps is left out.
   *
   * ```ts
   * const record = metrics.app.vcpu.exit_io_out_agg.record();
   * while (running) {
   *   runOnce();
   *   record.lap();
   * }
   * ```
   */
  lap(): void;
}

/** What receives the durations of a record. */
export interface Observer {
  /** A duration below 2^31 ns, which is 2.1 s: the fast path. */
  observeShortNs(ns: number): void;
  /** Any other duration. */
  observeLongNs(ns: number): void;
}

/**
 * Starts a record. The constants and the class are in a function, because bundlers turn the constants of a module into
 * variables: the compiler then reads them each time.
 */
export const startRecord = (() => {
  const hrtime = process.hrtime.bigint;
  const clock = new BigUint64Array(1);
  const halves = new Int32Array(clock.buffer);
  /** An ended record has this in place of the clock's upper half. No clock has this value. */
  const ENDED = -1;

  class MonotonicRecord implements LatencyRecord {
    readonly #metric: Observer;
    // The clock at the start, as two signed 32-bit halves: a bigint, or a number above 2^31, would be allocated for
    // each record.
    #low = 0;
    #high = 0;

    constructor(metric: Observer, low: number, high: number) {
      this.#metric = metric;
      this.#low = low;
      this.#high = high;
    }

    end(): void {
      clock[0] = hrtime();
      const low = halves[0]!;
      const high = halves[1]!;
      const shortNs = (low - this.#low) | 0;
      if (high === this.#high && shortNs >= 0) this.#metric.observeShortNs(shortNs);
      else if (this.#high !== ENDED) this.#metric.observeLongNs((high - this.#high) * 2 ** 32 + (low >>> 0) - (this.#low >>> 0));
      this.#high = ENDED;
    }

    lap(): void {
      clock[0] = hrtime();
      const low = halves[0]!;
      const high = halves[1]!;
      const shortNs = (low - this.#low) | 0;
      if (high === this.#high && shortNs >= 0) {
        this.#metric.observeShortNs(shortNs);
      } else {
        if (this.#high === ENDED) return;
        this.#metric.observeLongNs((high - this.#high) * 2 ** 32 + (low >>> 0) - (this.#low >>> 0));
      }
      this.#low = low;
      this.#high = high;
    }

    [DISPOSE](): void {
      this.end();
    }
  }

  return (metric: Observer): LatencyRecord => {
    clock[0] = hrtime();
    return new MonotonicRecord(metric, halves[0]!, halves[1]!);
  };
})();
