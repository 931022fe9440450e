// collectors(): the metrics of a store as objects that prom-client and @prometheus-io/client register.

import { checkedOptions } from '../arguments.ts';
import type { Sampled } from '../sampled.ts';
import { type ExpositionSource, sampledFrom } from './exposition.ts';
import { type Family, familiesOf } from './families.ts';
import { checkedPrefix } from './names.ts';
import { Numbers } from './numbers.ts';

/** The options of `collectors()`. */
export interface CollectorOptions {
  /** What the names of all metrics begin with, before an underscore; may be empty. Default: `'vmm'`. */
  readonly prefix?: string | undefined;
}

/**
 * What a collector tells its registry. The clients have enumerations of their own for `type` and `aggregator`; the type
 * `never` fits them all.
 */
export interface CollectedFamily {
  readonly name: string;
  readonly help: string;
  readonly type: never;
  readonly aggregator: never;
  readonly collect: never;
  readonly values: { readonly labels: Record<string, string>; readonly value: number; readonly metricName?: string }[];
}

/**
 * One metric as prom-client 15 and @prometheus-io/client 0.16 know metrics: their registries call `get()` at each
 * scrape. A collector has no `inc()` and no other method that counts, because only the store counts. Their type `never`
 * makes TypeScript accept a collector where a client expects one of its own classes.
 */
export interface Collector {
  /** A registry that writes OpenMetrics takes the suffix `_total` off the name. */
  name: string;
  readonly help: string;
  /** The values now. */
  get(): Promise<CollectedFamily>;
  /** Does nothing: a store is never reset. */
  reset(): void;
  readonly inc: never;
  readonly labels: never;
  readonly remove: never;
}

/**
 * The metrics of a store as objects for a registry of prom-client or @prometheus-io/client, beside the metrics that the
 * registry has already. Names, kinds and units are those of {@link exposition}.
 *
 * ```ts
 * import { register } from 'prom-client';
 * for (const collector of collectors(metrics)) register.registerMetric(collector);
 * ```
 *
 * The values are read once for each scrape. These clients keep numbers: values are exact up to 2^53, and rounded above.
 * Thread-safety as for exposition().
 * @throws TypeError, RangeError for a wrong argument. MetricsError `ERR_METRICS_SCHEMA` as exposition(). After
 * `close()`, `get()` rejects with `ERR_METRICS_CLOSED`, so unregister the collectors first.
 */
export function collectors(metrics: ExpositionSource, options?: CollectorOptions): Collector[] {
  const { prefix = 'vmm' } = checkedOptions<CollectorOptions>('collectors()', options, ['prefix']);
  checkedPrefix('collectors(): prefix', prefix);
  const { layout } = sampledFrom('collectors(): metrics', metrics);
  const scrape = new Scrape(() => sampledFrom('collectors(): metrics', metrics));
  return familiesOf(layout, prefix).map((family) => new FamilyCollector(family, scrape) as unknown as Collector);
}

/** A registry asks all its metrics in one turn, without a pause. So the values are read once a turn. */
class Scrape {
  readonly #read: () => Sampled;
  readonly #numbers = new Numbers();
  #isFresh = false;

  constructor(read: () => Sampled) {
    this.#read = read;
  }

  get numbers(): Numbers {
    if (!this.#isFresh) {
      this.#numbers.update(this.#read());
      this.#isFresh = true;
      queueMicrotask(() => {
        this.#isFresh = false;
      });
    }
    return this.#numbers;
  }
}

class FamilyCollector {
  name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator = 'sum';
  readonly #family: Family;
  readonly #scrape: Scrape;

  constructor(family: Family, scrape: Scrape) {
    this.#family = family;
    this.#scrape = scrape;
    this.name = family.type === 'counter' ? `${family.name}_total` : family.name;
    this.help = family.help;
    this.type = family.type;
  }

  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    const { numbers } = this.#scrape;
    const values = numbers.ownersOf(this.#family).flatMap((owner) =>
      this.#family.parts.map((part) => ({
        labels: { ...(owner.device !== undefined && { device: owner.device }), ...(part.le !== undefined && { le: part.le }) },
        value: numbers.at(owner, part),
        // A registry adds the suffix of a counter by itself.
        ...((type === 'summary' || type === 'histogram') && { metricName: `${name}${part.suffix}` }),
      })),
    );
    return { name, help, type, aggregator, values };
  }

  reset(): void {}
}
