// A process that profiles its own metrics while it increments them: profiled.js FILE INTERVAL_US MS. It sends two
// numbers: the fraction of the ticks that the profile met, and the processor time of a tick.

import { COUNTED, PROFILED } from '../profile-names.ts';
import { opened } from '../store.ts';
import { processorNsByThread } from '../threads.ts';

const [output, intervalUs, ms] = process.argv.slice(2);
const metrics = await opened();
const counted = COUNTED.map((name) => metrics.app.vcpu[name]);
const profile = metrics.startProfiling({ metrics: PROFILED, output: output!, intervalUs: Number(intervalUs) });
for (const began = performance.now(); performance.now() - began < Number(ms); ) {
  for (let i = 0; i < 100_000; i++) for (const metric of counted) metric.inc();
}
const samplingNs = processorNsByThread().get('vmm-sampling') ?? 0;
const { samples, missedTicks } = await profile.stop();
process.send!({ met: (samples - 1) / (samples - 1 + missedTicks), tickNs: samplingNs / samples });
process.disconnect();
