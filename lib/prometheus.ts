/**
 * `vmm-metrics/prometheus`: the values of stores and region files for Prometheus.
 * @module vmm-metrics/prometheus
 */

export { type CollectedFamily, type Collector, type CollectorOptions, collectors } from './prometheus/collectors.ts';
export {
  contentType,
  type ExpositionFormat,
  type ExpositionOptions,
  type ExpositionSource,
  exposition,
  expositionBytes,
} from './prometheus/exposition.ts';
export type { Labels } from './prometheus/names.ts';
