// What does it cost to time something, and to record a duration? The floor is two clock reads, since timing takes two.

import { createHistogram } from 'node:perf_hooks';

import type { LatencyMetric } from 'vmm-metrics';

import { durations } from '../durations.ts';
import { type HdrHistogram, openTelemetry, PROMETHEUS, type Prometheus, peer } from '../peers.ts';
import { attached, opened } from '../store.ts';
import { Absent, XADD } from '../subject.ts';
import { underTest } from '../tree.ts';
import { type Trial, trialSubject } from '../trial.ts';

const ONE_READ = 'a clock read: process.hrtime.bigint()';
const TWO_READS = 'two clock reads';

/** Node 22 and 24 compile it best. */
const HISTOGRAM_BOUND = /^v2[24]\./.test(process.version) ? 1.85 : 2;

const clock = new BigUint64Array(2);
const { bigint: hrtime } = process.hrtime;

/** A latency with a histogram, in a store of its own. */
async function withHistogram() {
  const { defineSchema, group, latency, Metrics } = await underTest();
  const described = latency as (doc: string, options: object) => ReturnType<typeof latency>;
  const metrics = Metrics.open(defineSchema({ g: group({ t: described('a latency', { histogram: true }) }) }), { name: 'histogram' });
  if (!('read' in (metrics.app.g.t as object))) throw new Absent('latency() has no histograms');
  return metrics;
}

function observing(metric: LatencyMetric) {
  const values = durations();
  return (times: number) => {
    for (let i = 0; i < times; i++) metric.observe(values[i & 4095]!);
  };
}

const floors: Trial[] = [
  {
    name: ONE_READ,
    once: true,
    prepare: () => (times) => {
      for (let i = 0; i < times; i++) clock[0] = hrtime();
    },
  },
  {
    name: TWO_READS,
    once: true,
    prepare: () => (times) => {
      for (let i = 0; i < times; i++) {
        clock[0] = hrtime();
        clock[1] = hrtime();
      }
    },
  },
];

const ours: Trial[] = [
  {
    name: 'record() and end()',
    bound: { atMost: 1.15, of: TWO_READS },
    prepare: async () => {
      const metric = (await opened()).app.vcpu.exit_io_in_agg;
      if ('end' in metric.record()) {
        return (times) => {
          for (let i = 0; i < times; i++) metric.record().end();
        };
      }
      return (times) => {
        for (let i = 0; i < times; i++) metric.record()[Symbol.dispose]();
      };
    },
  },
  {
    name: 'lap()',
    bound: { atMost: 1.25, of: ONE_READ },
    prepare: async () => {
      const record = (await opened()).app.vcpu.exit_io_in_agg.record();
      if (!('lap' in record)) throw new Absent('a record has no lap()');
      return (times) => {
        for (let i = 0; i < times; i++) record.lap();
      };
    },
  },
  { name: 'observe(us)', prepare: async () => observing((await opened()).app.vcpu.exit_io_in_agg) },
  {
    name: 'observe(us), with a histogram',
    bound: { atMost: HISTOGRAM_BOUND, of: XADD },
    prepare: async () => observing((await withHistogram()).app.g.t),
  },
  {
    name: 'observe(us) in C++',
    prepare: async () => {
      const native = attached(await opened());
      const values = durations();
      return (times) => native.observe('vcpu.exit_io_in_agg', values, times);
    },
  },
  {
    name: 'observe_ns(ns) in C++',
    prepare: async () => {
      const native = attached(await opened());
      const values = durations().map((us) => us * 1000);
      if (!native.observeNs('vcpu.exit_io_in_agg', values, 1)) throw new Absent('the header has no observe_ns()');
      return (times) => {
        native.observeNs('vcpu.exit_io_in_agg', values, times);
      };
    },
  },
  {
    name: 'observe(us) in C++, with a histogram',
    bound: { atMost: 0.6, of: XADD },
    prepare: async () => {
      const native = attached(await withHistogram());
      const values = durations();
      return (times) => native.observe('g.t', values, times);
    },
  },
];

const peers: Trial[] = [
  {
    name: 'perf_hooks: createHistogram().record(n)',
    once: true,
    prepare: () => {
      const histogram = createHistogram();
      const values = durations();
      return (times) => {
        for (let i = 0; i < times; i++) histogram.record(values[i & 4095]!);
      };
    },
  },
  ...PROMETHEUS.flatMap((name): Trial[] => [
    {
      name: `${name}: Histogram.observe(n)`,
      once: true,
      prepare: async () => {
        const { Histogram } = await peer<Prometheus>(name);
        const histogram = new Histogram({ name: 'h', help: 'a histogram' });
        const values = Float64Array.from(durations(), (us) => us / 1e6); // its unit is the second
        return (times) => {
          for (let i = 0; i < times; i++) histogram.observe(values[i & 4095]!);
        };
      },
    },
    {
      name: `${name}: startTimer() and its end`,
      once: true,
      prepare: async () => {
        const { Histogram } = await peer<Prometheus>(name);
        const histogram = new Histogram({ name: 'h', help: 'a histogram' });
        return (times) => {
          for (let i = 0; i < times; i++) histogram.startTimer()();
        };
      },
    },
  ]),
  ...(['explicit', 'exponential'] as const).map(
    (kind): Trial => ({
      name: `OpenTelemetry: Histogram.record(n), ${kind}`,
      once: true,
      prepare: async () => {
        const histogram = (await openTelemetry(kind === 'exponential')).meter.createHistogram('h');
        const values = durations();
        return (times) => {
          for (let i = 0; i < times; i++) histogram.record(values[i & 4095]!);
        };
      },
    }),
  ),
  ...([false, true] as const).map(
    (useWebAssembly): Trial => ({
      name: `hdr-histogram-js: recordValue(n)${useWebAssembly ? ', WebAssembly' : ''}`,
      once: true,
      prepare: async () => {
        const { build, initWebAssembly } = await peer<HdrHistogram>('hdr-histogram-js');
        if (useWebAssembly) await initWebAssembly();
        const histogram = build({ numberOfSignificantValueDigits: 2, useWebAssembly });
        const values = durations();
        return (times) => {
          for (let i = 0; i < times; i++) histogram.recordValue(values[i & 4095]!);
        };
      },
    }),
  ),
];

export const subject = trialSubject('latencies', import.meta.url, [...floors, ...ours, ...peers]);
