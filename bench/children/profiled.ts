// A process that profiles its own metrics while it increments them: profiled.js FILE INTERVAL_US MS [kvm]. With `kvm`,
// one more column is a vCPU's exits as KVM counts them. It says when it is ready, and then makes a profile of MS
// milliseconds for each message. It answers with the fraction of the ticks that the profile met, and the processor time
// of a tick.

import { COUNTED, PROFILED } from '../profile-names.ts';
import { opened, openedWithKvm } from '../store.ts';
import { processorNsByThread } from '../threads.ts';

/** How a profile went. */
export interface Profiled {
  readonly met: number;
  readonly tickNs: number;
}

const [output, intervalUs, ms, kvm] = process.argv.slice(2);
const metrics = kvm === undefined ? await opened() : await openedWithKvm();
const columns = kvm === undefined ? PROFILED : [...PROFILED, 'kvm_vcpu_0.exits'];
const counted = COUNTED.map((name) => metrics.app.vcpu[name]);

async function profiled(): Promise<Profiled> {
  const profile = metrics.startProfiling({ metrics: columns, output: output!, intervalUs: Number(intervalUs) });
  for (const began = performance.now(); performance.now() - began < Number(ms); ) {
    for (let i = 0; i < 100_000; i++) for (const metric of counted) metric.inc();
  }
  const samplingNs = processorNsByThread().get('vmm-sampling') ?? 0;
  const { samples, missedTicks } = await profile.stop();
  return { met: (samples - 1) / (samples - 1 + missedTicks), tickNs: samplingNs / samples };
}

process.on('message', async () => process.send!(await profiled()));
process.send!('ready');
