// Sends the metrics of the fleet to an OpenTelemetry receiver, over and over. All values are totals, so a request that
// failed is never repeated: the next one says all that it said. One request is under way at a time, and a receiver that
// does not answer delays nothing but the next request.

import { hostname } from 'node:os';
import { setTimeout as after } from 'node:timers/promises';

import { VERSION } from '../version.ts';
import { wholeAnswer } from './answer.ts';
import type { Fleet } from './fleet.ts';
import { isLoopback } from './listening.ts';
import { OtlpRequests } from './otlp-request.ts';
import { gzipped, SHARED_MS } from './renderings.ts';

export interface ExporterOptions {
  readonly url: URL;
  readonly intervalMs: number;
  /** Takes one sentence for the operator. */
  readonly report: (text: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The first pause after a failure; it doubles with each failure. Default: a second. */
  readonly backoffMs?: number;
}

/** How many virtual machines a request has. A receiver refuses requests of more than some megabytes. */
const VMS_MAX = 25;
const TIMEOUT_MS = 10_000;
const BACKOFF_MS = 1000;
const BACKOFF_MS_MAX = 60_000;
/** The answers after which a client shall try again. */
const TRY_AGAIN = [429, 502, 503, 504];

/**
 * The address of a receiver. Without a path, it is that of the protocol.
 * @throws TypeError if the text is no URL of HTTP.
 */
export function otlpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new TypeError(`--otlp must be a URL of http or https; got '${text}'`);
  if (url.pathname === '/') url.pathname = '/v1/metrics';
  return url;
}

export class OtlpExporter {
  /** How many requests the receiver has accepted, and how many failed. */
  accepted = 0;
  failed = 0;
  readonly #fleet: Fleet;
  readonly #options: ExporterOptions;
  readonly #requests = new OtlpRequests({ hostName: hostname(), version: VERSION });
  readonly #stop = new AbortController();
  #failure: string | undefined;

  constructor(fleet: Fleet, options: ExporterOptions) {
    this.#fleet = fleet;
    this.#options = options;
  }

  /** Sends until close(). */
  async run(): Promise<void> {
    const { intervalMs, backoffMs = BACKOFF_MS } = this.#options;
    const { signal } = this.#stop;
    let pauseMs = backoffMs;
    while (!signal.aborted) {
      const began = performance.now();
      const wish = await this.#sendAll();
      const isWell = wish === undefined;
      const restMs = Math.max(0, intervalMs - (performance.now() - began));
      // A part of the pause is random, so that the agents of many hosts do not come back at once.
      const waitMs = isWell ? restMs : Math.max(wish, pauseMs * (0.5 + Math.random() / 2));
      pauseMs = isWell ? backoffMs : Math.min(2 * pauseMs, BACKOFF_MS_MAX);
      try {
        await after(waitMs, undefined, { signal, ref: false });
      } catch (error) {
        if (!signal.aborted) throw error; // close() ends the pause, and then the loop
      }
    }
  }

  close(): void {
    this.#stop.abort();
  }

  /** Returns how many milliseconds to wait at least before the next attempt; undefined: until the next interval. */
  async #sendAll(): Promise<number | undefined> {
    this.#fleet.refreshIfOlder(SHARED_MS);
    const vms = [...this.#fleet.shown];
    const failedBefore = this.failed;
    for (let i = 0; i < vms.length && !this.#stop.signal.aborted; i += VMS_MAX) {
      const wish = await this.#send(this.#requests.of(vms.slice(i, i + VMS_MAX), this.#options.now()));
      if (wish !== undefined) return wish;
    }
    if (this.#failure !== undefined && this.failed === failedBefore && vms.length > 0) {
      this.#options.report(`the OpenTelemetry receiver ${this.#options.url.origin} accepts metrics again`);
      this.#failure = undefined;
    }
    return undefined;
  }

  async #send(request: Uint8Array<ArrayBuffer>): Promise<number | undefined> {
    const { url } = this.#options;
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT_MS)]);
      const isCompressed = !isOnThisMachine(url);
      const headers = {
        'content-type': 'application/x-protobuf',
        'user-agent': `vmm-metrics/${VERSION}`,
        ...(isCompressed && { 'content-encoding': 'gzip' }),
      };
      const body = isCompressed ? Buffer.concat(await gzipped(wholeAnswer([request]).read())) : request;
      const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
      await response.body?.cancel();
      if (response.ok) {
        this.accepted++;
        return undefined;
      }
      this.#fails(`it answered ${response.status}`);
      // Any other answer will not change soon. It may be about these virtual machines alone, so the others come next.
      if (!TRY_AGAIN.includes(response.status)) return undefined;
      return 1000 * Math.min(Math.max(Number(response.headers.get('retry-after')) || 0, 0), 3600);
    } catch (error) {
      if (this.#stop.signal.aborted) return 0;
      const { cause, message, name } = error as Error;
      this.#fails(
        name === 'TimeoutError' ? `it did not answer within ${TIMEOUT_MS / 1000} s` : ((cause as Error | undefined)?.message ?? message),
      );
      return 0;
    }
  }

  #fails(why: string): void {
    this.failed++;
    if (this.#failure !== why) this.#options.report(`the OpenTelemetry receiver ${this.#options.url.origin} does not take metrics: ${why}`);
    this.#failure = why;
  }
}

/** There, compressing takes longer than sending. */
function isOnThisMachine({ hostname: name }: URL): boolean {
  return name === 'localhost' || isLoopback(name.replace(/[[\]]/g, ''));
}
