// What does it cost to flush a line?

import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

import type { HistogramMetric } from 'vmm-metrics';

import { addon } from '../addon.ts';
import { durations } from '../durations.ts';
import { attached, counters, folderInMemory, opened, openedWithHistograms, plugDevices, type Store } from '../store.ts';
import { Absent, XADD } from '../subject.ts';
import { underTest } from '../tree.ts';
import { type Trial, trialSubject } from '../trial.ts';

const PLAIN = 'write() to /dev/null';
const DEVICES = 'write(), 35 devices';
const CALLS = 'floor: the system calls of a write() to a file';

interface Conditions {
  /** Called before the first line. */
  readonly begin?: (metrics: Store) => void;
  readonly destination?: string;
  readonly open?: () => Promise<Store>;
}

async function writing({ begin, destination = '/dev/null', open = opened }: Conditions = {}) {
  const metrics = await open();
  metrics.init(destination);
  begin?.(metrics);
  return (times: number) => {
    for (let i = 0; i < times; i++) metrics.write();
  };
}

/** Measures without the time to empty the file, which would otherwise fill the memory. */
function emptying(file: string, operation: (times: number) => void) {
  return (times: number) => {
    truncateSync(file);
    const beganNs = addon.threadCpuNs();
    operation(times);
    return (addon.threadCpuNs() - beganNs) / times;
  };
}

/** What the kernel needs to append the line of a store, alone or with the other system calls of a flush. */
async function appending(asFlush: boolean) {
  const file = join(folderInMemory(), 'metrics.jsonl');
  (await writing({ destination: file }))(1);
  const line = readFileSync(file, 'utf8');
  return emptying(file, (times) => {
    if (!addon.append(file, line, times, asFlush)) throw new Error(`cannot append to ${file}`);
  });
}

const HISTOGRAMS = Array.from({ length: 10 }, (_, i) => `t${i}`);
const NATIVE_THREADS = 7;
/** How many durations each thread observes in each histogram between two lines: most buckets in use then change. */
const NEW_EACH = 64;

/**
 * What histograms in the line add to a write() when this thread and native threads observe new durations before each
 * line. Nanoseconds; the same store without histograms is measured in turn.
 */
async function addedByHistograms() {
  const { Metrics, defineSchema, firecracker, group, histogram } = await underTest();
  if (histogram === undefined) throw new Absent('there is no histogram()');
  const plain = await opened();
  plain.init('/dev/null');
  attached(plain).claim(NATIVE_THREADS);
  const fields = Object.fromEntries(HISTOGRAMS.map((name) => [name, histogram('durations', { unit: 'us' })]));
  const full = Metrics.open(defineSchema({ ...firecracker.shape, h: group(fields) }), { name: 'histograms' });
  full.init('/dev/null');
  const native = attached(full);
  native.claim(NATIVE_THREADS);
  const metrics = Object.values(full.app.h) as unknown as HistogramMetric[];
  const values = durations();
  let at = 0;
  return (times: number) => {
    let ns = 0;
    for (let i = 0; i < times; i++) {
      for (const name of HISTOGRAMS) native.observeInEach(`h.${name}`, values, at, NEW_EACH);
      at += NATIVE_THREADS * NEW_EACH;
      for (const metric of metrics) for (let n = 0; n < NEW_EACH; n++) metric.observe(values[(at + n) & 4095]!);
      at += NEW_EACH;
      const beganNs = addon.threadCpuNs();
      plain.write();
      const middleNs = addon.threadCpuNs();
      full.write();
      ns += addon.threadCpuNs() - middleNs - (middleNs - beganNs);
    }
    return ns / times;
  };
}

const trials: Trial[] = [
  { name: PLAIN, bound: { atMost: 400, of: XADD }, prepare: () => writing() },
  { name: DEVICES, bound: { atMost: 950, of: XADD }, prepare: () => writing({ begin: plugDevices }) },
  {
    name: 'write(), signals captured',
    bound: { atMost: 1.05, of: PLAIN },
    prepare: () => writing({ begin: (metrics) => metrics.captureSignals() }),
  },
  {
    name: 'write(), 35 devices, signals captured',
    bound: { atMost: 1.05, of: DEVICES },
    prepare: () =>
      writing({
        begin: (metrics) => {
          plugDevices(metrics);
          metrics.captureSignals();
        },
      }),
  },
  {
    name: 'write(), after 126 workers once lived',
    bound: { atMost: 1.3, of: PLAIN },
    prepare: () => writing({ begin: (metrics) => attached(metrics).live('vcpu.exit_io_in', 126) }),
  },
  { name: 'floor: one append of the line to a file', once: true, prepare: () => appending(false) },
  { name: CALLS, once: true, prepare: () => appending(true) },
  {
    name: 'write() to a file',
    bound: { atMost: 1.25, of: CALLS },
    prepare: async () => {
      const file = join(folderInMemory(), 'metrics.jsonl');
      return emptying(file, await writing({ destination: file }));
    },
  },
  {
    name: 'write(), 11 hidden histograms',
    bound: { atMost: 1.15, of: PLAIN },
    prepare: () => writing({ open: openedWithHistograms }),
  },
  {
    name: 'write(), 10 histograms of 8 threads: what they add',
    bound: { atMost: 790, of: XADD }, // 4 us where a lock xadd takes 5.06 ns
    prepare: addedByHistograms,
  },
  {
    name: 'write(), with an add() to each counter',
    prepare: async () => {
      const metrics = await opened();
      metrics.init('/dev/null');
      const all = counters(metrics, Number.POSITIVE_INFINITY).map(({ metric }) => metric);
      return (times) => {
        for (let i = 0; i < times; i++) {
          for (const metric of all) metric.add(i);
          metrics.write();
        }
      };
    },
  },
];

export const subject = trialSubject('flushes', import.meta.url, trials);
