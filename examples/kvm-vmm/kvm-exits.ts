// The exits that this program has seen, beside those that KVM itself has counted.

import type { VmMetrics } from './vmm.ts';

type Snapshot = ReturnType<VmMetrics['snapshot']>;
type VcpuValues = Snapshot['vcpu'];

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

/** The table; undefined if KVM has no such numbers. */
export function kvmTable({ vcpu, kvm_vcpu }: Snapshot): string | undefined {
  const counted = kvm_vcpu?.devices['0'];
  if (counted === undefined) return undefined;
  const rows = ROWS.filter(({ kvm, seen }) => (counted[kvm] ?? 0n) !== 0n || (seen?.(vcpu) ?? 0n) !== 0n);
  const line = (name: string, ...numbers: readonly string[]) => `  ${name.padEnd(26)}${numbers.map((text) => text.padStart(16)).join('')}`;
  const shown = (value: bigint | undefined) => value?.toLocaleString('en-US') ?? '';
  return [
    line('', 'seen here', 'counted by KVM'),
    ...rows.map(({ name, kvm, seen }) => line(name, shown(seen?.(vcpu)), counted[kvm] ? shown(counted[kvm]) : 'not counted')),
    '',
  ].join('\n');
}
