// A process that starts and says how long that took, and its memory: start.js STEP. It imports nothing else, since that
// would be measured.

import { readFileSync, writeSync } from 'node:fs';

import type { Metrics } from 'vmm-metrics';

const STEPS = ['import', 'schema', 'open', 'init'];

const step = process.argv[2]!;
const file = (name: string) => `file://${process.env['VMM_METRICS_BENCH_TREE']}/dist/lib/${name}.js`;

const upTo = STEPS.indexOf(step);
if (upTo >= 0) {
  const index = (await import(file('index'))) as { Metrics: { open(schema: object): Metrics<never> } };
  if (upTo >= 1) {
    const { firecracker } = (await import(file('firecracker'))) as { firecracker: object };
    if (upTo >= 2) {
      const metrics = index.Metrics.open(firecracker);
      if (upTo >= 3) metrics.init('/dev/null');
    }
  }
} else if (step === 'empty') await import('./empty.ts');
else if (step !== 'bare') await import(step);

const ms = performance.now(); // since the process started
const processorMs = Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6; // of the main thread
writeSync(1, JSON.stringify({ ms, processorMs, rssBytes: process.memoryUsage.rss() }));
process.exit();
