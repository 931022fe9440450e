// What does it cost to set a gauge, and to read a value?

import { openTelemetry, PROMETHEUS, type Prometheus, peer } from '../peers.ts';
import { opened } from '../store.ts';
import { XADD } from '../subject.ts';
import { type Trial, trialSubject } from '../trial.ts';

/** Keeps the value that was read, so that the compiler cannot drop the read. */
const sink = new BigUint64Array(1);

const ours: Trial[] = [
  {
    name: 'store(n)',
    bound: { atMost: 0.5, of: XADD },
    prepare: async () => {
      const metric = (await opened()).app.api_server.process_startup_time_us;
      return (times) => {
        for (let i = 0; i < times; i++) metric.store(i);
      };
    },
  },
  {
    name: 'fetch()',
    bound: { atMost: 1.5, of: XADD },
    prepare: async () => {
      const metric = (await opened()).app.api_server.process_startup_time_us;
      return (times) => {
        for (let i = 0; i < times; i++) sink[0] = metric.fetch();
      };
    },
  },
  {
    name: 'count()',
    bound: { atMost: 4, of: XADD },
    prepare: async () => {
      const metric = (await opened()).app.vcpu.exit_io_in;
      return (times) => {
        for (let i = 0; i < times; i++) sink[0] = metric.count();
      };
    },
  },
];

const peers: Trial[] = [
  {
    name: 'Atomics.store, 64 bits',
    once: true,
    prepare: () => {
      const cells = new BigUint64Array(new SharedArrayBuffer(8));
      return (times) => {
        for (let i = 0; i < times; i++) Atomics.store(cells, 0, BigInt(i));
      };
    },
  },
  ...PROMETHEUS.map(
    (name): Trial => ({
      name: `${name}: Gauge.set(n)`,
      once: true,
      prepare: async () => {
        const { Gauge } = await peer<Prometheus>(name);
        const gauge = new Gauge({ name: 'g', help: 'a gauge' });
        return (times) => {
          for (let i = 0; i < times; i++) gauge.set(i);
        };
      },
    }),
  ),
  {
    name: 'OpenTelemetry: Gauge.record(n)',
    once: true,
    prepare: async () => {
      const gauge = (await openTelemetry()).meter.createGauge('g');
      return (times) => {
        for (let i = 0; i < times; i++) gauge.record(i);
      };
    },
  },
];

export const subject = trialSubject('values', import.meta.url, [...ours, ...peers]);
