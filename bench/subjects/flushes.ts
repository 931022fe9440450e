// What does it cost to flush a line?

import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

import { addon } from '../addon.ts';
import { attached, counters, folderInMemory, opened, openedWithHistograms, plugDevices, type Store } from '../store.ts';
import { XADD } from '../subject.ts';
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
