// Histograms in expositions: by powers of two in the text, and natively in protobuf.

import { describe, expect, test } from 'vitest';
import { defineSchema, group, histogram, latency, Metrics, perDevice } from 'vmm-metrics';
import { exposition } from 'vmm-metrics/prometheus';

import { metricFamiliesIn } from './helpers/metric-family.ts';
import { parsedStrictly, withoutParser } from './helpers/prometheus-tools.ts';
import { closing, freshName } from './helpers/workplace.ts';

const schema = defineSchema({
  vcpu: group({ time: latency('Time of an exit', { histogram: true }) }),
  disk: perDevice({ size_bytes: histogram('Size of a request', { unit: 'bytes', relativeError: 0.2, min: 1, max: 64 }) }),
});

function counted() {
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  for (const us of [1, 1, 3, 41, 1_500_000]) metrics.app.vcpu.time.observe(us);
  for (const bytes of [0, 1, 2, 3, 4, 5, 60, 1_000_000]) metrics.app.disk.alloc('a').size_bytes.observe(bytes);
  metrics.app.disk.alloc('b').size_bytes.observe(4);
  return metrics;
}

/** The values up to each edge, counted one by one. */
const upTo = (values: readonly number[], edge: number) => values.filter((value) => value <= edge).length;

describe('given histograms', () => {
  test('when they are written as text, then each power of two has the count of all values up to it', () => {
    const metrics = counted();
    const text = exposition(metrics);
    const rows = [...text.matchAll(/^vmm_disk_size_bytes_(\w+)\{device="a"(?:,le="([^"]*)")?\} (.*)$/gm)].map(([, part, le, value]) => [
      part,
      le,
      value,
    ]);
    const values = [0, 1, 2, 3, 4, 5, 60, 1_000_000];
    const octaves = rows.filter(([part, le]) => part === 'bucket' && le !== '+Inf');
    expect(octaves.map(([, le]) => le)).toEqual(expect.arrayContaining(['1.0', '2.0', '4.0', '8.0', '16.0', '32.0']));
    for (const [, le, value] of octaves) expect({ le, value }).toEqual({ le, value: `${upTo(values, Number(le))}` });
    expect(rows.slice(octaves.length)).toEqual([
      ['bucket', '+Inf', '8'],
      ['count', undefined, '8'],
      ['sum', undefined, '1000075'],
    ]);
    expect(text).toContain('# TYPE vmm_disk_size_bytes histogram\n');
    expect(text).toContain('vmm_disk_all_size_bytes_count 9\n');
    expect(text).toContain('vmm_disk_all_size_bytes_bucket{le="4.0"} 6\n');
    expect(text).toContain('vmm_vcpu_time_seconds_count 5\nvmm_vcpu_time_seconds_sum 1.500046\n');
    expect(text).toContain('vmm_vcpu_time_seconds_bucket{le="2.0"} 5\n');
    expect(text).toContain('vmm_vcpu_time_seconds_bucket{le="1.0"} 4\n');
    expect(text).toContain('vmm_vcpu_time_max_seconds 1.5\n');
    // The kept text is patched, and the counts stay sums.
    metrics.app.vcpu.time.observe(2);
    expect(exposition(metrics)).toContain('vmm_vcpu_time_seconds_bucket{le="1.0"} 5\n');
    expect(exposition(metrics)).toBe(exposition([metrics]));
  });

  test.skipIf(withoutParser)(
    `when the strict parser reads OpenMetrics, then it accepts the buckets${withoutParser ? ` (skipped: ${withoutParser})` : ''}`,
    () => {
      const families = parsedStrictly(exposition(counted(), { format: 'openmetrics', labels: { vm: 'vm0' } }));
      const times = families.find(({ name }) => name === 'vmm_vcpu_time_seconds')!;
      expect(times).toMatchObject({ type: 'histogram', unit: 'seconds' });
      expect(times.samples.find(({ labels }) => labels['le'] === '+Inf')?.value).toBe('5');
    },
  );

  test('when they are written as protobuf, then a native histogram has the buckets of the value itself', () => {
    const metrics = counted();
    const families = metricFamiliesIn(exposition(metrics, { format: 'protobuf' }));
    const [of] = families.find(({ name }) => name === 'vmm_vcpu_time_seconds')!['metric'] as { histogram: Record<string, unknown> }[];
    const { sample_count, sample_sum, schema: scale, zero_threshold, zero_count, positive_span, positive_delta, bucket } = of!.histogram;
    const value = metrics.snapshot().vcpu.time.histogram!;
    expect({ sample_count, sample_sum, scale, zero_threshold, zero_count }).toEqual({
      sample_count: '5',
      sample_sum: 1.500046,
      scale: value.scale,
      zero_threshold: value.zeroThreshold,
      zero_count: `${value.zeroCount}`,
    });
    // OpenTelemetry numbers a bucket by its lower edge, Prometheus by its upper edge.
    expect(positive_span).toEqual([{ offset: value.offset + 1, length: value.bucketCounts.length }]);
    let count = 0n;
    expect((positive_delta as string[]).map((delta) => (count += BigInt(delta)))).toEqual(value.bucketCounts);
    expect((bucket as { upper_bound: number; cumulative_count: string }[]).at(-1)).toEqual({
      upper_bound: Number.POSITIVE_INFINITY,
      cumulative_count: '5',
    });
  });

  test('when nothing was counted, then the protobuf is still that of a native histogram', () => {
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    const [family] = metricFamiliesIn(exposition(metrics, { format: 'protobuf' }));
    expect((family!['metric'] as { histogram: object }[])[0]!.histogram).toMatchObject({
      sample_count: '0',
      positive_span: [{ offset: 0, length: 0 }],
      positive_delta: [],
    });
  });
});
