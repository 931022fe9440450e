// The store that trials measure, with the Firecracker schema, and the preparations that several trials share.

import { existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { IncMetric } from 'vmm-metrics';

import { addon, type BenchAddon } from './addon.ts';
import { Absent } from './subject.ts';
import { HERE, kvmUnderTest, underTest } from './tree.ts';

export type Store = Awaited<ReturnType<typeof opened>>;

/** A store in `file`, or in memory. */
export async function opened(file?: string) {
  const { Metrics, firecracker } = await underTest();
  return Metrics.open(firecracker, { name: 'bench', file });
}

/** A store whose first four cells are counters, with the paths of these counters. */
export async function openedWithFour() {
  const { Metrics, defineSchema, group, inc } = await underTest();
  const schema = defineSchema({ four: group({ a: inc(''), b: inc(''), c: inc(''), d: inc('') }) });
  return { metrics: Metrics.open(schema, { name: 'bench' }), paths: ['four.a', 'four.b', 'four.c', 'four.d'] };
}

/** A store whose latencies have histograms that the line does not show. */
export async function openedWithHistograms(): Promise<Store> {
  const { Metrics, firecrackerSchema } = await underTest();
  if (firecrackerSchema === undefined) throw new Absent('there is no firecrackerSchema()');
  return Metrics.open(firecrackerSchema({ histograms: 'groups' }), { name: 'bench' });
}

/** A vCPU's statistics descriptor as a kernel gave it: 42 numbers, 38 of them counters. */
export const RECORDED_VCPU = join(HERE, 'test/fixtures/kvm/linux-6.18-pvm-vcpu.bin');

/** A store with Firecracker's schema and two vCPUs of KVM, whose descriptors are recorded ones. */
export async function openedWithKvm(): Promise<Store> {
  const { Metrics, firecracker, defineSchema, perDevice } = await underTest();
  const kvm = await kvmUnderTest();
  if (kvm === undefined) throw new Absent('there is no vmm-metrics/kvm');
  const descriptor = openSync(RECORDED_VCPU, 'r');
  const { vcpu } = kvm.kvmFields({ vm: descriptor, vcpu: descriptor })!;
  const metrics = Metrics.open(defineSchema({ ...firecracker.shape, kvm_vcpu: perDevice(vcpu) }), { name: 'bench' });
  metrics.sampleKvm({ vcpus: { 0: descriptor, 1: descriptor } });
  return metrics as unknown as Store;
}

/** The first `count` counters of the schema's groups, with their paths. */
export function counters(metrics: Store, count: number): { path: string; metric: IncMetric }[] {
  const all = Object.entries(metrics.app as object).flatMap(([group, fields]) =>
    Object.entries(fields as object).map(([name, metric]) => ({ path: `${group}.${name}`, metric: metric as IncMetric })),
  );
  return all.filter(({ metric }) => typeof metric === 'object' && 'inc' in metric).slice(0, count);
}

/** The devices that a large machine has: 35. */
export function plugDevices(metrics: Store): void {
  for (let i = 0; i < 8; i++) {
    metrics.app.block.alloc(`drive${i}`);
    metrics.app.net.alloc(`eth${i}`);
  }
  for (let i = 0; i < 19; i++) metrics.app.pmem.alloc(`pmem${i}`);
}

/** The benchmarks' native code, attached to the store. */
export function attached(metrics: { readonly native: object }): BenchAddon {
  try {
    addon.attach(metrics.native);
  } catch (error) {
    throw new Absent(`the header of this tree cannot attach: ${(error as Error).message}`);
  }
  return addon;
}

const folders: string[] = [];

/**
 * A folder that is removed when the process exits. It is in memory where the system has /dev/shm, since a disk that
 * delays a write would be measured.
 */
export function folderInMemory(): string {
  if (folders.length === 0) process.on('exit', removeFolders);
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'vmm-metrics-bench-'));
  folders.push(folder);
  return folder;
}

function removeFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
