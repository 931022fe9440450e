// exposition() in Prometheus' protobuf format, read by another implementation of protobuf.

import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, store } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';
import { contentType, exposition, expositionBytes } from 'vmm-metrics/prometheus';

import { MessageSource, protobufOf } from '../lib/prometheus/protobuf.ts';
import { SAMPLE } from '../lib/sampled.ts';
import { metricFamiliesIn } from './helpers/metric-family.ts';
import { closing, freshName } from './helpers/workplace.ts';

const schema = defineSchema({
  vcpu: group({ exits: inc('KVM "exits"\nof all kinds'), start_ms: store('Start'), time: latency('Time of an exit') }),
  disk: perDevice({ read_bytes: inc('Data read') }),
});

function counted() {
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  metrics.app.vcpu.exits.add(2n ** 53n);
  metrics.app.vcpu.start_ms.store(1500);
  metrics.app.vcpu.time.observe(41);
  metrics.app.disk.alloc('a"b\nü').read_bytes.add(7);
  return metrics;
}

describe('given groups and devices', () => {
  test('when they are written as protobuf, then another decoder finds each name, type, unit, label and value', () => {
    const labels = { vm: 'vm0' };
    const vm = { name: 'vm', value: 'vm0' };
    const gauge = (name: string, help: string, value: number) => ({
      ...{ name, help, type: 'GAUGE', unit: 'seconds' },
      metric: [{ label: [vm], gauge: { value } }],
    });
    expect(metricFamiliesIn(exposition(counted(), { format: 'protobuf', labels }))).toEqual([
      {
        ...{ name: 'vmm_vcpu_exits_total', help: 'KVM "exits"\nof all kinds', type: 'COUNTER' },
        metric: [{ label: [vm], counter: { value: 2 ** 53 } }],
      },
      gauge('vmm_vcpu_start_seconds', 'Start', 1.5),
      {
        ...{ name: 'vmm_vcpu_time_seconds', help: 'Time of an exit', type: 'SUMMARY', unit: 'seconds' },
        metric: [{ label: [vm], summary: { sample_count: '1', sample_sum: 0.000041, quantile: [] } }],
      },
      gauge('vmm_vcpu_time_min_seconds', 'Time of an exit (the shortest; 0 before the first)', 0.000041),
      gauge('vmm_vcpu_time_max_seconds', 'Time of an exit (the longest)', 0.000041),
      {
        ...{ name: 'vmm_disk_read_bytes_total', help: 'Data read', type: 'COUNTER', unit: 'bytes' },
        metric: [{ label: [vm, { name: 'device', value: 'a"b\nü' }], counter: { value: 7 } }],
      },
      {
        ...{ name: 'vmm_disk_all_read_bytes_total', help: 'Data read', type: 'COUNTER', unit: 'bytes' },
        metric: [{ label: [vm], counter: { value: 7 } }],
      },
    ]);
  });

  test('when a source is written again after values and devices have changed, then the bytes are those of a new source', () => {
    const metrics = counted();
    const labels = { vm: 'é'.repeat(70) }; // with the metric, longer than a length of one byte
    const kept = new MessageSource({ prefix: 'vmm', labels });
    const steps = [
      () => metrics.app.vcpu.exits.add(2n ** 60n),
      () => metrics.app.vcpu.start_ms.store(0),
      () => metrics.app.vcpu.time.observe(1e9),
      () => metrics.app.disk.alloc('c').read_bytes.inc(),
      () => metrics.app.disk.alloc('a"b\nü').read_bytes.inc(),
      () => metrics.app.disk.remove('c'),
      () => metrics.app.disk.alloc('another').read_bytes.inc(),
    ];
    for (const step of steps) {
      step();
      kept.update(metrics[SAMPLE]());
      const fresh = exposition(metrics, { format: 'protobuf', labels });
      expect(Buffer.compare(protobufOf([kept]), fresh)).toBe(0);
    }
  });

  test('when a list is written, then each family is one message, with the samples of all sources', () => {
    const sources = [counted(), counted()];
    sources[1]!.app.vcpu.exits.inc();
    const labels = (_: unknown, index: number) => ({ vm: `vm${index}` });
    const families = metricFamiliesIn(expositionBytes(sources, { format: 'protobuf', labels }));
    expect(families).toHaveLength(7);
    expect(families[0]!['metric']).toHaveLength(2);
  });

  test('when two sources have another type for a name, then the error names both', () => {
    const other = closing(Metrics.open(defineSchema({ vcpu: group({ exits: store('Exits') }) }), { name: freshName() }));
    const labels = (_: unknown, index: number) => ({ vm: `vm${index}` });
    const sources = [counted(), other] as Metrics<never>[];
    expect(() => exposition(sources, { format: 'protobuf', labels })).toThrow(expect.objectContaining({ code: 'ERR_METRICS_SCHEMA' }));
  });

  test('when there is no source, then there is no byte', () => {
    expect(exposition([], { format: 'protobuf' })).toHaveLength(0);
  });
});

test('given the schema of Firecracker with devices, when it is written as protobuf, then each sample of the text is in a message', () => {
  const metrics = closing(Metrics.open(firecracker, { name: freshName() }));
  for (const id of ['a', 'b']) metrics.app.block.alloc(id).read_bytes.add(3);
  const families = metricFamiliesIn(exposition(metrics, { format: 'protobuf' })) as { name: string; metric: object[] }[];
  const types = exposition(metrics)
    .split('\n')
    .filter((line) => line.startsWith('# TYPE'));
  expect(families.map(({ name }) => name)).toEqual(types.map((line) => line.split(' ')[2]));
  expect(families.find(({ name }) => name === 'vmm_block_read_bytes_total')?.metric).toHaveLength(2);
});

test('given the format, when its content type is asked for, then it is the one that Prometheus expects', () => {
  expect(contentType('protobuf')).toBe('application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited');
});
