// What does an increment cost, in each way of writing, and in other packages?

import { addon } from '../addon.ts';
import { openTelemetry, PROMETHEUS, type Prometheus, peer } from '../peers.ts';
import { attached, counters, opened, openedWithFour } from '../store.ts';
import { XADD } from '../subject.ts';
import { type Trial, trialSubject } from '../trial.ts';
import { forceWriteMode } from '../write-mode.ts';

// Each trial has a loop over its own locals. A timer that called a closure for each increment would measure the calls.

async function over64() {
  const metrics = counters(await opened(), 64).map(({ metric }) => metric);
  return (times: number) => {
    for (let i = 0; i < times; i++) metrics[i & 63]!.inc();
  };
}

const BY_ABI_1 = 'inc() in C++, by the header of ABI 1';

const ours: Trial[] = [
  { name: 'inc() over 64 metrics', bound: { atMost: 0.35, of: XADD }, prepare: over64 },
  {
    name: 'inc() of one metric',
    bound: { atMost: 1, of: XADD },
    prepare: async () => {
      const { metric } = counters(await opened(), 1)[0]!;
      return (times) => {
        for (let i = 0; i < times; i++) metric.inc();
      };
    },
  },
  {
    name: 'add(n) over 64 metrics',
    prepare: async () => {
      const metrics = counters(await opened(), 64).map(({ metric }) => metric);
      return (times) => {
        for (let i = 0; i < times; i++) metrics[i & 63]!.add(i);
      };
    },
  },
  ...(['shared', 'native'] as const).map(
    (mode): Trial => ({
      name: mode === 'shared' ? 'inc(), when all shards are taken' : 'inc(), where Node allows no view of cells',
      prepare: () => {
        forceWriteMode(mode);
        return over64();
      },
    }),
  ),
  {
    name: 'inc() in C++, by the header',
    bound: { atMost: 0.3, of: XADD },
    prepare: async () => {
      const metrics = await opened();
      const native = attached(metrics);
      const paths = counters(metrics, 64).map(({ path }) => path);
      return (times) => native.inc(paths, times);
    },
  },
  {
    name: BY_ABI_1,
    bound: { atMost: 0.3, of: XADD },
    prepare: async () => {
      const { metrics, paths } = await openedWithFour();
      return (times) => addon.incWithAbi1(metrics.native, paths, times);
    },
  },
  {
    name: 'inc() in C++, constants of a generated header',
    bound: { atMost: 0.7, of: BY_ABI_1 },
    prepare: async () => {
      const { metrics, paths } = await openedWithFour();
      const native = attached(metrics);
      return (times) => native.incConstants(paths, times);
    },
  },
  {
    name: 'inc() in C++, in the shard that all share',
    prepare: async () => {
      const metrics = await opened();
      const native = attached(metrics);
      const paths = counters(metrics, 64).map(({ path }) => path);
      return (times) => native.incShared(paths, times);
    },
  },
  {
    name: 'heap allocated by an inc()',
    unit: 'bytes',
    times: 5_000_000,
    bound: { atMost: 0.01 },
    prepare: async () => {
      const run = await over64();
      return (times) => {
        const before = process.memoryUsage().heapUsed;
        run(times);
        return Math.max(0, process.memoryUsage().heapUsed - before - 2000) / times; // memoryUsage() itself allocates
      };
    },
  },
];

const peers: Trial[] = [
  {
    name: 'Atomics.add, 64 bits',
    once: true,
    prepare: () => {
      const cells = new BigUint64Array(new SharedArrayBuffer(512));
      return (times) => {
        for (let i = 0; i < times; i++) Atomics.add(cells, i & 63, 1n);
      };
    },
  },
  {
    name: 'Atomics.add, 32 bits',
    once: true,
    prepare: () => {
      const cells = new Int32Array(new SharedArrayBuffer(256));
      return (times) => {
        for (let i = 0; i < times; i++) Atomics.add(cells, i & 63, 1);
      };
    },
  },
  ...PROMETHEUS.map(
    (name): Trial => ({
      name: `${name}: Counter.inc()`,
      once: true,
      prepare: async () => {
        const { Counter } = await peer<Prometheus>(name);
        const all = Array.from({ length: 64 }, (_, i) => new Counter({ name: `c${i}`, help: 'a counter' }));
        return (times) => {
          for (let i = 0; i < times; i++) all[i & 63]!.inc();
        };
      },
    }),
  ),
  {
    name: 'OpenTelemetry: Counter.add(1)',
    once: true,
    prepare: async () => {
      const { meter } = await openTelemetry();
      const all = Array.from({ length: 64 }, (_, i) => meter.createCounter(`c${i}`));
      return (times) => {
        for (let i = 0; i < times; i++) all[i & 63]!.add(1);
      };
    },
  },
];

export const subject = trialSubject('increments', import.meta.url, [...ours, ...peers]);
