// The public surface of `vmm-metrics/kvm`. `Metrics.sampleKvm()` fills the metrics.

export { type KvmFieldOptions, type KvmFields, type KvmLeftOut, type KvmMetrics, kvmFields } from './kvm/fields.ts';
