// Which statistic of KVM a metric shows: a brand on the definitions that kvmFields() makes. Pure.

/** One of KVM's statistics, of a VM or of a vCPU. */
export interface KvmSource {
  readonly of: 'vm' | 'vcpu';
  /** What KVM calls it. */
  readonly name: string;
}

/** The brand is the same for all copies and versions of the package, and no JSON contains it. */
const SOURCE = Symbol.for('vmm-metrics.kvm');

interface Branded {
  readonly [SOURCE]?: KvmSource;
}

/** The statistic that a definition, or the options of inc() and store(), name; undefined for every other metric. */
export function kvmSourceOf(branded: object): KvmSource | undefined {
  return (branded as Branded)[SOURCE];
}

/** The options with the brand, which inc() and store() pass on to the definition. */
export function withKvmSource<O extends object>(options: O, source: KvmSource): O {
  return Object.assign(options, { [SOURCE]: source });
}

/** The brand alone, to be spread into a definition. */
export function kvmBrandOf(branded: object): object {
  const source = kvmSourceOf(branded);
  return source === undefined ? {} : { [SOURCE]: source };
}
