// Messages of OpenTelemetry's protocol whose length depends on what they say. The numbers of the fields are those of
// opentelemetry-proto, version 1.5.0. Pure.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import type { HistogramValue } from '../histogram/value.ts';
import { Data, type OtlpMetric } from './otlp-metrics.ts';

export type Attributes = Readonly<Record<string, string>>;

const CUMULATIVE = 2;

/** For one message after the other. */
const scratch = new BinaryWriter();

/** The fields `KeyValue` of a message, each with an `AnyValue` of text. */
export function attributesIn(field: number, attributes: Attributes): Uint8Array {
  for (const [key, value] of Object.entries(attributes)) {
    within(scratch, field, () => {
      scratch.tag(1, WireType.LengthDelimited).string(key);
      within(scratch, 2, () => scratch.tag(1, WireType.LengthDelimited).string(value));
    });
  }
  return scratch.finish();
}

/** The field `resource` of `ResourceMetrics`. */
export function resourceOf(attributes: Attributes): Uint8Array {
  const all = attributesIn(1, attributes);
  return scratch.tag(1, WireType.LengthDelimited).bytes(all).finish();
}

/** The field `scope` of `ScopeMetrics`. */
export function scopeOf(name: string, version: string): Uint8Array {
  within(scratch, 1, () => scratch.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(version));
  return scratch.finish();
}

/** The fields of `Metric` before its data. */
export function headOf({ name, doc, unit }: Pick<OtlpMetric, 'name' | 'doc' | 'unit'>): Uint8Array {
  scratch.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(doc);
  if (unit !== '') scratch.tag(3, WireType.LengthDelimited).string(unit);
  return scratch.finish();
}

/** The fields of a metric's data after its points. */
export function tailOf(field: number): Uint8Array {
  if (field !== Data.gauge) scratch.tag(2, WireType.Varint).int32(CUMULATIVE);
  if (field === Data.sum) scratch.tag(3, WireType.Varint).bool(true);
  return scratch.finish();
}

/** What the points of a histogram say. */
export interface HistogramPoint {
  readonly attributes: Uint8Array;
  readonly value: HistogramValue;
}

/** The field `metrics` of `ScopeMetrics`, with an `ExponentialHistogram`. */
export function exponentialHistogram(
  head: Uint8Array,
  { decimals }: OtlpMetric,
  points: readonly HistogramPoint[],
  [startNs, nowNs]: readonly [bigint, bigint],
): Uint8Array {
  const tail = tailOf(Data.exponentialHistogram);
  const inBaseUnit = (one: bigint) => Number(one) / 10 ** decimals;
  const writePoint = ({ attributes, value }: HistogramPoint) => {
    const { count, sum, min, max, scale, zeroCount, zeroThreshold, offset, bucketCounts } = value;
    scratch.raw(attributes);
    scratch.tag(2, WireType.Bit64).fixed64(startNs).tag(3, WireType.Bit64).fixed64(nowNs);
    scratch.tag(4, WireType.Bit64).fixed64(count).tag(5, WireType.Bit64).double(inBaseUnit(sum));
    scratch.tag(6, WireType.Varint).sint32(scale).tag(7, WireType.Bit64).fixed64(zeroCount);
    within(scratch, 8, () => {
      scratch.tag(1, WireType.Varint).sint32(offset);
      within(scratch, 2, () => bucketCounts.forEach((bucket) => void scratch.uint64(bucket)));
    });
    if (count > 0n) scratch.tag(12, WireType.Bit64).double(inBaseUnit(min)).tag(13, WireType.Bit64).double(inBaseUnit(max));
    scratch.tag(14, WireType.Bit64).double(zeroThreshold);
  };
  within(scratch, 2, () => {
    scratch.raw(head);
    within(scratch, Data.exponentialHistogram, () => {
      for (const point of points) within(scratch, 1, () => writePoint(point));
      scratch.raw(tail);
    });
  });
  return scratch.finish();
}

/** A message inside of another. */
function within(writer: BinaryWriter, field: number, write: () => unknown): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write();
  writer.join();
}
