// What does it cost to flush a line?

import { truncateSync } from 'node:fs';
import { join } from 'node:path';

import { attached, counters, folderInMemory, opened, openedWithHistograms, plugDevices, type Store } from '../store.ts';
import { XADD } from '../subject.ts';
import { type Trial, trialSubject } from '../trial.ts';

const PLAIN = 'write() to /dev/null';
const DEVICES = 'write(), 35 devices';

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
  {
    name: 'write() to a file',
    bound: { atMost: 800, of: XADD },
    prepare: async () => {
      const file = join(folderInMemory(), 'metrics.jsonl');
      const write = await writing({ destination: file });
      return (times) => {
        truncateSync(file); // otherwise the file would fill the memory
        write(times);
      };
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
