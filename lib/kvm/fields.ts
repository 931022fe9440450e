// The metrics that show KVM's statistics, made from what the running kernel says about them.

import { checkedInteger, checkedOptions, checkedPath, INT_MAX } from '../arguments.ts';
import { binding, type KvmStatistic } from '../binding.ts';
import { ErrorCode } from '../errors.ts';
import { failureError, isFailure } from '../failures.ts';
import { type KvmSource, withKvmSource } from '../kvm-source.ts';
import { type IncDef, inc, type StoreDef, store } from '../schema.ts';

/** Metrics by their names, for `group()` and `perDevice()`. The names are KVM's. */
export interface KvmMetrics {
  readonly [name: string]: IncDef | StoreDef;
}

/** A statistic of KVM that no metric can show. */
export interface KvmLeftOut {
  readonly of: 'vm' | 'vcpu';
  readonly name: string;
  /** Why, such as `it is a histogram, whose buckets are not those of histogram()`. */
  readonly reason: string;
}

/** The metrics of this kernel. */
export interface KvmFields {
  /** The statistics of a VM, for a `group()`. */
  readonly vm: KvmMetrics;
  /** The statistics of a vCPU, for a `perDevice()`: each vCPU is a device. */
  readonly vcpu: KvmMetrics;
  /** The statistics that are in neither. */
  readonly leftOut: readonly KvmLeftOut[];
}

/** The options of `kvmFields()`. */
export interface KvmFieldOptions {
  /**
   * The descriptor of a VM, or its statistics descriptor. Default: that of a VM that is made for this call and dropped
   * again, for which the process must be allowed to use /dev/kvm.
   */
  readonly vm?: number | undefined;
  /** The descriptor of a vCPU, or its statistics descriptor. Default: that of a vCPU of such a VM. */
  readonly vcpu?: number | undefined;
  /** The path of the native addon, as the option of `Metrics.open()`. */
  readonly addon?: string | undefined;
}

const where = 'kvmFields()';
let ofThisKernel: KvmFields | undefined;

/**
 * The metrics that show KVM's own statistics, for a schema. The running kernel says which statistics it has. A counter
 * becomes an inc metric; an instantaneous or peak value becomes a store metric. Times are in `ns`, `us` or `ms`, sizes
 * in bytes; where the kernel counts a larger unit, the metric has the value times a whole number.
 *
 * ```ts
 * const kvm = kvmFields();
 * const schema = defineSchema({
 *   vcpu: group({ exit_io_out: inc('KVM exits for port output') }),
 *   ...(kvm && { kvm_vm: group(kvm.vm), kvm_vcpu: perDevice(kvm.vcpu) }),
 * });
 * ```
 * `metrics.sampleKvm()` says which VM and vCPUs are sampled. The metrics are known by a mark on their definitions: they
 * may stand under any names, beside other metrics, and some may be left out.
 * @returns Undefined if this process cannot use KVM, or the kernel has no statistics descriptors
 * (KVM_CAP_BINARY_STATS_FD, since Linux 5.14).
 * @throws TypeError, RangeError for wrong options.
 * @throws MetricsError `ERR_METRICS_ATTACH` when a descriptor is not one of KVM, or what it says cannot be right. The
 * message names what is wrong.
 * @throws MetricsError `ERR_METRICS_NATIVE` when the addon cannot be loaded.
 */
export function kvmFields(options?: KvmFieldOptions): KvmFields | undefined {
  const { vm, vcpu, addon } = checkedOptions<KvmFieldOptions>(where, options, ['vm', 'vcpu', 'addon']);
  for (const [name, descriptor] of Object.entries({ vm, vcpu })) {
    if (descriptor !== undefined) checkedInteger(`${where}: ${name}, a descriptor,`, descriptor, 0, INT_MAX);
  }
  const isOfThisKernel = vm === undefined && vcpu === undefined;
  if (addon !== undefined) checkedPath(`${where}: addon`, addon);
  const native = binding(addon);
  if (isOfThisKernel && ofThisKernel !== undefined) return ofThisKernel;
  const result = native.kvmStatistics(vm ?? -1, vcpu ?? -1);
  if (isFailure(result)) {
    if (result.code === 'noStatistics') return undefined;
    const what = result.isVcpu ? 'vCPU' : 'VM';
    const descriptor = result.isVcpu ? vcpu : vm;
    throw failureError(result, {
      what: `Cannot read the statistics of ${descriptor === undefined ? `a ${what}` : `the ${what} at descriptor ${descriptor}`}`,
      error: ErrorCode.ATTACH,
    });
  }
  const leftOut: KvmLeftOut[] = [];
  const fields = Object.freeze({
    vm: metricsOf('vm', result.vm, leftOut),
    vcpu: metricsOf('vcpu', result.vcpu, leftOut),
    leftOut: Object.freeze(leftOut),
  });
  if (isOfThisKernel) ofThisKernel = fields;
  return fields;
}

function metricsOf(of: KvmSource['of'], statistics: readonly KvmStatistic[], leftOut: KvmLeftOut[]): KvmMetrics {
  const owner = of === 'vm' ? 'VM' : 'vCPU';
  const metrics = statistics.flatMap(({ name, kind, isPeak, unit, leftOut: reason }): [string, IncDef | StoreDef][] => {
    if (kind === undefined) {
      leftOut.push(Object.freeze({ of, name, reason }));
      return [];
    }
    const source = Object.freeze({ of, name });
    if (kind === 'inc') return [[name, inc(`KVM's counter ${name} of the ${owner}`, withKvmSource({ unit }, source))]];
    const aggregate = of === 'vcpu' && isPeak ? ({ aggregate: 'max' } as const) : {};
    const doc = `KVM's ${isPeak ? 'peak' : 'value'} ${name} of the ${owner}`;
    return [[name, store(doc, withKvmSource({ unit, ...aggregate }, source))]];
  });
  return Object.freeze(Object.fromEntries(metrics));
}
