// What does a scrape cost in the process: from 250 counters, all of which have changed, to bytes?

import { PROMETHEUS, type Prometheus, peer } from '../peers.ts';
import { Absent } from '../subject.ts';
import { prometheusUnderTest, underTest } from '../tree.ts';
import { type Trial, trialSubject } from '../trial.ts';

const COUNTERS = 250;
const names = Array.from({ length: COUNTERS }, (_, i) => `counter_number_${i}`);
const LABELS = { vm: 'vm0' };

/** Keeps the bytes, so that the compiler cannot drop them. */
const last: { value?: Uint8Array } = {};

/** Between two texts, each counter has gone up by 1. */
const SUBJECT = `${COUNTERS} counters, all ${COUNTERS} changed`;
const theirs = (name: string) => `${name}: text of ${SUBJECT}, as bytes`;

/** A function that makes all counters go up, and a function that makes bytes of them. */
async function counted() {
  const { Metrics, defineSchema, group, inc } = await underTest();
  const prometheus = await prometheusUnderTest();
  if (prometheus === undefined) throw new Absent('there is no vmm-metrics/prometheus');
  const fields = Object.fromEntries(names.map((name) => [name, inc(`Help of ${name}`)]));
  const metrics = Metrics.open(defineSchema({ group: group(fields) }), { name: 'bench' });
  const counters = names.map((name) => metrics.app.group[name]!);
  return { metrics, prometheus, count: () => counters.forEach((counter) => void counter.inc()) };
}

async function prepareBytes() {
  const { metrics, prometheus, count } = await counted();
  return (times: number) => {
    for (let i = 0; i < times; i++) {
      count();
      last.value = prometheus.expositionBytes(metrics, { labels: LABELS });
    }
  };
}

const trials: Trial[] = [
  {
    name: `expositionBytes() of ${SUBJECT}`,
    bound: { atMost: 1 / 40, of: theirs('prom-client') },
    prepare: prepareBytes,
  },
  {
    name: `expositionBytes() of ${SUBJECT}, once more`,
    bound: { atMost: 1 / 25, of: theirs('@prometheus-io/client') },
    prepare: prepareBytes,
  },
  {
    name: `exposition() of ${SUBJECT}, as bytes`,
    bound: { atMost: 1 / 8, of: theirs('@prometheus-io/client') },
    prepare: async () => {
      const { metrics, prometheus, count } = await counted();
      return (times) => {
        for (let i = 0; i < times; i++) {
          count();
          last.value = Buffer.from(prometheus.exposition(metrics, { labels: LABELS }));
        }
      };
    },
  },
  ...PROMETHEUS.map(
    (client): Trial => ({
      name: theirs(client),
      once: true,
      prepare: async () => {
        const { Counter, Registry } = await peer<Prometheus>(client);
        const registry = new Registry();
        const options = (name: string) => ({
          name: `vmm_group_${name}_total`,
          help: `Help of ${name}`,
          labelNames: ['vm'],
          registers: [registry],
        });
        const counters = names.map((name) => new Counter(options(name)).labels(LABELS));
        return async (times) => {
          for (let i = 0; i < times; i++) {
            for (const counter of counters) counter.inc();
            last.value = Buffer.from(await registry.metrics());
          }
        };
      },
    }),
  ),
];

export const subject = trialSubject('expositions', import.meta.url, trials);
