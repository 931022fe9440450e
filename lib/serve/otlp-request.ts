// The metrics of virtual machines as a request of OpenTelemetry's protocol: the message `ExportMetricsServiceRequest`.
// The numbers of the fields are those of opentelemetry-proto, version 1.5.0. Pure.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import { baseUnitOf, nameWithoutUnit } from '../base-unit.ts';
import { type CollectedMetric, collected } from '../collect.ts';
import type { HistogramValue } from '../histogram/value.ts';
import type { LatencyValue } from '../values.ts';
import { STATES } from './file-state.ts';
import { PREFIX, type ServedFile } from './served-file.ts';

export interface RequestFacts {
  readonly hostName: string;
  /** The version of this package. */
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

const CUMULATIVE = 2;
const UNITS = { '': '', bytes: 'By', seconds: 's' } as const;
/** The largest value that `as_int` can hold; a larger value is sent as a double. */
const INT_MAX = 2n ** 63n - 1n;

type Attributes = Readonly<Record<string, string>>;

/** A request with these virtual machines, each a resource of its own. */
export function otlpRequest(vms: readonly ServedFile[], facts: RequestFacts): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  for (const vm of vms) within(writer, 1, () => writeVm(writer, vm, facts));
  return writer.finish();
}

/** `ResourceMetrics` */
function writeVm(writer: BinaryWriter, vm: ServedFile, { hostName, version, nowMs }: RequestFacts): void {
  const { name, state, writer: owner, content, values } = vm;
  const { pid, startedAtMs, storeName, id, properties } = owner!;
  const properly = Object.fromEntries(Object.entries(properties).map(([key, value]) => [`vmm.property.${key}`, value]));
  within(writer, 1, () => {
    writeAttributes(writer, 1, {
      'service.name': PREFIX,
      'service.instance.id': name,
      'host.name': hostName,
      'process.pid': `${pid}`,
      'vmm.store': storeName,
      ...(id !== undefined && { 'vmm.id': id }),
      ...properly,
    });
  });
  const times: Times = { startNs: BigInt(startedAtMs) * 1_000_000n, nowNs: BigInt(nowMs) * 1_000_000n };
  within(writer, 2, () => {
    within(writer, 1, () => writer.tag(1, WireType.LengthDelimited).string('vmm-metrics').tag(2, WireType.LengthDelimited).string(version));
    const up = { doc: '1 if the process runs, and its metrics can be read', unit: '' };
    writeMetric(writer, `${PREFIX}.up`, up, Data.gauge, () => writeNumber(writer, times, {}, state === 'running' ? 1n : 0n, 0));
    writeMetric(writer, `${PREFIX}.state`, { doc: '1 for the state of the process, 0 for all others', unit: '' }, Data.gauge, () => {
      for (const one of STATES) writeNumber(writer, times, { state: one }, state === one ? 1n : 0n, 0);
    });
    if (values !== 'shown' || content === undefined) return;
    const { layout, totals, map } = content;
    for (const family of familiesOf(collected(layout, totals, ({ group }) => map.devices[group]!))) writeFamily(writer, family, times);
  });
}

interface Times {
  readonly startNs: bigint;
  readonly nowNs: bigint;
}

/** The same metric of all devices of a group. */
function familiesOf(all: readonly CollectedMetric[]): CollectedMetric[][] {
  const families = new Map<string, CollectedMetric[]>();
  for (const metric of all) {
    const { group, aggregate, name } = metric;
    const key = `${group}.${aggregate ? 'all.' : ''}${name}`;
    const family = families.get(key);
    if (family === undefined) families.set(key, [metric]);
    else family.push(metric);
  }
  return [...families.values()];
}

function writeFamily(writer: BinaryWriter, family: readonly CollectedMetric[], times: Times): void {
  const { group, aggregate, name, kind, unit, doc, value: first } = family[0]!;
  const { name: baseUnit, decimals } = baseUnitOf(unit);
  const fullName = `${PREFIX}.${group}.${aggregate ? 'all.' : ''}${unit === 'bytes' ? name : nameWithoutUnit(name, unit)}`;
  const field = fieldOf(kind, first);
  writeMetric(writer, fullName, { doc, unit: UNITS[baseUnit] }, field, () => {
    for (const { device, value } of family) {
      const attributes: Attributes = device === undefined ? {} : { device };
      const histogram = histogramIn(value);
      if (typeof value === 'bigint') writeNumber(writer, times, attributes, value, decimals);
      else if (histogram === undefined) writeLatency(writer, times, attributes, value as LatencyValue, decimals);
      else writeHistogram(writer, times, attributes, histogram, decimals);
    }
    if (field !== Data.gauge) writer.tag(2, WireType.Varint).int32(CUMULATIVE);
    if (field === Data.sum) writer.tag(3, WireType.Varint).bool(true);
  });
}

/** The fields of `Metric` that hold its data. */
const Data = { gauge: 5, sum: 7, histogram: 9, exponentialHistogram: 10 } as const;

function fieldOf(kind: CollectedMetric['kind'], value: CollectedMetric['value']): number {
  if (kind === 'inc') return Data.sum;
  if (kind === 'store') return Data.gauge;
  return histogramIn(value) === undefined ? Data.histogram : Data.exponentialHistogram;
}

function histogramIn(value: CollectedMetric['value']): HistogramValue | undefined {
  if (typeof value === 'bigint') return undefined;
  return 'bucketCounts' in value ? value : value.histogram;
}

/** `Metric`. `field` is one of `Data`. */
function writeMetric(writer: BinaryWriter, name: string, text: { doc: string; unit: string }, field: number, data: () => void): void {
  within(writer, 2, () => {
    writer.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(text.doc);
    if (text.unit !== '') writer.tag(3, WireType.LengthDelimited).string(text.unit);
    within(writer, field, data);
  });
}

/** `NumberDataPoint` */
function writeNumber(writer: BinaryWriter, times: Times, attributes: Attributes, value: bigint, decimals: number): void {
  within(writer, 1, () => {
    writeTimes(writer, times);
    if (decimals === 0 && value <= INT_MAX) writer.tag(6, WireType.Bit64).sfixed64(value);
    else writer.tag(4, WireType.Bit64).double(Number(value) / 10 ** decimals);
    writeAttributes(writer, 7, attributes);
  });
}

/** `HistogramDataPoint`, with one bucket for all values. */
function writeLatency(writer: BinaryWriter, times: Times, attributes: Attributes, value: LatencyValue, decimals: number): void {
  const { count, sum_us, min_us, max_us } = value;
  const inBaseUnit = (one: bigint) => Number(one) / 10 ** decimals;
  within(writer, 1, () => {
    writeTimes(writer, times);
    writer.tag(4, WireType.Bit64).fixed64(count).tag(5, WireType.Bit64).double(inBaseUnit(sum_us));
    within(writer, 6, () => writer.fixed64(count));
    writeAttributes(writer, 9, attributes);
    // Aggregates that show 0 for the extremes have none.
    if (count === 0n || (max_us === 0n && sum_us > 0n)) return;
    writer.tag(11, WireType.Bit64).double(inBaseUnit(min_us)).tag(12, WireType.Bit64).double(inBaseUnit(max_us));
  });
}

/** `ExponentialHistogramDataPoint` */
function writeHistogram(writer: BinaryWriter, times: Times, attributes: Attributes, value: HistogramValue, decimals: number): void {
  const { count, sum, min, max, scale, zeroCount, zeroThreshold, offset, bucketCounts } = value;
  const inBaseUnit = (one: bigint) => Number(one) / 10 ** decimals;
  within(writer, 1, () => {
    writeAttributes(writer, 1, attributes);
    writeTimes(writer, times);
    writer.tag(4, WireType.Bit64).fixed64(count).tag(5, WireType.Bit64).double(inBaseUnit(sum));
    writer.tag(6, WireType.Varint).sint32(scale).tag(7, WireType.Bit64).fixed64(zeroCount);
    within(writer, 8, () => {
      writer.tag(1, WireType.Varint).sint32(offset);
      within(writer, 2, () => bucketCounts.forEach((bucket) => void writer.uint64(bucket)));
    });
    if (count > 0n) writer.tag(12, WireType.Bit64).double(inBaseUnit(min)).tag(13, WireType.Bit64).double(inBaseUnit(max));
    writer.tag(14, WireType.Bit64).double(zeroThreshold);
  });
}

function writeTimes(writer: BinaryWriter, { startNs, nowNs }: Times): void {
  writer.tag(2, WireType.Bit64).fixed64(startNs).tag(3, WireType.Bit64).fixed64(nowNs);
}

/** `KeyValue`, each with an `AnyValue` of text. */
function writeAttributes(writer: BinaryWriter, field: number, attributes: Attributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    within(writer, field, () => {
      writer.tag(1, WireType.LengthDelimited).string(key);
      within(writer, 2, () => writer.tag(1, WireType.LengthDelimited).string(value));
    });
  }
}

/** A message inside of another. */
function within(writer: BinaryWriter, field: number, write: () => unknown): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write();
  writer.join();
}
