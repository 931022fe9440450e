// `vmm-metrics/opentelemetry`: the values of stores for OpenTelemetry's SDK.

export { metricProducer, type ProducerOptions } from './opentelemetry/producer.ts';
