// vmm-metrics/kvm on this machine's /dev/kvm: what metrics have is what KVM has counted.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, inc, Metrics, perDevice } from 'vmm-metrics';
import { kvmFields } from 'vmm-metrics/kvm';

import { runChild } from './helpers/children.ts';
import { at, closing, freshName, linesIn, sumOf, temporaryFolder } from './helpers/workplace.ts';

interface Addon {
  makeVm(vcpus: number): string;
  vmDescriptor(vcpu: number): number;
  runVcpu(vcpu: number, exits: number): number;
  startVcpus(count: number): void;
  stopVcpus(): void;
  dropVm(): void;
  attach(external: unknown, fingerprint: bigint): string;
  watchKvm(descriptor: number, vcpu: string): string;
}
const addon = createRequire(import.meta.url)('./addon/build/Release/vmm_test.node') as Addon;

const problem = addon.makeVm(1);
if (problem === '') addon.dropVm();
const fields = kvmFields();
const skipped = problem !== '' ? problem : fields === undefined ? 'this kernel has no statistics descriptors of KVM' : undefined;
if (skipped !== undefined) console.log(`skipped, since there is no KVM to ask: ${skipped}`);

const VM = -1;
const VCPUS = 2;

function running() {
  expect(addon.makeVm(VCPUS)).toBe('');
  onTestFinished(() => addon.dropVm());
  const schema = defineSchema({ g: group({ n: inc('n') }), kvm: group(fields!.vm), cpu: perDevice(fields!.vcpu) });
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  const descriptors = Object.fromEntries(Array.from({ length: VCPUS }, (_, i) => [String(i), addon.vmDescriptor(i)]));
  return { metrics, vm: addon.vmDescriptor(VM), vcpus: descriptors };
}

/** What the descriptor of a VM or vCPU says now: a store of its own reads it. */
function valuesOf(of: 'vm' | 'vcpu', descriptor: number): Record<string, bigint> {
  const schema = defineSchema({ vm: group(fields!.vm), vcpu: perDevice(fields!.vcpu) });
  using metrics = Metrics.open(schema, { name: freshName() });
  metrics.sampleKvm(of === 'vm' ? { vm: descriptor } : { vcpus: { one: descriptor } });
  const values = metrics.snapshot();
  return of === 'vm' ? values.vm : values.vcpu.devices['one']!;
}

test.skipIf(existsSync('/dev/kvm'))('given a machine without /dev/kvm, when the fields are asked for, then there are none', () => {
  expect(fields).toBeUndefined();
});

describe.skipIf(skipped !== undefined)('given vCPUs on /dev/kvm', () => {
  test('when the fields are made twice, then KVM is asked once', () => {
    expect(kvmFields()).toBe(fields);
    expect(Object.keys(fields!.vcpu)).toContain('exits');
  });

  test('when they run while lines are written, and then stop, then line, snapshot and descriptor agree exactly', () => {
    const { metrics, vm, vcpus } = running();
    const file = `${temporaryFolder()}/lines`;
    metrics.init(file);
    metrics.sampleKvm({ vm, vcpus });
    metrics.startPeriodicFlush({ intervalMs: 1 });
    addon.startVcpus(VCPUS);
    for (let i = 0; i < 300; i++) {
      metrics.write();
      metrics.snapshot();
    }
    addon.stopVcpus();
    metrics.write();
    const { kvm, cpu } = metrics.snapshot();
    const lines = linesIn(file);
    const counters = Object.entries(fields!.vcpu).filter(([, { kind }]) => kind === 'inc');
    for (let i = 0; i < VCPUS; i++) {
      const values = valuesOf('vcpu', vcpus[i]!);
      expect(values['exits']).toBeGreaterThan(0n);
      expect(cpu.devices[i]).toEqual(values);
      for (const [name] of counters) expect(sumOf(lines, `cpu_${i}.${name}`), name).toBe(values[name]);
    }
    expect(kvm).toEqual(valuesOf('vm', vm));
    for (const [name] of counters) {
      const sum = Object.values(cpu.devices).reduce((total, device) => total + device[name]!, 0n);
      expect([cpu.aggregate[name], sumOf(lines, `cpu.${name}`)], name).toEqual([sum, sum]);
    }
  });

  test('when a profile samples a vCPU, then its rows rise to what KVM has counted', async () => {
    const { metrics, vcpus } = running();
    metrics.sampleKvm({ vcpus });
    const output = `${temporaryFolder()}/p.tsv`;
    const profile = metrics.startProfiling({ metrics: ['cpu_0.exits', 'cpu_1.exits', 'g.n'], intervalUs: 100, output });
    expect(addon.runVcpu(0, 2000)).toBe(1);
    const { samples } = await profile.stop();
    const rows = readFileSync(output, 'utf8').split('\n').slice(1, -1);
    expect(rows).toHaveLength(samples);
    const column = rows.map((row) => Number(row.split('\t')[1]));
    expect(column).toEqual(column.toSorted((a, b) => a - b));
    expect(BigInt(column.at(-1)!)).toBe(valuesOf('vcpu', vcpus[0]!)['exits']);
    expect(new Set(column).size).toBeGreaterThan(2);
  });

  test('when a VM goes and another one comes, then the counts add up; native code may pass the descriptors too', () => {
    const { metrics, vm, vcpus } = running();
    expect(addon.attach(metrics.native, 0n)).toBe('ok');
    expect(addon.watchKvm(vm, '')).toBe('ok');
    expect(addon.watchKvm(vcpus[0]!, '0')).toBe('ok');
    expect(addon.runVcpu(0, 700)).toBe(1);
    const first = metrics.snapshot().cpu.devices['0']!['exits']!;
    expect(first).toBeGreaterThanOrEqual(700n);
    addon.dropVm();
    expect(metrics.snapshot().cpu.devices['0']!['exits']).toBe(first);
    expect(addon.makeVm(VCPUS)).toBe('');
    metrics.sampleKvm({ vm: addon.vmDescriptor(VM), vcpus: { 0: addon.vmDescriptor(0) } });
    expect(addon.runVcpu(0, 300)).toBe(1);
    expect(metrics.snapshot().cpu.devices['0']!['exits']).toBe(first + valuesOf('vcpu', addon.vmDescriptor(0))['exits']!);
    expect(addon.watchKvm(-1, '0')).toBe('ok');
  });

  test('when the kernel has no statistics descriptors, then there are no fields, and one warning says so', async () => {
    const { stdout, stderr, code } = await runChild('kvm-live.mjs', ['', 'older']);
    expect({ stdout, code }).toEqual({ stdout: 'undefined 0\n', code: 0 });
    expect(stderr.match(/METRICS_NO_KVM_STATISTICS.*/g)).toEqual([
      'METRICS_NO_KVM_STATISTICS] MetricsWarning: sampleKvm() samples nothing: this kernel has no statistics descriptors of KVM ' +
        '(KVM_CAP_BINARY_STATS_FD, since Linux 5.14).',
    ]);
  });

  test('when the process dies by SIGSEGV while they run, then the last line has exits from after the line before', async () => {
    const lines = `${temporaryFolder()}/lines`;
    const { signal } = await runChild('kvm-live.mjs', [lines]);
    expect(signal).toBe('SIGSEGV');
    const [first, last, ...others] = linesIn(lines);
    expect(others).toEqual([]);
    // The vCPU made 100 exits before the first line, and 5,000 between that line and the fault.
    expect(at(first!, 'cpu_0.exits')).toBeGreaterThanOrEqual(100n);
    expect(at(last!, 'cpu_0.exits')).toBeGreaterThanOrEqual(5000n);
    expect(at(last!, 'signals.sigsegv')).toBe(1n);
  });
});
