// The virtual machines as targets for Prometheus: the answer to its HTTP service discovery. Pure.

import { propertyLabels } from './own-families.ts';
import type { ServedFile } from './served-file.ts';

export interface TargetGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * One target for each virtual machine. Without the label `instance`, all targets of a host would be the same to
 * Prometheus. `host` is the address under which the client has reached the agent.
 */
export function targetsOf(vms: readonly ServedFile[], host: string): TargetGroup[] {
  return vms.map(({ name, path, state, writer }) => {
    const { id, storeName, properties } = writer!;
    // Prometheus escapes the path.
    const metricsPath = `/vm/${name}/metrics`;
    return {
      targets: [host],
      labels: {
        instance: `${host}/vm/${name}`,
        __metrics_path__: metricsPath,
        __meta_vmm_name: name,
        __meta_vmm_file: path,
        __meta_vmm_state: state ?? 'unreadable',
        __meta_vmm_store: storeName,
        ...(id !== undefined && { __meta_vmm_id: id }),
        ...propertyLabels('__meta_vmm_property_', properties),
      },
    };
  });
}
