// The adapters for other packages: prom-client, its successor, and OpenTelemetry's SDK.

import { ValueType } from '@opentelemetry/api';
import { AggregationTemporality, DataPointType, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import * as successor from '@prometheus-io/client';
import * as promClient from 'prom-client';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, store, utcTimestampMs } from 'vmm-metrics';
import { metricProducer } from 'vmm-metrics/opentelemetry';
import { collectors, exposition } from 'vmm-metrics/prometheus';

import { closing, freshName } from './helpers/workplace.ts';

const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({ exits: inc('KVM "exits"'), start_ms: store('When the vCPU started'), time: latency('Time of an exit') }),
  disk: perDevice({ read_bytes: inc('Data read'), time: latency('Time of a request') }, { latencyAggregate: 'zero' }),
});

function counted() {
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  const { vcpu, disk } = metrics.app;
  vcpu.exits.add(2 ** 53 - 1);
  vcpu.start_ms.store(1500);
  vcpu.time.observe(41);
  vcpu.time.observe(2);
  disk.alloc('a"b\nü').read_bytes.add(7);
  disk.alloc('c').time.observe(1_000_000);
  return metrics;
}

class Reader extends MetricReader {
  override async onShutdown() {}
  override async onForceFlush() {}
}

const CLIENTS = [
  { name: 'prom-client', client: promClient },
  { name: '@prometheus-io/client', client: successor as unknown as typeof promClient },
];

describe.each(CLIENTS)('given a registry of $name', ({ client }) => {
  const samplesOf = (text: string) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .sort();

  test('when collectors are registered, then its text has the samples of an exposition', async () => {
    const metrics = counted();
    const registry = new client.Registry();
    for (const collector of collectors(metrics)) registry.registerMetric(collector);
    expect(samplesOf(await registry.metrics())).toEqual(samplesOf(exposition(metrics)));
    metrics.app.vcpu.exits.inc();
    metrics.app.disk.alloc('new').read_bytes.inc();
    const text = await registry.metrics();
    expect(text).toContain('vmm_vcpu_exits_total 9007199254740992\n');
    expect(text).toContain('vmm_disk_read_bytes_total{device="new"} 1\n');
    expect(samplesOf(text)).toEqual(samplesOf(exposition(metrics)));
  });

  test('when the registry writes OpenMetrics, then the samples are those of an exposition', async () => {
    const metrics = counted();
    const registry = new (client.Registry as new (contentType: string) => promClient.Registry)(client.Registry.OPENMETRICS_CONTENT_TYPE);
    for (const collector of collectors(metrics, { prefix: 'vm' })) registry.registerMetric(collector);
    const numbers = (text: string) => samplesOf(text).filter((line) => !line.startsWith('# UNIT') && !line.startsWith('# HELP'));
    expect(numbers(await registry.metrics())).toEqual(numbers(exposition(metrics, { format: 'openmetrics', prefix: 'vm' })));
  });

  test('when the registry has metrics of its own, then they stay, and a reset leaves the store alone', async () => {
    const metrics = counted();
    const registry = new client.Registry();
    new client.Counter({ name: 'own_total', help: 'Own', registers: [registry] }).inc(3);
    for (const collector of collectors(metrics)) registry.registerMetric(collector);
    registry.resetMetrics();
    const json: { name: string; values: object[] }[] = await registry.getMetricsAsJSON();
    expect(json.find(({ name }) => name === 'own_total')?.values).toEqual([{ value: 0, labels: {} }]);
    expect(json.find(({ name }) => name === 'vmm_vcpu_exits_total')?.values).toEqual([{ value: 2 ** 53 - 1, labels: {} }]);
  });

  test('when the store is closed, then a scrape fails with the reason', async () => {
    const metrics = Metrics.open(schema, { name: freshName() });
    const registry = new client.Registry();
    for (const collector of collectors(metrics)) registry.registerMetric(collector);
    metrics.close();
    await expect(registry.metrics()).rejects.toThrow(expect.objectContaining({ code: 'ERR_METRICS_CLOSED' }));
  });
});

describe('given a reader of OpenTelemetry', () => {
  async function collectedFrom(metrics: Parameters<typeof metricProducer>[0], options?: Parameters<typeof metricProducer>[1]) {
    const reader = new Reader({ metricProducers: [metricProducer(metrics, options)] });
    const provider = new MeterProvider({ readers: [reader] });
    provider.getMeter('own').createCounter('own').add(1);
    const { resourceMetrics, errors } = await reader.collect();
    await provider.shutdown();
    const scope = resourceMetrics.scopeMetrics.find(({ scope: { name } }) => name === 'vmm-metrics');
    return { errors, all: resourceMetrics.scopeMetrics.length, metrics: scope?.metrics ?? [] };
  }

  test('when it collects, then it has each metric with its kind, unit, devices and value', async () => {
    const before = Date.now() / 1000;
    const { metrics, errors } = await collectedFrom(counted());
    expect(errors).toEqual([]);
    const [exits, start, time, read] = metrics;
    const point = { startTime: expect.anything(), endTime: expect.anything() };
    expect(exits).toEqual({
      descriptor: { name: 'vmm.vcpu.exits', description: 'KVM "exits"', unit: '', valueType: ValueType.INT },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: [{ ...point, attributes: {}, value: 2 ** 53 - 1 }],
    });
    expect(start).toMatchObject({
      descriptor: { name: 'vmm.vcpu.start', unit: 's', valueType: ValueType.DOUBLE },
      dataPointType: DataPointType.GAUGE,
      dataPoints: [{ value: 1.5 }],
    });
    expect(time).toMatchObject({
      descriptor: { name: 'vmm.vcpu.time', unit: 's' },
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: [{ value: { buckets: { boundaries: [], counts: [2] }, count: 2, sum: 0.000043, min: 0.000002, max: 0.000041 } }],
    });
    expect(read).toMatchObject({
      descriptor: { name: 'vmm.disk.read_bytes', unit: 'By' },
      dataPoints: [
        { attributes: { device: 'a"b\nü' }, value: 7 },
        { attributes: { device: 'c' }, value: 0 },
      ],
    });
    const ofAll = metrics.find(({ descriptor }) => descriptor.name === 'vmm.disk.all.time');
    expect(ofAll?.dataPoints[0]?.value).toEqual({ buckets: { boundaries: [], counts: [1] }, count: 1, sum: 1 });
    const [startTime, endTime] = [exits!.dataPoints[0]!.startTime, exits!.dataPoints[0]!.endTime].map(([s, ns]) => s + ns / 1e9);
    expect(startTime).toBeLessThan(before);
    expect(endTime).toBeGreaterThan(startTime!);
  });

  test('when it has instruments of its own, then these stay beside the store', async () => {
    const { all, metrics } = await collectedFrom(counted(), { prefix: '' });
    expect(all).toBe(2);
    expect(metrics[0]?.descriptor.name).toBe('vcpu.exits');
  });

  test('when the store is closed, then the reader has the error, and nothing else is lost', async () => {
    const closed = Metrics.open(schema, { name: freshName() });
    closed.close();
    const { errors, metrics, all } = await collectedFrom(closed);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_METRICS_CLOSED' })]);
    expect(metrics).toEqual([]);
    expect(all).toBe(1);
  });
});

test.each([
  { what: 'collectors of nothing', call: () => collectors(undefined as never), error: 'collectors(): metrics must be a Metrics' },
  { what: 'an unknown option', call: () => collectors(counted(), { lables: 1 } as never), error: "collectors(): unknown option 'lables'" },
  { what: 'a wrong prefix', call: () => collectors(counted(), { prefix: 'a-b' }), error: 'collectors(): prefix may have letters' },
  { what: 'a producer of nothing', call: () => metricProducer(1 as never), error: 'metricProducer(): metrics must be a Metrics; got 1' },
  {
    what: 'a prefix of no text',
    call: () => metricProducer(counted(), { prefix: 1 } as never),
    error: 'metricProducer(): prefix must be a string',
  },
])('given $what, when it is called, then the error names it', ({ call, error }) => {
  expect(call).toThrow(error);
});
