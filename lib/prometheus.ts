// `vmm-metrics/prometheus`: the values of stores and region files for Prometheus.

export {
  contentType,
  type ExpositionFormat,
  type ExpositionOptions,
  type ExpositionSource,
  exposition,
  expositionBytes,
  type Labels,
} from './prometheus/exposition.ts';
