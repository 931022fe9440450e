// A process that starts, and prints its time and memory: start.js STEP. This file imports nothing, because an import
// would be measured too: that of node:fs loads all of Node's streams.

import type { Metrics } from 'vmm-metrics';

const { writeSync } = process.getBuiltinModule('node:fs');
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
const { user, system } = process.cpuUsage();
const processorMs = (user + system) / 1000;
writeSync(1, JSON.stringify({ ms, processorMs, rssBytes: process.memoryUsage.rss() }));
process.exit();
