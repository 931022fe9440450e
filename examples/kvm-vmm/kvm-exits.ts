// What KVM itself has counted, beside the exits that this program has seen. Which numbers there are depends on the
// kernel, so they have a store of their own: `native/metrics.gen.h` was made for every kernel.

import { defineSchema, group, Metrics, perDevice } from 'vmm-metrics';
import { kvmFields } from 'vmm-metrics/kvm';

import type { Vm, VmMetrics } from './vmm.ts';

type VcpuValues = ReturnType<VmMetrics['snapshot']>['vcpu'];

/** The rows of the table: what this program counts, and what KVM calls it. */
const ROWS: readonly { readonly name: string; readonly kvm: string; readonly seen?: (vcpu: VcpuValues) => bigint }[] = [
  { name: 'all exits', kvm: 'exits', seen: exitsSeen },
  { name: 'port input and output', kvm: 'io_exits', seen: ({ exit_io_in, exit_io_out }) => exit_io_in + exit_io_out },
  { name: 'memory-mapped devices', kvm: 'mmio_exits', seen: ({ exit_mmio_read, exit_mmio_write }) => exit_mmio_read + exit_mmio_write },
  { name: 'halts', kvm: 'halt_exits' },
  { name: 'interrupts for the host', kvm: 'irq_exits' },
  { name: 'interrupts for the guest', kvm: 'irq_injections' },
  { name: 'page faults', kvm: 'pf_taken' },
  { name: 'emulated instructions', kvm: 'insn_emulation' },
];

/** The exits that reached this program. */
export function exitsSeen({ exit_io_in, exit_io_out, exit_mmio_read, exit_mmio_write }: VcpuValues): bigint {
  return exit_io_in + exit_io_out + exit_mmio_read + exit_mmio_write;
}

/** Samples the vCPU of the machine. Returns a function that makes the table; undefined if KVM has no such numbers. */
export function watchKvm(vm: Vm): ((seen: VcpuValues) => string) | undefined {
  const { kvmDescriptors } = vm;
  const fields = kvmDescriptors && kvmFields(kvmDescriptors);
  if (fields === undefined) return undefined;
  const metrics = Metrics.open(defineSchema({ vm: group(fields.vm), vcpu: perDevice(fields.vcpu) }), { name: 'kvm-vmm-kvm' });
  metrics.sampleKvm({ vm: kvmDescriptors!.vm, vcpus: { 0: kvmDescriptors!.vcpu } });
  return (seen) => {
    const counted = metrics.snapshot().vcpu.devices['0']!;
    metrics.close();
    const rows = ROWS.filter(({ kvm, seen: of }) => (counted[kvm] ?? 0n) !== 0n || (of?.(seen) ?? 0n) !== 0n);
    const line = (name: string, ...numbers: readonly string[]) =>
      `  ${name.padEnd(26)}${numbers.map((text) => text.padStart(16)).join('')}`;
    const shown = (value: bigint | undefined) => value?.toLocaleString('en-US') ?? '';
    return [
      line('', 'seen here', 'counted by KVM'),
      ...rows.map(({ name, kvm, seen: of }) => line(name, shown(of?.(seen)), counted[kvm] ? shown(counted[kvm]) : 'not counted')),
      '',
    ].join('\n');
  };
}
