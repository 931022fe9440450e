// What does it cost to take all values at once?

import { openTelemetry, PROMETHEUS, type Prometheus, peer } from '../peers.ts';
import { opened, plugDevices } from '../store.ts';
import { XADD } from '../subject.ts';
import { type Trial, trialSubject } from '../trial.ts';

const METRICS = 234;

/** Keeps the values, so that the compiler cannot drop the snapshot. */
const last: { value?: unknown } = {};

const ours: Trial[] = [
  {
    name: `snapshot() of ${METRICS} metrics`,
    bound: { atMost: 2500, of: XADD },
    prepare: async () => {
      const metrics = await opened();
      return (times) => {
        for (let i = 0; i < times; i++) last.value = metrics.snapshot();
      };
    },
  },
  {
    name: 'snapshot(), and 35 devices',
    prepare: async () => {
      const metrics = await opened();
      plugDevices(metrics);
      return (times) => {
        for (let i = 0; i < times; i++) last.value = metrics.snapshot();
      };
    },
  },
];

const peers: Trial[] = [
  ...PROMETHEUS.flatMap((name) =>
    (['metrics', 'getMetricsAsJSON'] as const).map(
      (method): Trial => ({
        name: `${name}: ${method}() of ${METRICS}`,
        once: true,
        prepare: async () => {
          const { Counter, Registry } = await peer<Prometheus>(name);
          const registry = new Registry();
          for (let i = 0; i < METRICS; i++) new Counter({ name: `c${i}`, help: 'a counter', registers: [registry] }).inc();
          return async (times) => {
            for (let i = 0; i < times; i++) last.value = await registry[method]();
          };
        },
      }),
    ),
  ),
  {
    name: `OpenTelemetry: collect() of ${METRICS}`,
    once: true,
    prepare: async () => {
      const { meter, collect } = await openTelemetry();
      for (let i = 0; i < METRICS; i++) meter.createCounter(`c${i}`).add(1);
      return async (times) => {
        for (let i = 0; i < times; i++) last.value = await collect();
      };
    },
  },
];

export const subject = trialSubject('snapshots', import.meta.url, [...ours, ...peers]);
