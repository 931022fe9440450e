// Reads Prometheus' protobuf format with protobufjs, which has nothing in common with the writer. The definitions are
// those of `metrics.proto` in Prometheus' repository client_model.

import protobuf from 'protobufjs';

const PROTO = `
syntax = "proto2";
package io.prometheus.client;
message LabelPair { optional string name = 1; optional string value = 2; }
enum MetricType { COUNTER = 0; GAUGE = 1; SUMMARY = 2; UNTYPED = 3; HISTOGRAM = 4; GAUGE_HISTOGRAM = 5; }
message Gauge { optional double value = 1; }
message Counter { optional double value = 1; }
message Quantile { optional double quantile = 1; optional double value = 2; }
message Summary { optional uint64 sample_count = 1; optional double sample_sum = 2; repeated Quantile quantile = 3; }
message Bucket { optional uint64 cumulative_count = 1; optional double upper_bound = 2; }
message BucketSpan { optional sint32 offset = 1; optional uint32 length = 2; }
message Histogram {
  optional uint64 sample_count = 1;
  optional double sample_sum = 2;
  repeated Bucket bucket = 3;
  optional sint32 schema = 5;
  optional double zero_threshold = 6;
  optional uint64 zero_count = 7;
  repeated BucketSpan positive_span = 12;
  repeated sint64 positive_delta = 13;
}
message Metric {
  repeated LabelPair label = 1;
  optional Gauge gauge = 2;
  optional Counter counter = 3;
  optional Summary summary = 4;
  optional Histogram histogram = 7;
  optional int64 timestamp_ms = 6;
}
message MetricFamily {
  optional string name = 1;
  optional string help = 2;
  optional MetricType type = 3;
  repeated Metric metric = 4;
  optional string unit = 5;
}
`;

const MetricFamily = protobuf.parse(PROTO, { keepCase: true }).root.lookupType('io.prometheus.client.MetricFamily');

/** The messages as plain objects, with 64-bit integers as text. */
export function metricFamiliesIn(bytes: Uint8Array): Record<string, unknown>[] {
  const reader = protobuf.Reader.create(bytes);
  const families: Record<string, unknown>[] = [];
  while (reader.pos < reader.len) {
    families.push(MetricFamily.toObject(MetricFamily.decodeDelimited(reader), { longs: String, enums: String, arrays: true }));
  }
  return families;
}

interface PlainFamily {
  readonly name: string;
  readonly metric: readonly {
    readonly label: readonly { readonly name: string; readonly value: string }[];
    readonly gauge?: { readonly value: number };
    readonly counter?: { readonly value: number };
    readonly summary?: { readonly sample_count?: string; readonly sample_sum: number };
  }[];
}

/** The samples of counters, gauges and summaries as the text names them, see seriesOf(). */
export function plainSamplesIn(families: readonly Record<string, unknown>[]): Map<string, number> {
  const samples = new Map<string, number>();
  for (const { name, metric } of families as unknown as readonly PlainFamily[]) {
    for (const { label, gauge, counter, summary } of metric) {
      const pairs = label.map((one) => `${one.name}=${JSON.stringify(one.value)}`).join(',');
      const key = (suffix: string) => `${name}${suffix}${pairs && `{${pairs}}`}`;
      const value = (gauge ?? counter)?.value;
      if (value !== undefined) samples.set(key(''), value);
      if (summary === undefined) continue;
      if (summary.sample_count !== undefined) samples.set(key('_count'), Number(summary.sample_count));
      samples.set(key('_sum'), summary.sample_sum);
    }
  }
  return samples;
}
