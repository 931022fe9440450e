/**
 * `vmm-metrics/opentelemetry`: the values of stores for OpenTelemetry's SDK.
 * @module vmm-metrics/opentelemetry
 */

export { metricProducer, type ProducerOptions, type ProducerSource } from './opentelemetry/producer.ts';
