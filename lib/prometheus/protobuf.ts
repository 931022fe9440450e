// Families in Prometheus' protobuf format: messages `io.prometheus.client.MetricFamily`, each after its length. The
// numbers of types and fields are those of `metrics.proto` in Prometheus' repository client_model.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import type { Sampled } from '../sampled.ts';
import { type Family, type FamilyType, familiesOf } from './families.ts';
import type { Labels } from './names.ts';
import { type NumberOwner, Numbers } from './numbers.ts';
import { unionOf } from './union.ts';
import { varintBytes } from './varint.ts';

/** A chunk has the families of about so many samples. */
const CHUNK_SAMPLES = 4096;

/** `MetricType`. */
const TYPES: Readonly<Record<FamilyType, number>> = { counter: 0, gauge: 1, summary: 2, histogram: 4 };

interface LabelledOwner extends NumberOwner {
  /** The labels of its samples, as bytes of a `Metric`. */
  readonly labels: Uint8Array;
}

export interface MessageOptions {
  readonly prefix: string;
  /** The labels of every sample. */
  readonly labels: Labels;
}

/** The values of one source, and its labels as bytes, which are kept between two scrapes. */
export class MessageSource {
  readonly numbers = new Numbers();
  readonly #options: MessageOptions;
  readonly #plain: Uint8Array;
  #families: readonly Family[] = [];
  #own: readonly LabelledOwner[] | undefined;
  /** By the group of devices. */
  #devices: (readonly LabelledOwner[])[] = [];
  #aggregates: (readonly LabelledOwner[])[] = [];
  #metrics: NumberMetrics | undefined;

  constructor(options: MessageOptions) {
    this.#options = options;
    this.#plain = labelPairs(options.labels);
  }

  /** The families, some of which may have no samples. */
  get families(): readonly Family[] {
    return this.#families;
  }

  /**
   * Takes the values of a reading.
   * @throws MetricsError `ERR_METRICS_SCHEMA` if two metrics would have the same name.
   */
  update(sampled: Sampled): void {
    this.#families = familiesOf(sampled.layout, this.#options.prefix);
    if (this.numbers.update(sampled)) {
      this.#metrics?.update();
      return;
    }
    this.#metrics = undefined;
    this.#own = undefined;
    this.#devices = [];
    this.#aggregates = [];
  }

  /** The `Metric`s of a family of counters or gauges, and how many they are. `place`: its index in `families`. */
  metricsOf(place: number): MetricBytes {
    this.#metrics ??= new NumberMetrics(this);
    return this.#metrics.of(place);
  }

  ownersOf(family: Family): readonly LabelledOwner[] {
    const { devices, isAggregate } = family;
    if (devices === undefined) return (this.#own ??= this.#labelled(family));
    const owners = isAggregate ? this.#aggregates : this.#devices;
    return (owners[devices.group] ??= this.#labelled(family));
  }

  #labelled(family: Family): readonly LabelledOwner[] {
    return this.numbers.ownersOf(family).map(({ device, first }) => {
      return { device, first, labels: device === undefined ? this.#plain : labelPairs({ ...this.#options.labels, device }) };
    });
  }
}

interface MetricBytes {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/**
 * The `Metric`s of all counters and gauges of a source as bytes that are kept. Their values have a fixed length, so
 * only the values are written again.
 */
class NumberMetrics {
  readonly #numbers: Numbers;
  readonly #view: DataView;
  readonly #families: readonly MetricBytes[];
  /** For each number: the index of its byte, and of its value. */
  readonly #places: Uint32Array;
  readonly #divisors: Float64Array;

  constructor(source: MessageSource) {
    this.#numbers = source.numbers;
    const writer = new BinaryWriter();
    const places: number[] = [];
    const divisors: number[] = [];
    let at = 0;
    const ranges = source.families.map((family) => {
      if (family.type !== 'counter' && family.type !== 'gauge') return { begin: at, end: at, count: 0 };
      const begin = at;
      const { cell, decimals } = family.parts[0]!;
      const owners = source.ownersOf(family);
      for (const { labels, first } of owners) {
        writeNumber(writer, labels, family.type, 0);
        at += numberBytes(labels);
        places.push(at - DOUBLE_BYTES, first + cell);
        divisors.push(10 ** decimals);
      }
      return { begin, end: at, count: owners.length };
    });
    const bytes = writer.finish();
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#families = ranges.map(({ begin, end, count }) => ({ bytes: bytes.subarray(begin, end), count }));
    this.#places = Uint32Array.from(places);
    this.#divisors = Float64Array.from(divisors);
    this.update();
  }

  of(place: number): MetricBytes {
    return this.#families[place]!;
  }

  /** Writes the values of the last reading. */
  update(): void {
    const view = this.#view;
    const places = this.#places;
    for (let i = 0; i < places.length; i += 2) {
      view.setFloat64(places[i]!, this.#numbers.valueAt(places[i + 1]!) / this.#divisors[i >> 1]!, true);
    }
  }
}

/**
 * The families of all sources, each family once.
 * @throws MetricsError `ERR_METRICS_SCHEMA` if a name has another type or unit in another source.
 */
export function protobufOf(sources: readonly MessageSource[]): Uint8Array<ArrayBuffer> {
  return Buffer.concat([...protobufChunks(sources)]);
}

/**
 * The same in chunks, each with whole messages. The sources must not change until the last chunk was made.
 * @param isWanted Which families are written. Default: all.
 * @throws As protobufOf(), before the first chunk.
 */
export function* protobufChunks(
  sources: readonly MessageSource[],
  isWanted: (family: Family) => boolean = () => true,
): Generator<Uint8Array<ArrayBuffer>> {
  const { families, placeOf } = unionOf(sources);
  const writer = new BinaryWriter();
  let samples = 0;
  for (const [number, family] of families.entries()) {
    if (!isWanted(family)) continue;
    let hasHead = false;
    for (let i = 0; i < sources.length; i++) {
      const source = sources[i]!;
      const place = placeOf === undefined ? number : placeOf[i]![number]!;
      if (place < 0) continue;
      const own = source.families[place]!;
      const isNumber = own.type === 'counter' || own.type === 'gauge';
      const count = isNumber ? source.metricsOf(place).count : source.ownersOf(own).length;
      if (count === 0) continue;
      if (!hasHead) writer.fork().raw(headOf(family));
      hasHead = true;
      samples += count;
      if (isNumber) writer.raw(source.metricsOf(place).bytes);
      else for (const owner of source.ownersOf(own)) writeDistribution(writer, source.numbers, own, owner);
    }
    if (!hasHead) continue;
    if (family.unit !== '') writer.tag(5, WireType.LengthDelimited).string(family.unit);
    writer.join();
    if (samples < CHUNK_SAMPLES) continue;
    yield writer.finish();
    samples = 0;
  }
  if (samples > 0) yield writer.finish();
}

/** A family with these samples, each with its labels. */
export function simpleFamily(
  head: { readonly name: string; readonly help: string; readonly type: 'counter' | 'gauge' },
  samples: Iterable<{ readonly labels: Labels; readonly value: number }>,
): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter().fork();
  writeHead(writer, head);
  for (const { labels, value } of samples) writeNumber(writer, labelPairs(labels), head.type, value);
  return writer.join().finish();
}

const heads = new WeakMap<Family, Uint8Array>();

/** The same fields as writeHead() writes, as bytes that are kept. */
function headOf(family: Family): Uint8Array {
  let head = heads.get(family);
  if (head === undefined) {
    const { name, type } = family;
    writeHead(scratch, { ...family, name: type === 'counter' ? `${name}_total` : name });
    heads.set(family, (head = scratch.finish()));
  }
  return head;
}

/** The fields of `MetricFamily` before its metrics. */
function writeHead(writer: BinaryWriter, { name, help, type }: { name: string; help: string; type: FamilyType }): void {
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(2, WireType.LengthDelimited).string(help);
  writer.tag(3, WireType.Varint).int32(TYPES[type]);
}

/** For a few bytes. */
const scratch = new BinaryWriter();

/** `LabelPair`s, as a `Metric` contains them. */
function labelPairs(labels: Labels): Uint8Array {
  for (const [name, value] of Object.entries(labels)) {
    scratch.tag(1, WireType.LengthDelimited).fork();
    scratch.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(value).join();
  }
  return scratch.finish();
}

/** `Metric` with a `Gauge` or a `Counter`. */
function writeNumber(writer: BinaryWriter, labels: Uint8Array, type: 'counter' | 'gauge', value: number): void {
  writer
    .tag(4, WireType.LengthDelimited)
    .uint32(labels.length + NUMBER_BYTES)
    .raw(labels);
  // The field, the length of its message, and the field of the double in that message.
  writer.tag(type === 'gauge' ? 2 : 3, WireType.LengthDelimited).uint32(9);
  writer.tag(1, WireType.Bit64).double(value);
}
const NUMBER_BYTES = 11;
const DOUBLE_BYTES = 8;

/** How many bytes writeNumber() writes. The double comes last. */
function numberBytes(labels: Uint8Array): number {
  const bytes = labels.length + NUMBER_BYTES;
  return 1 + varintBytes(bytes) + bytes;
}

/** `Metric`: the labels and the values of one owner of a summary or a histogram. */
function writeDistribution(writer: BinaryWriter, numbers: Numbers, family: Family, owner: LabelledOwner): void {
  const { type, parts } = family;
  writer.tag(4, WireType.LengthDelimited).fork().raw(owner.labels);
  if (type === 'histogram') writeHistogram(writer, numbers, family, owner);
  else {
    writer.tag(4, WireType.LengthDelimited).fork();
    for (const part of parts) {
      if (part.suffix === '_count') writer.tag(1, WireType.Varint).uint64(numbers.integerAt(owner, part));
      else writer.tag(2, WireType.Bit64).double(numbers.at(owner, part));
    }
    writer.join();
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
