// One running measurement of time, by CLOCK_MONOTONIC.

import { DISPOSE } from '../dispose.ts';

/** One running measurement. A second disposal does nothing. Only the thread that started the measurement can use it. */
export interface LatencyRecord extends Disposable {}

/** What receives the duration of a record, in microseconds. */
export interface Observer {
  observe(us: number | bigint): void;
  /** A duration below 2^32 us, which is more than an hour: the fast path. */
  observeShort(us: number): void;
}

const hrtime = process.hrtime.bigint;
const clock = new BigUint64Array(1);
const clockHalves = new Uint32Array(clock.buffer);

/** A disposed record has this in place of the clock's upper half. No clock has this value. */
const DISPOSED = -1;

export class MonotonicRecord implements LatencyRecord {
  readonly #metric: Observer;
  // The clock at the start, in microseconds, as two 32-bit halves: a bigint, or a number above 2^31, would be allocated
  // for each record.
  #low: number;
  #high: number;

  constructor(metric: Observer) {
    this.#metric = metric;
    clock[0] = hrtime() / 1000n;
    this.#low = clockHalves[0]!;
    this.#high = clockHalves[1]!;
  }

  [DISPOSE](): void {
    clock[0] = hrtime() / 1000n;
    const low = clockHalves[0]!;
    const high = clockHalves[1]!;
    if (high === this.#high) {
      this.#metric.observeShort(low - this.#low);
    } else if (this.#high !== DISPOSED) {
      this.#metric.observe((high - this.#high) * 2 ** 32 + (low - this.#low));
    }
    this.#high = DISPOSED;
  }
}
