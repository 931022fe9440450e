// Where a schema has the metrics that show KVM's statistics. Pure.

import { schemaError } from '../errors.ts';
import { kvmSourceOf } from '../kvm-source.ts';
import type { Layout, MetricLayout } from '../layout.ts';

/** A metric, and the statistic that it shows. */
export interface KvmPlace {
  /** What KVM calls the statistic. */
  readonly name: string;
  readonly metric: MetricLayout;
}

export interface KvmPlaces {
  readonly vm: readonly KvmPlace[];
  readonly vcpu: readonly KvmPlace[];
  /** The number of the group whose devices are the vCPUs, if the schema has one. */
  readonly vcpuGroup: number | undefined;
}

const known = new WeakMap<Layout, KvmPlaces | undefined>();

/**
 * The metrics of kvmFields(), if the schema has any.
 * @throws MetricsError `ERR_METRICS_SCHEMA` when a VM's metric is not in a group(), a vCPU's not in a perDevice(), or
 * two metrics show one statistic.
 */
export function kvmPlacesOf(layout: Layout): KvmPlaces | undefined {
  if (!known.has(layout)) known.set(layout, findPlaces(layout));
  return known.get(layout);
}

function findPlaces(layout: Layout): KvmPlaces | undefined {
  const vm: KvmPlace[] = [];
  const vcpu: KvmPlace[] = [];
  let vcpuGroup: number | undefined;
  for (const entry of layout.entries) {
    if (entry.kind === 'utcTimestampMs') continue;
    for (const metric of entry.metrics) {
      const source = kvmSourceOf(metric.def);
      if (source === undefined) continue;
      if (source.of === 'vm' && entry.kind !== 'group') throw schemaError(metric.path, 'a metric of kvmFields().vm must be in a group()');
      if (source.of === 'vcpu' && entry.kind !== 'perDevice')
        throw schemaError(metric.path, 'a metric of kvmFields().vcpu must be in a perDevice()');
      const places = source.of === 'vm' ? vm : vcpu;
      const other = places.find(({ name }) => name === source.name);
      if (other !== undefined) throw schemaError(metric.path, `${other.metric.path} shows the same statistic of KVM, ${source.name}`);
      if (entry.kind === 'perDevice') {
        if (vcpuGroup !== undefined && vcpuGroup !== entry.group)
          throw schemaError(metric.path, `the metrics of kvmFields().vcpu must be in one group; ${vcpu[0]!.metric.path} is in another`);
        vcpuGroup = entry.group;
      }
      places.push({ name: source.name, metric });
    }
  }
  return vm.length + vcpu.length === 0 ? undefined : { vm, vcpu, vcpuGroup };
}
