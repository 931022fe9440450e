// The metrics of virtual machines as requests of OpenTelemetry's protocol: messages `ExportMetricsServiceRequest`. The
// numbers of the fields are those of opentelemetry-proto, version 1.5.0. Pure.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import { HistogramValue } from '../histogram/value.ts';
import { FIRST_BUCKET, LATENCY_COUNT, LATENCY_MAX, LATENCY_MIN, LATENCY_SUM } from '../layout.ts';
import { Shape, wordsFor } from '../prometheus/values.ts';
import { varintBytes } from '../prometheus/varint.ts';
import type { Sampled } from '../sampled.ts';
import { STATES } from './file-state.ts';
import { RequestBytes } from './otlp-bytes.ts';
import { attributesIn, exponentialHistogram, type HistogramPoint, headOf, resourceOf, scopeOf } from './otlp-messages.ts';
import { Data, type OtlpMetric, otlpMetricsOf } from './otlp-metrics.ts';
import { constantPoint, latencyPoint, numberPoint, type Template, TemplateWriter, type ValueBits } from './otlp-template.ts';
import { PREFIX, type ServedFile } from './served-file.ts';

export interface RequestFacts {
  readonly hostName: string;
  /** The version of this package. */
  readonly version: string;
}

/**
 * How many templates can be found by what they follow from. Virtual machines with the same schema and devices share
 * one.
 */
const TEMPLATES_MAX = 4096;

export class OtlpRequests {
  readonly #facts: RequestFacts;
  readonly #scope: Uint8Array;
  readonly #vms = new WeakMap<ServedFile, OtlpVm>();
  readonly #rendered = new Map<string, WeakRef<Rendered>>();
  readonly #request = new RequestBytes();

  constructor(facts: RequestFacts) {
    this.#facts = facts;
    this.#scope = scopeOf('vmm-metrics', facts.version);
  }

  /**
   * A request with these virtual machines, each a resource of its own. The next request overwrites it.
   * @param nowMs Milliseconds since 1970.
   */
  of(vms: readonly ServedFile[], nowMs: number): Uint8Array<ArrayBuffer> {
    this.#request.clear();
    const shared = { facts: this.#facts, scope: this.#scope, rendered: this.#rendered, nowNs: BigInt(nowMs) * 1_000_000n };
    for (const file of vms) {
      let vm = this.#vms.get(file);
      if (vm === undefined) this.#vms.set(file, (vm = new OtlpVm(file)));
      vm.writeTo(this.#request, shared);
    }
    if (this.#rendered.size > TEMPLATES_MAX) this.#rendered.clear();
    return this.#request.bytes;
  }
}

interface Shared {
  readonly facts: RequestFacts;
  readonly scope: Uint8Array;
  /** What virtual machines share, by all that it follows from. They alone keep it, as long as one of them uses it. */
  readonly rendered: Map<string, WeakRef<Rendered>>;
  readonly nowNs: bigint;
}

/** Everything of a virtual machine's metrics but numbers. */
interface Rendered {
  readonly template: Template;
  readonly distributions: readonly Distribution[];
}

/** The field of the attributes. `HistogramDataPoint` and the others number their fields in their own way. */
const ATTRIBUTES = { [Data.gauge]: 7, [Data.sum]: 7, [Data.histogram]: 9, [Data.exponentialHistogram]: 1 } as Readonly<
  Record<number, number>
>;

const UP = { name: `${PREFIX}.up`, doc: '1 if the process runs, and its metrics can be read', unit: '' } as const;
const STATE = { name: `${PREFIX}.state`, doc: '1 for the state of the process, 0 for all others', unit: '' } as const;

/** An owner of points: the first value of its metrics, and the attributes that tell the owner from others. */
interface PointOwner {
  readonly first: number;
  readonly device: string | undefined;
}

/** A histogram, whose points are as long as it has buckets. */
interface Distribution {
  readonly head: Uint8Array;
  readonly metric: OtlpMetric;
  readonly points: readonly { readonly first: number; readonly attributes: Uint8Array }[];
}

/** For the values of one virtual machine after the other. */
let scratch: ValueBits = { ...wordsFor(0), doubles: new Float64Array() };

function scratchOf(values: number): ValueBits {
  if (scratch.integers.length < values) {
    const words = wordsFor(values);
    scratch = { ...words, doubles: new Float64Array(words.integers.buffer) };
  }
  return scratch;
}

/** A latency: where its count is, and whether its point has extremes. */
interface LatencyState {
  readonly word: number;
  hasExtremes: boolean;
}

/** One virtual machine. What does not change between two requests is kept. */
class OtlpVm {
  readonly #file: ServedFile;
  /** What the kept things were made from. */
  #keys: readonly unknown[] = [];
  #shape: Shape | undefined;
  /** The shape as text. */
  #shapeKey = '';
  #resource: Uint8Array = new Uint8Array();
  #rendered: Rendered | undefined;
  #latencies: readonly LatencyState[] = [];

  constructor(file: ServedFile) {
    this.#file = file;
  }

  /** Writes the field `resource_metrics` of a request. */
  writeTo(request: RequestBytes, shared: Shared): void {
    const { name, state, writer, content, values } = this.#file;
    const sampled = values === 'shown' && content !== undefined ? this.#file.sampled : undefined;
    const keys = [name, state, writer, sampled !== undefined];
    const isSameShape = sampled === undefined || this.#shape?.fits(sampled) === true;
    if (!isSameShape) this.#takeShape(sampled);
    const bits = scratchOf(this.#shape?.values ?? 0);
    const { halves } = bits;
    if (sampled !== undefined) this.#shape!.fill(sampled, bits);
    const isSame = isSameShape && this.#rendered !== undefined && keys.every((key, i) => key === this.#keys[i]);
    const isCounted = (word: number) => (halves[word]! | halves[word + 1]!) !== 0;
    const haveChanged = sampled !== undefined && this.#latencies.some(({ word, hasExtremes }) => isCounted(word) !== hasExtremes);
    if (!isSame || haveChanged) {
      this.#keys = keys;
      for (const one of this.#latencies) one.hasExtremes = isCounted(one.word);
      this.#render(sampled, shared);
    }
    const { template, distributions } = this.#rendered!;
    const startNs = BigInt(writer!.startedAtMs) * 1_000_000n;
    const histograms = distributions.map((one) => histogramOf(one, bits, [startNs, shared.nowNs]));
    const scopeBytes = histograms.reduce((sum, { length }) => sum + length, shared.scope.length + template.length);
    const bytes = this.#resource.length + 1 + varintBytes(scopeBytes) + scopeBytes;
    const head = headWriter.tag(1, WireType.LengthDelimited).uint32(bytes).raw(this.#resource);
    request.add(head.tag(2, WireType.LengthDelimited).uint32(scopeBytes).raw(shared.scope).finish());
    const begin = request.open(template.length);
    template.copy({ bits, startNs, nowNs: shared.nowNs }, request.view, begin);
    for (const histogram of histograms) request.add(histogram);
  }

  #takeShape(sampled: Sampled): void {
    const shape = new Shape(sampled);
    this.#shape = shape;
    const devices = shape.layout.devices.map((group) => shape.living(group).map(({ id, firstCell }) => [id, firstCell]));
    this.#shapeKey = JSON.stringify([numberOf(shape.layout), shape.aggregates, devices]);
    this.#latencies = otlpMetricsOf(shape.layout)
      .filter(canHaveExtremes(shape))
      .flatMap((metric) => this.#ownersOf(metric).map(({ first }) => ({ word: countWord(metric, first), hasExtremes: false })));
  }

  /** Renders everything but the numbers, or finds where that was done for another virtual machine. */
  #render(sampled: Sampled | undefined, { facts, rendered }: Shared): void {
    const { name, state, writer } = this.#file;
    const { pid, storeName, id, properties } = writer!;
    this.#resource = resourceOf({
      'service.name': PREFIX,
      'service.instance.id': name,
      'host.name': facts.hostName,
      'process.pid': `${pid}`,
      'vmm.store': storeName,
      ...(id !== undefined && { 'vmm.id': id }),
      ...Object.fromEntries(Object.entries(properties).map(([key, value]) => [`vmm.property.${key}`, value])),
    });
    const counted = this.#latencies.map(({ hasExtremes }) => (hasExtremes ? '1' : '0')).join('');
    const key = `${state} ${sampled === undefined ? '' : `${counted} ${this.#shapeKey}`}`;
    this.#rendered = rendered.get(key)?.deref();
    if (this.#rendered === undefined) rendered.set(key, new WeakRef((this.#rendered = this.#renderNew(sampled))));
  }

  #renderNew(sampled: Sampled | undefined): Rendered {
    const { state } = this.#file;
    const template = new TemplateWriter();
    template.add(headOf(UP), Data.gauge, [constantPoint(new Uint8Array(), state === 'running' ? 1 : 0)]);
    template.add(
      headOf(STATE),
      Data.gauge,
      STATES.map((one) => constantPoint(attributesIn(7, { state: one }), state === one ? 1 : 0)),
    );
    const distributions: Distribution[] = [];
    let latencies = 0;
    for (const metric of sampled === undefined ? [] : otlpMetricsOf(sampled.layout)) {
      const owners = this.#ownersOf(metric).map(({ first, device }) => {
        return { first, attributes: attributesIn(ATTRIBUTES[metric.field]!, device === undefined ? {} : { device }) };
      });
      if (owners.length === 0) continue;
      const head = headOf(metric);
      const canHave = canHaveExtremes(this.#shape!)(metric);
      if (metric.field === Data.exponentialHistogram) distributions.push({ head, metric, points: owners });
      else {
        const points = owners.map(({ first, attributes }) => {
          const hasExtremes = canHave && this.#latencies[latencies++]!.hasExtremes;
          return this.#pointOf(metric, first, attributes, hasExtremes);
        });
        template.add(head, metric.field, points);
      }
    }
    return { template: template.finish(), distributions };
  }

  #ownersOf({ devices, isAggregate }: OtlpMetric): PointOwner[] {
    if (devices === undefined) return [{ first: 0, device: undefined }];
    if (isAggregate) return [{ first: this.#shape!.aggregates[devices.group]!, device: undefined }];
    return this.#shape!.living(devices).map(({ id, firstCell }) => ({ first: firstCell, device: id }));
  }

  #pointOf(metric: OtlpMetric, first: number, attributes: Uint8Array, hasExtremes: boolean) {
    const { field, cell, decimals } = metric;
    const word = (part: number) => 2 * (first + cell + part);
    if (field !== Data.histogram) return numberPoint(attributes, word(0), decimals);
    const count = this.#shape!.layout.latencyCells === 'counted' ? countWord(metric, first) : undefined;
    const extremes = hasExtremes ? { min: word(LATENCY_MIN), max: word(LATENCY_MAX) } : undefined;
    return latencyPoint(attributes, { count, sum: word(LATENCY_SUM), extremes }, decimals);
  }
}

const headWriter = new BinaryWriter();

const numbers = new WeakMap<object, number>();
let nextNumber = 0;

/** A number that no other layout has. */
function numberOf(layout: object): number {
  let number = numbers.get(layout);
  if (number === undefined) numbers.set(layout, (number = nextNumber++));
  return number;
}

const countWord = ({ cell }: OtlpMetric, first: number) => 2 * (first + cell + LATENCY_COUNT);

/** Whether the points of a metric have extremes once they have values. */
function canHaveExtremes({ layout }: Shape): (metric: OtlpMetric) => boolean {
  const hasCounts = layout.latencyCells === 'counted';
  // Where a line shows 0 for the extremes of all devices, there are no extremes.
  return ({ field, devices, isAggregate }) =>
    field === Data.histogram && hasCounts && !(isAggregate && devices?.latencyAggregate === 'zero');
}

function histogramOf({ head, metric, points }: Distribution, { integers: all }: ValueBits, times: readonly [bigint, bigint]): Uint8Array {
  const scheme = metric.scheme!;
  const valued = points.map(({ first, attributes }): HistogramPoint => {
    const cell = first + metric.cell;
    const bucket = (i: number) => all[cell + FIRST_BUCKET + i]!;
    // Each bucket has the count of all values up to its upper edge.
    const counts = Array.from({ length: scheme.buckets }, (_, i) => (i === 0 ? bucket(0) : bucket(i) - bucket(i - 1)));
    const [sum, min, max] = [all[cell + LATENCY_SUM]!, all[cell + LATENCY_MIN]!, all[cell + LATENCY_MAX]!];
    return { attributes, value: new HistogramValue(scheme, { sum, min, max, counts }) };
  });
  return exponentialHistogram(head, metric, valued, times);
}
