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
const TYPES: Readonly<Record<FamilyType, number>> = { counter: 0, gauge: 1, summary: 2 };

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
  }
  writer.join();
}
