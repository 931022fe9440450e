// Reads requests of OpenTelemetry's protocol with protobufjs, which has nothing in common with the writer. The
// definitions are those of opentelemetry-proto, version 1.5.0, as far as metrics need them.

import protobuf from 'protobufjs';

const PROTO = `
syntax = "proto3";
package opentelemetry.proto;
message AnyValue { oneof value { string string_value = 1; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message InstrumentationScope { string name = 1; string version = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message ScopeMetrics { InstrumentationScope scope = 1; repeated Metric metrics = 2; }
message Metric {
  string name = 1;
  string description = 2;
  string unit = 3;
  oneof data {
    Gauge gauge = 5;
    Sum sum = 7;
    Histogram histogram = 9;
    ExponentialHistogram exponential_histogram = 10;
  }
}
message Gauge { repeated NumberDataPoint data_points = 1; }
enum AggregationTemporality { UNSPECIFIED = 0; DELTA = 1; CUMULATIVE = 2; }
message Sum {
  repeated NumberDataPoint data_points = 1;
  AggregationTemporality aggregation_temporality = 2;
  bool is_monotonic = 3;
}
message Histogram {
  repeated HistogramDataPoint data_points = 1;
  AggregationTemporality aggregation_temporality = 2;
}
message ExponentialHistogram {
  repeated ExponentialHistogramDataPoint data_points = 1;
  AggregationTemporality aggregation_temporality = 2;
}
message NumberDataPoint {
  repeated KeyValue attributes = 7;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; }
}
message HistogramDataPoint {
  repeated KeyValue attributes = 9;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  repeated fixed64 bucket_counts = 6;
  repeated double explicit_bounds = 7;
  optional double min = 11;
  optional double max = 12;
}
message ExponentialHistogramDataPoint {
  message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
  repeated KeyValue attributes = 1;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  sint32 scale = 6;
  fixed64 zero_count = 7;
  Buckets positive = 8;
  Buckets negative = 9;
  optional double min = 12;
  optional double max = 13;
  double zero_threshold = 14;
}
`;

const Request = protobuf.parse(PROTO, { keepCase: true }).root.lookupType('opentelemetry.proto.ExportMetricsServiceRequest');

interface Attribute {
  readonly key: string;
  readonly value: { readonly string_value: string };
}

/** A data point of any kind. Integers of 64 bits are bigints. */
export interface OtlpPoint {
  readonly attributes: Readonly<Record<string, string>>;
  readonly start: bigint;
  readonly time: bigint;
  /** A number. */
  readonly value?: bigint | number;
  /** A histogram. */
  readonly count?: bigint;
  readonly sum?: number;
  readonly min?: number;
  readonly max?: number;
  readonly bucketCounts?: readonly bigint[];
  /** An exponential histogram. */
  readonly scale?: number;
  readonly zeroCount?: bigint;
  readonly zeroThreshold?: number;
  readonly offset?: number;
}

export interface OtlpMetric {
  readonly description: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'histogram' | 'exponential_histogram';
  readonly temporality: string | undefined;
  readonly isMonotonic: boolean | undefined;
  readonly points: readonly OtlpPoint[];
}

interface Decoded {
  readonly resource_metrics: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scope_metrics: readonly {
      readonly scope: { readonly name: string };
      readonly metrics: readonly (Record<string, never> & { readonly name: string; readonly description: string; readonly unit: string })[];
    }[];
  }[];
}

interface DecodedData {
  readonly aggregation_temporality?: string;
  readonly is_monotonic?: boolean;
  readonly data_points: readonly (Readonly<Record<string, never>> & { readonly attributes: readonly Attribute[] })[];
}

const attributesOf = (all: readonly Attribute[]) => Object.fromEntries(all.map(({ key, value }) => [key, value.string_value]));

/** What is 0 may be left out of a message, unless its field is optional. */
function pointOf({ attributes, ...point }: DecodedData['data_points'][number]): OtlpPoint {
  const { start_time_unix_nano, time_unix_nano, as_int, as_double, count, sum, min, max, bucket_counts, positive, ...more } =
    point as Readonly<Record<string, string | number | undefined>> & {
      readonly bucket_counts?: readonly string[];
      readonly positive?: { readonly offset?: number; readonly bucket_counts: string[] };
    };
  const common = { attributes: attributesOf(attributes), start: BigInt(start_time_unix_nano!), time: BigInt(time_unix_nano!) };
  if (as_int !== undefined) return { ...common, value: BigInt(as_int) };
  if (as_double !== undefined) return { ...common, value: Number(as_double) };
  const extremes = { ...(min !== undefined && { min: Number(min) }), ...(max !== undefined && { max: Number(max) }) };
  const histogram = { ...common, count: BigInt(count ?? 0), sum: Number(sum), ...extremes };
  if (positive === undefined) return { ...histogram, bucketCounts: bucket_counts!.map(BigInt) };
  return {
    ...histogram,
    scale: Number(more['scale'] ?? 0),
    zeroCount: BigInt(more['zero_count'] ?? 0),
    zeroThreshold: Number(more['zero_threshold']),
    offset: positive.offset ?? 0,
    bucketCounts: positive.bucket_counts.map(BigInt),
  };
}

/** The resources of a request, by the name of their virtual machine. Throws if a name is there twice. */
export function resourcesIn(request: Uint8Array) {
  const decoded = Request.toObject(Request.decode(request), { longs: String, enums: String, arrays: true, oneofs: true });
  return uniqueMap(
    (decoded as Decoded).resource_metrics.map(({ resource, scope_metrics }) => {
      const attributes = attributesOf(resource.attributes);
      const metrics = scope_metrics.flatMap(({ metrics: all }) =>
        all.map(({ name, description, unit, ...rest }): [string, OtlpMetric] => {
          const kind = (rest as unknown as { data: OtlpMetric['kind'] }).data;
          const { data_points, aggregation_temporality, is_monotonic } = rest[kind]! as DecodedData;
          const data = { temporality: aggregation_temporality, isMonotonic: is_monotonic, points: data_points.map(pointOf) };
          return [name, { description, unit: unit ?? '', kind, ...data }];
        }),
      );
      const scopes = scope_metrics.map(({ scope }) => scope.name);
      return [attributes['service.instance.id']!, { attributes, scopes, metrics: uniqueMap(metrics) }];
    }),
  );
}

function uniqueMap<T>(entries: readonly (readonly [string, T])[]): Map<string, T> {
  const map = new Map(entries);
  if (map.size !== entries.length) throw new Error('a name is there twice');
  return map;
}
