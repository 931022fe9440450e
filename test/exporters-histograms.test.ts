// Histograms in the adapters for other packages: every bucket, count and sum against the cells.

import { DataPointType, type ExponentialHistogram, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import * as successor from '@prometheus-io/client';
import * as promClient from 'prom-client';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, type HistogramValue, histogram, latency, Metrics, perDevice } from 'vmm-metrics';
import { metricProducer } from 'vmm-metrics/opentelemetry';
import { collectors, exposition } from 'vmm-metrics/prometheus';

import { closing, freshName } from './helpers/workplace.ts';

const schema = defineSchema({
  vcpu: group({ time: latency('Time of an exit', { histogram: true }), depth: histogram('Depth of a queue') }),
  disk: perDevice({ size_bytes: histogram('Size of a request', { unit: 'bytes', relativeError: 0.2, min: 1, max: 1 << 20 }) }),
});

function counted() {
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  const { vcpu, disk } = metrics.app;
  for (const us of [0.01, 1, 1, 3, 41, 999_999, 1_500_000, 2_000_000_000]) vcpu.time.observe(us);
  for (const bytes of [0, 1, 2, 3, 512, 4096, 4097, 1 << 30]) disk.alloc('a"b\nü').size_bytes.observe(bytes);
  disk.alloc('b').size_bytes.observe(4096);
  const all = disk.alloc('a"b\nü').size_bytes.read().plus(disk.alloc('b').size_bytes.read());
  /** What each histogram has to show: its samples' name, its device, its value, and how many units a base unit has. */
  const expected: readonly { name: string; otel: string; device?: string; value: HistogramValue; perBase: number }[] = [
    { name: 'vmm_vcpu_time_seconds', otel: 'vmm.vcpu.time', value: vcpu.time.read(), perBase: 1e6 },
    { name: 'vmm_vcpu_depth', otel: 'vmm.vcpu.depth', value: vcpu.depth.read(), perBase: 1 },
    ...['a"b\nü', 'b'].map((device) => ({
      ...{ name: 'vmm_disk_size_bytes', otel: 'vmm.disk.size_bytes', device, perBase: 1 },
      value: disk.alloc(device).size_bytes.read(),
    })),
    { name: 'vmm_disk_all_size_bytes', otel: 'vmm.disk.all.size_bytes', value: all, perBase: 1 },
  ];
  return { metrics, expected };
}

const CLIENTS = [
  { name: 'prom-client', client: promClient },
  { name: '@prometheus-io/client', client: successor as unknown as typeof promClient },
];

describe.each(CLIENTS)('given histograms in a registry of $name', ({ client }) => {
  const samplesOf = (text: string) =>
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('# HELP') && !line.startsWith('# UNIT'))
      .sort();

  test('when it is asked for JSON, then each octave has the values up to its edge, and count and sum are those of the cells', async () => {
    const { metrics, expected } = counted();
    const registry = new client.Registry();
    for (const collector of collectors(metrics)) registry.registerMetric(collector);
    const families = (await registry.getMetricsAsJSON()) as unknown as readonly {
      readonly name: string;
      readonly type: string;
      readonly values: readonly { metricName: string; labels: { le?: string; device?: string }; value: number }[];
    }[];
    for (const { name, device, value, perBase } of expected) {
      const family = families.find((one) => one.name === name)!;
      expect(family.type).toBe('histogram');
      const own = family.values.filter(({ labels }) => labels.device === device);
      const buckets = own.filter(({ metricName }) => metricName === `${name}_bucket`);
      expect(buckets.length).toBeGreaterThan(2);
      for (const { labels, value: found } of buckets) {
        const edge = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
        // Values above the range are in the last bucket, whose upper edge is no edge of an octave.
        const upTo = value.buckets().reduce((sum, bucket) => (bucket.upTo <= edge ? sum + Number(bucket.count) : sum), 0);
        expect({ name, edge, found }).toEqual({ name, edge, found: upTo });
      }
      const rest = Object.fromEntries(own.filter((one) => !buckets.includes(one)).map((one) => [one.metricName, one.value]));
      expect(rest).toEqual({ [`${name}_count`]: Number(value.count), [`${name}_sum`]: Number(value.sum) / perBase });
    }
  });

  test.each(['text', 'openmetrics'] as const)('when it writes %s, then the samples are those of an exposition', async (format) => {
    const { metrics } = counted();
    const type = format === 'text' ? client.Registry.PROMETHEUS_CONTENT_TYPE : client.Registry.OPENMETRICS_CONTENT_TYPE;
    const registry = new (client.Registry as new (contentType: string) => promClient.Registry)(type);
    for (const collector of collectors(metrics)) registry.registerMetric(collector);
    expect(samplesOf(await registry.metrics())).toEqual(samplesOf(exposition(metrics, { format })));
    metrics.app.vcpu.time.observe(7);
    metrics.app.disk.remove('b');
    metrics.app.disk.alloc('new').size_bytes.observe(3);
    expect(samplesOf(await registry.metrics())).toEqual(samplesOf(exposition(metrics, { format })));
  });
});

class Reader extends MetricReader {
  override async onShutdown() {}
  override async onForceFlush() {}
}

test('given histograms in a reader of OpenTelemetry, when it collects, then it has every bucket, and quantiles lie in their bucket', async () => {
  const { metrics, expected } = counted();
  const reader = new Reader({ metricProducers: [metricProducer(metrics)] });
  new MeterProvider({ readers: [reader] });
  const { resourceMetrics, errors } = await reader.collect();
  expect(errors).toEqual([]);
  const all = resourceMetrics.scopeMetrics[0]!.metrics;
  for (const { otel, device, value, perBase } of expected) {
    const data = all.find(({ descriptor }) => descriptor.name === otel)!;
    expect(data.dataPointType).toBe(DataPointType.EXPONENTIAL_HISTOGRAM);
    const point = data.dataPoints.find(({ attributes }) => attributes['device'] === device)!.value as ExponentialHistogram;
    const { count, sum, min, max, scale, zeroCount, zeroThreshold, offset, bucketCounts } = value;
    expect(point).toEqual({
      ...{ count: Number(count), sum: Number(sum) / perBase, scale, zeroCount: Number(zeroCount), zeroThreshold },
      ...(count > 0n && { min: Number(min) / perBase, max: Number(max) / perBase }),
      positive: { offset, bucketCounts: bucketCounts.map(Number) },
      negative: { offset: 0, bucketCounts: [] },
    });
    for (const q of count === 0n ? [] : [0, 0.25, 0.5, 0.75]) {
      let rank = Math.max(1, Math.ceil(q * point.count)) - point.zeroCount;
      let index = point.positive.offset - 1;
      while (rank > 0) rank -= point.positive.bucketCounts[++index - point.positive.offset]!;
      const quantile = value.quantile(q) / perBase;
      const edge = (at: number) => 2 ** (at / 2 ** point.scale);
      expect(quantile).toBeLessThanOrEqual(index < point.positive.offset ? zeroThreshold : edge(index + 1));
      expect(quantile).toBeGreaterThanOrEqual(index < point.positive.offset ? 0 : edge(index));
    }
  }
});
