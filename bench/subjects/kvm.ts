// What does a sample of one vCPU's statistics cost, beyond the one system call that it needs?

import { readFileSync } from 'node:fs';

import { addon } from '../addon.ts';
import { RECORDED_VCPU } from '../store.ts';
import { type Trial, trialSubject } from '../trial.ts';

const sampling = (name: string, changes: number): Trial => ({
  name: `a sample of a vCPU beyond its pread, ${name}`,
  bound: { atMost: 250 },
  once: true,
  prepare: async () => {
    const bytes = readFileSync(RECORDED_VCPU);
    return (times) => addon.sampleKvmNs(bytes, changes, times);
  },
});

const trials = [sampling('nothing new', 0), sampling('a dozen counters went up', 12), sampling('every counter went up', 100)];

export const subject = trialSubject('KVM', import.meta.url, trials);
