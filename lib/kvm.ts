/**
 * `vmm-metrics/kvm`: metrics for what KVM itself counts. `Metrics.sampleKvm()` fills them.
 * @module vmm-metrics/kvm
 */

export { type KvmFieldOptions, type KvmFields, type KvmLeftOut, type KvmMetrics, kvmFields } from './kvm/fields.ts';
