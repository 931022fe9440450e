// A process that profiles its own metrics while it increments them: profiled.js FILE INTERVAL_US MS [kvm]. With `kvm`,
// one more column is a vCPU's exits as KVM counts them. It sends two numbers: the fraction of the ticks that the
// profile met, and the processor time of a tick.

import { COUNTED, PROFILED } from '../profile-names.ts';
import { opened, openedWithKvm } from '../store.ts';
import { processorNsByThread } from '../threads.ts';

const [output, intervalUs, ms, kvm] = process.argv.slice(2);
const metrics = kvm === undefined ? await opened() : await openedWithKvm();
const columns = kvm === undefined ? PROFILED : [...PROFILED, 'kvm_vcpu_0.exits'];
const counted = COUNTED.map((name) => metrics.app.vcpu[name]);
const profile = metrics.startProfiling({ metrics: columns, output: output!, intervalUs: Number(intervalUs) });
for (const began = performance.now(); performance.now() - began < Number(ms); ) {
  for (let i = 0; i < 100_000; i++) for (const metric of counted) metric.inc();
}
const samplingNs = processorNsByThread().get('vmm-sampling') ?? 0;
const { samples, missedTicks } = await profile.stop();
process.send!({ met: (samples - 1) / (samples - 1 + missedTicks), tickNs: samplingNs / samples });
process.disconnect();
