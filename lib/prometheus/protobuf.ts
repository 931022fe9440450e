// Families in Prometheus' protobuf format: messages `io.prometheus.client.MetricFamily`, each after its length. The
// numbers of types and fields are those of `metrics.proto` in Prometheus' repository client_model.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import { type Family, type FamilyType, FamilyUnion } from './families.ts';
import type { Labels } from './names.ts';
import type { NumberOwner, Numbers } from './numbers.ts';

export interface ProtobufSource {
  readonly families: readonly Family[];
  readonly numbers: Numbers;
  readonly labels: Labels;
}

/** `MetricType`. */
const TYPES: Readonly<Record<FamilyType, number>> = { counter: 0, gauge: 1, summary: 2, histogram: 4 };

/**
 * The families of all sources, each family once.
 * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another source.
 */
export function protobufOf(sources: readonly ProtobufSource[]): Uint8Array<ArrayBuffer> {
  const union = new FamilyUnion();
  /** For each family of the union, the same family of each source. */
  const same: (Family | undefined)[][] = [];
  sources.forEach(({ families }, source) => {
    union.indicesOf(families).forEach((index, place) => {
      same[index] ??= [];
      same[index][source] = families[place];
    });
  });
  const writer = new BinaryWriter();
  union.families.forEach((family, index) => {
    const samples = sources.flatMap((source, i) => {
      const own = same[index]![i];
      return own === undefined ? [] : source.numbers.ownersOf(own).map((owner) => ({ source, own, owner }));
    });
    if (samples.length === 0) return;
    writer.fork();
    writer.tag(1, WireType.LengthDelimited).string(family.type === 'counter' ? `${family.name}_total` : family.name);
    writer.tag(2, WireType.LengthDelimited).string(family.help);
    writer.tag(3, WireType.Varint).int32(TYPES[family.type]);
    for (const { source, own, owner } of samples) writeMetric(writer, source, own, owner);
    if (family.unit !== '') writer.tag(5, WireType.LengthDelimited).string(family.unit);
    writer.join();
  });
  return writer.finish();
}

/** `Metric`: the labels and the value of one owner. */
function writeMetric(writer: BinaryWriter, { labels, numbers }: ProtobufSource, family: Family, owner: NumberOwner): void {
  writer.tag(4, WireType.LengthDelimited).fork();
  const all = owner.device === undefined ? labels : { ...labels, device: owner.device };
  for (const [name, value] of Object.entries(all)) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(value).join();
  }
  switch (family.type) {
    case 'gauge':
      writer.tag(2, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.Bit64).double(numbers.at(owner, family.parts[0]!)).join();
      break;
    case 'counter':
      writer.tag(3, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.Bit64).double(numbers.at(owner, family.parts[0]!)).join();
      break;
    case 'summary':
      writer.tag(4, WireType.LengthDelimited).fork();
      for (const part of family.parts) {
        if (part.suffix === '_count') writer.tag(1, WireType.Varint).uint64(numbers.integerAt(owner, part));
        else writer.tag(2, WireType.Bit64).double(numbers.at(owner, part));
      }
      writer.join();
      break;
    case 'histogram':
      writeHistogram(writer, numbers, family, owner);
  }
  writer.join();
}

/** The largest schema of a native histogram: 2^8 buckets for each power of two. */
const SCHEMA_MAX = 8;

/** `Histogram`: its buckets by octaves, and as a native histogram with all its buckets. */
function writeHistogram(writer: BinaryWriter, numbers: Numbers, family: Family, owner: NumberOwner): void {
  const { scheme, cell } = family.buckets!;
  const upTo = (bucket: number) => numbers.integerAt(owner, { suffix: '', cell: cell + bucket, decimals: 0 });
  writer.tag(7, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Varint).uint64(upTo(scheme.buckets - 1));
  for (const part of family.parts) {
    if (part.suffix === '_sum') writer.tag(2, WireType.Bit64).double(numbers.at(owner, part));
    if (part.le === undefined) continue;
    writer.tag(3, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).uint64(numbers.integerAt(owner, part));
    writer
      .tag(2, WireType.Bit64)
      .double(part.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(part.le))
      .join();
  }
  if (scheme.scale <= SCHEMA_MAX) {
    const counts = Array.from({ length: scheme.buckets - 1 }, (_, i) => upTo(i + 1) - upTo(i));
    const begin = counts.findIndex((count) => count !== 0n);
    const end = counts.findLastIndex((count) => count !== 0n) + 1;
    writer.tag(5, WireType.Varint).sint32(scheme.scale);
    writer.tag(6, WireType.Bit64).double(2 ** (scheme.first / 2 ** scheme.scale));
    writer.tag(7, WireType.Varint).uint64(upTo(0));
    // The number of a native bucket is that of its upper edge. An empty span says that the histogram is a native one.
    writer.tag(12, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).sint32(begin < 0 ? 0 : scheme.first + 1 + begin);
    writer
      .tag(2, WireType.Varint)
      .uint32(begin < 0 ? 0 : end - begin)
      .join();
    if (begin >= 0) {
      writer.tag(13, WireType.LengthDelimited).fork();
      for (let i = begin; i < end; i++) writer.sint64(counts[i]! - (i === begin ? 0n : counts[i - 1]!));
      writer.join();
    }
  }
  writer.join();
}
