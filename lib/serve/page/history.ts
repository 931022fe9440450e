// How fast counters rise: the last rates of each, made from the values that arrive. Pure.

const INTERVAL_MS = 2000;
/** Two minutes, at one value every two seconds. */
export const POINTS = 60;

interface Trace {
  life: string;
  value: bigint;
  atMs: number;
  /** Per second; the newest comes last. */
  readonly rates: number[];
}

export class History {
  readonly #traces = new Map<string, Trace>();

  /** Takes the value of a counter. `life` changes when the counter begins anew. */
  take(key: string, life: string, value: number | bigint, atMs: number): void {
    const now = BigInt(value);
    const trace = this.#traces.get(key);
    if (trace === undefined || trace.life !== life || now < trace.value) {
      this.#traces.set(key, { life, value: now, atMs, rates: [] });
      return;
    }
    if (atMs <= trace.atMs) return;
    const rate = (Number(now - trace.value) * 1000) / (atMs - trace.atMs);
    // After a pause, the mean rate stands for each point that is missing.
    const points = Math.min(POINTS, Math.max(1, Math.round((atMs - trace.atMs) / INTERVAL_MS)));
    for (let i = 0; i < points; i++) trace.rates.push(rate);
    trace.rates.splice(0, trace.rates.length - POINTS);
    trace.value = now;
    trace.atMs = atMs;
  }

  /** The last rates, per second; empty before the second value. */
  ratesOf(key: string): readonly number[] {
    return this.#traces.get(key)?.rates ?? [];
  }

  rateOf(key: string): number {
    return this.#traces.get(key)?.rates.at(-1) ?? 0;
  }

  /** Forgets the counters whose keys are not in `keys`. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#traces.keys()) if (!keys.has(key)) this.#traces.delete(key);
  }
}
