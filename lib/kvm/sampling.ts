// Metrics.sampleKvm(): which VM and vCPUs of KVM are sampled.

import { checkedDeviceId, checkedInteger, checkedOptions, checkedPlainObject, INT_MAX, shown } from '../arguments.ts';
import { type Binding, binding } from '../binding.ts';
import { ErrorCode, MetricsError } from '../errors.ts';
import { failureError } from '../failures.ts';
import { hintAtNoKvmStatistics } from '../hints.ts';
import type { Layout } from '../layout.ts';
import type { ThreadCells } from '../thread-cells.ts';
import { kvmPlacesOf } from './places.ts';

/**
 * What to sample. A descriptor is that of a VM or vCPU, or its statistics descriptor (KVM_GET_STATS_FD). The store
 * duplicates descriptors; the caller keeps its own. Null ends the sampling.
 */
export interface KvmDescriptors {
  /** The VM. */
  readonly vm?: number | null | undefined;
  /** The vCPUs. The keys are the ids of their devices. */
  readonly vcpus?: Readonly<Record<string, number | null>> | undefined;
}

const where = 'sampleKvm()';
/** Stands for no descriptor in native code. */
const NONE = -1;

export function sampleKvm(cells: ThreadCells, layout: Layout, given: unknown): void {
  void cells.attachment; // throws when closed
  const { vm, vcpus } = checkedOptions<KvmDescriptors>(where, given, ['vm', 'vcpus']);
  const ids: (string | null)[] = [];
  const descriptors: number[] = [];
  const add = (name: string, id: string | null, descriptor: unknown) => {
    ids.push(id);
    descriptors.push(descriptor === null ? NONE : checkedInteger(`${where}: ${name}, a descriptor,`, descriptor, 0, INT_MAX));
  };
  if (vm !== undefined) add('vm', null, vm);
  if (vcpus !== undefined) {
    const entries = Object.entries(checkedPlainObject(`${where}: vcpus`, vcpus, ' of descriptors'));
    for (const [id, descriptor] of entries) add(`vcpus[${shown(id)}]`, checkedDeviceId(id), descriptor);
  }
  if (ids.length === 0) return;
  const places = kvmPlacesOf(layout);
  const native = binding();
  if (places === undefined && hasNoStatistics(native, descriptors)) {
    hintAtNoKvmStatistics(native);
    return;
  }
  for (const [of, isWanted] of [
    ['vm', vm !== undefined],
    ['vcpu', vcpus !== undefined],
  ] as const) {
    if (isWanted && !places?.[of].length)
      throw new MetricsError(ErrorCode.SCHEMA, `${where}: the schema has no metric of kvmFields().${of} of vmm-metrics/kvm`);
  }
  const failure = cells.attachment.sampleKvm(ids, descriptors); // again: a getter may have closed it
  if (failure === undefined) return;
  if (failure.code === 'noStatistics') {
    hintAtNoKvmStatistics(native);
    return;
  }
  const id = ids[failure.index]!;
  const what = `Cannot sample the ${id === null ? 'VM' : `vCPU ${shown(id)}`} of KVM at descriptor ${descriptors[failure.index]}`;
  throw failureError(failure, { what, error: ErrorCode.ATTACH });
}

/** Whether the kernel is why the schema has no metrics of KVM. */
function hasNoStatistics(native: Binding, descriptors: readonly number[]): boolean {
  const one = descriptors.find((descriptor) => descriptor !== NONE) ?? NONE;
  const result = native.kvmStatistics(one, one);
  return 'code' in result && result.code === 'noStatistics';
}
