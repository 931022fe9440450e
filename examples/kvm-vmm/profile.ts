// Profiles the machine while it runs, and plots the profile.

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

import type { Profile, ProfileStats } from 'vmm-metrics';

import type { VmMetrics } from './vmm.ts';

const TABLE = 'kvm-vmm-profile.tsv';
const PAGE = 'kvm-vmm-profile.html';

/** Starts the profile. The devices must exist, since the profile names their metrics. */
export function startProfile(metrics: VmMetrics): Profile {
  return metrics.startProfiling({
    metrics: [
      ...['exit_io_in', 'exit_io_out', 'exit_mmio_read', 'exit_mmio_write'].map((exit) => `vcpu.${exit}`),
      ...['exit_io_out_agg.sum_us', 'exit_mmio_write_agg.sum_us'].map((part) => `vcpu.${part}`),
      ...['read_count', 'write_count', 'read_bytes', 'write_bytes'].map((metric) => `block_rootfs.${metric}`),
      'uart.write_count',
    ],
    output: TABLE,
    annotate: true,
  });
}

/** Makes the page with `vmm-metrics plot`, and returns a summary for the user. */
export function plotProfile({ samples, missedTicks, lateNs }: ProfileStats): string {
  const root = dirname(createRequire(import.meta.url).resolve('vmm-metrics/package.json'));
  execFileSync(process.execPath, [join(root, 'dist/lib/cli/main.js'), 'plot', TABLE, '-o', PAGE]);
  const late = `late by ${Math.round(lateNs.median / 1000)} us (median), ${Math.round(lateNs.p99 / 1000)} us (p99)`;
  return `${samples} samples in ${TABLE}, ${missedTicks} ticks missed, ${late}\nPlot in ${resolve(PAGE)}\n`;
}
