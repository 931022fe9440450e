// The metrics of virtual machines as requests of OpenTelemetry's protocol: messages `ExportMetricsServiceRequest`. The
// numbers of the fields are those of opentelemetry-proto, version 1.5.0. Pure.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import { HistogramValue } from '../histogram/value.ts';
import { FIRST_BUCKET, LATENCY_COUNT, LATENCY_MAX, LATENCY_MIN, LATENCY_SUM } from '../layout.ts';
import { Shape, wordsFor } from '../prometheus/values.ts';
import type { Sampled } from '../sampled.ts';
import { STATES } from './file-state.ts';
import { attributesIn, exponentialHistogram, type HistogramPoint, headOf, resourceOf, scopeOf } from './otlp-messages.ts';
import { Data, type OtlpMetric, otlpMetricsOf } from './otlp-metrics.ts';
import { constantPoint, latencyPoint, numberPoint, type Template, TemplateWriter, varintBytes } from './otlp-template.ts';
import { PREFIX, type ServedFile } from './served-file.ts';

export interface RequestFacts {
  readonly hostName: string;
  /** The version of this package. */
  readonly version: string;
}

export class OtlpRequests {
  readonly #facts: RequestFacts;
  readonly #vms = new WeakMap<ServedFile, OtlpVm>();

  constructor(facts: RequestFacts) {
    this.#facts = facts;
  }

  /**
   * A request with these virtual machines, each a resource of its own, in chunks. The next request overwrites them.
   * @param nowMs Milliseconds since 1970.
   */
  of(vms: readonly ServedFile[], nowMs: number): Uint8Array[] {
    return vms.flatMap((file) => {
      let vm = this.#vms.get(file);
      if (vm === undefined) this.#vms.set(file, (vm = new OtlpVm(file, this.#facts)));
      return vm.chunks(BigInt(nowMs) * 1_000_000n);
    });
  }
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

/** One virtual machine. What does not change between two requests is kept as bytes. */
class OtlpVm {
  readonly #file: ServedFile;
  readonly #facts: RequestFacts;
  /** What the kept bytes were made from. */
  #keys: readonly unknown[] = [];
  #shape: Shape | undefined;
  #words = wordsFor(0);
  #resource: Uint8Array = new Uint8Array();
  #scope: Uint8Array = new Uint8Array();
  #template: Template | undefined;
  #distributions: readonly Distribution[] = [];
  /** Latencies: where their count is, and whether their point has extremes. */
  #latencies: { readonly word: number; readonly hasExtremes: boolean }[] = [];

  constructor(file: ServedFile, facts: RequestFacts) {
    this.#file = file;
    this.#facts = facts;
  }

  /** The field `resource_metrics` of a request. */
  chunks(nowNs: bigint): Uint8Array[] {
    const { name, state, writer, content, values } = this.#file;
    const sampled = values === 'shown' && content !== undefined ? this.#file.sampled : undefined;
    const keys = [name, state, writer, sampled !== undefined];
    const isSameShape = sampled === undefined || this.#shape?.fits(sampled) === true;
    if (!isSameShape) {
      this.#shape = new Shape(sampled);
      this.#words = wordsFor(this.#shape.values);
    }
    if (sampled !== undefined) this.#shape!.fill(sampled, this.#words);
    const isSame = isSameShape && this.#template !== undefined && keys.every((key, i) => key === this.#keys[i]);
    if (!isSame || this.#latencies.some(({ word, hasExtremes }) => this.#isCounted(word) !== hasExtremes)) {
      this.#keys = keys;
      this.#render(sampled);
    }
    this.#template!.update(this.#words.halves, nowNs);
    const histograms = this.#distributions.map((one) => this.#histogram(one, nowNs));
    const metrics = [this.#template!.bytes, ...histograms];
    const scopeBytes = metrics.reduce((sum, { length }) => sum + length, this.#scope.length);
    const bytes = this.#resource.length + 1 + varintBytes(scopeBytes) + scopeBytes;
    const head = new BinaryWriter().tag(1, WireType.LengthDelimited).uint32(bytes).raw(this.#resource);
    return [head.tag(2, WireType.LengthDelimited).uint32(scopeBytes).raw(this.#scope).finish(), ...metrics];
  }

  get #startNs(): bigint {
    return BigInt(this.#file.writer!.startedAtMs) * 1_000_000n;
  }

  #isCounted(word: number): boolean {
    return (this.#words.halves[word]! | this.#words.halves[word + 1]!) !== 0;
  }

  /** Renders everything but the numbers. */
  #render(sampled: Sampled | undefined): void {
    const { name, state, writer } = this.#file;
    const { pid, storeName, id, properties } = writer!;
    this.#resource = resourceOf({
      'service.name': PREFIX,
      'service.instance.id': name,
      'host.name': this.#facts.hostName,
      'process.pid': `${pid}`,
      'vmm.store': storeName,
      ...(id !== undefined && { 'vmm.id': id }),
      ...Object.fromEntries(Object.entries(properties).map(([key, value]) => [`vmm.property.${key}`, value])),
    });
    this.#scope = scopeOf('vmm-metrics', this.#facts.version);
    this.#latencies = [];
    const template = new TemplateWriter();
    const startNs = this.#startNs;
    template.add(headOf(UP), Data.gauge, [constantPoint(startNs, new Uint8Array(), state === 'running' ? 1 : 0)]);
    template.add(
      headOf(STATE),
      Data.gauge,
      STATES.map((one) => constantPoint(startNs, attributesIn(7, { state: one }), state === one ? 1 : 0)),
    );
    const distributions: Distribution[] = [];
    for (const metric of sampled === undefined ? [] : otlpMetricsOf(sampled.layout)) {
      const owners = this.#ownersOf(metric).map(({ first, device }) => {
        return { first, attributes: attributesIn(ATTRIBUTES[metric.field]!, device === undefined ? {} : { device }) };
      });
      if (owners.length === 0) continue;
      const head = headOf(metric);
      if (metric.field === Data.exponentialHistogram) distributions.push({ head, metric, points: owners });
      else {
        const points = owners.map(({ first, attributes }) => this.#pointOf(metric, first, attributes));
        template.add(head, metric.field, points);
      }
    }
    this.#template = template.finish();
    this.#distributions = distributions;
  }

  #ownersOf({ devices, isAggregate }: OtlpMetric): PointOwner[] {
    if (devices === undefined) return [{ first: 0, device: undefined }];
    if (isAggregate) return [{ first: this.#shape!.aggregates[devices.group]!, device: undefined }];
    return this.#shape!.living(devices).map(({ id, firstCell }) => ({ first: firstCell, device: id }));
  }

  #pointOf({ field, cell, decimals, devices, isAggregate }: OtlpMetric, first: number, attributes: Uint8Array) {
    const word = (part: number) => 2 * (first + cell + part);
    if (field !== Data.histogram) return numberPoint(this.#startNs, attributes, word(0), decimals);
    const count = this.#shape!.layout.latencyCells === 'counted' ? word(LATENCY_COUNT) : undefined;
    // Where a line shows 0 for the extremes of all devices, there are no extremes.
    const canHaveExtremes = count !== undefined && !(isAggregate && devices?.latencyAggregate === 'zero');
    const hasExtremes = canHaveExtremes && this.#isCounted(count);
    if (canHaveExtremes) this.#latencies.push({ word: count, hasExtremes });
    const extremes = hasExtremes ? { min: word(LATENCY_MIN), max: word(LATENCY_MAX) } : undefined;
    return latencyPoint(this.#startNs, attributes, { count, sum: word(LATENCY_SUM), extremes }, decimals);
  }

  #histogram({ head, metric, points }: Distribution, nowNs: bigint): Uint8Array {
    const all = this.#words.integers;
    const scheme = metric.scheme!;
    const valued = points.map(({ first, attributes }): HistogramPoint => {
      const cell = first + metric.cell;
      const bucket = (i: number) => all[cell + FIRST_BUCKET + i]!;
      // Each bucket has the count of all values up to its upper edge.
      const counts = Array.from({ length: scheme.buckets }, (_, i) => (i === 0 ? bucket(0) : bucket(i) - bucket(i - 1)));
      const [sum, min, max] = [all[cell + LATENCY_SUM]!, all[cell + LATENCY_MIN]!, all[cell + LATENCY_MAX]!];
      return { attributes, value: new HistogramValue(scheme, { sum, min, max, counts }) };
    });
    return exponentialHistogram(head, metric, valued, [this.#startNs, nowNs]);
  }
}
