// exposition(): the values of stores and region files as Prometheus reads them.

import { checkedChoice, checkedOptions, shown } from '../arguments.ts';
import type { CollectedMetric } from '../collect.ts';
import { SAMPLE, type Sampled, type Sampling } from '../sampled.ts';
import type { Schema } from '../schema.ts';
import { EOF } from './eof.ts';
import { checkedLabels, checkedPrefix, type Labels, labelsText } from './names.ts';
import { MessageSource, protobufOf } from './protobuf.ts';
import { renderer } from './renderer.ts';
import type { SourceSamples } from './rendering.ts';
import { SourceText } from './source-text.ts';

/** Where values come from: a `Metrics`, or what `readRegion()` has read. Both have these properties. */
export interface ExpositionSource {
  readonly name: string;
  readonly schema: Schema;
  /** All metrics with their values. */
  collect(): readonly CollectedMetric[];
}

/**
 * - `text`: the text format of Prometheus, version 0.0.4.
 * - `openmetrics`: OpenMetrics text, version 1.0.0.
 * - `protobuf`: messages `io.prometheus.client.MetricFamily`, each after its length. Values are doubles.
 */
export type ExpositionFormat = 'text' | 'openmetrics' | 'protobuf';

/** The options of `exposition()` and `expositionBytes()`. */
export interface ExpositionOptions<Source = ExpositionSource> {
  /** Default: `'text'`. */
  readonly format?: ExpositionFormat | undefined;
  /**
   * Labels of every sample; or, for a list of sources, a function that returns the labels of each source. Sources of
   * one list must differ in their labels. Default: none.
   */
  readonly labels?: Labels | ((source: Source, index: number) => Labels) | undefined;
  /** What the names of all metrics begin with, before an underscore; may be empty. Default: `'vmm'`. */
  readonly prefix?: string | undefined;
}

/**
 * The values of a store, of a reading of a region file, or of a list of both, as Prometheus reads them.
 *
 * ```ts
 * import { createServer } from 'node:http';
 * import { contentType, exposition } from 'vmm-metrics/prometheus';
 *
 * createServer((_request, response) => {
 *   response.setHeader('Content-Type', contentType('text'));
 *   response.end(exposition(metrics));
 * }).listen(9100, '127.0.0.1');
 * ```
 *
 * A counter is `vmm_<group>_<metric>_total`, and its value is the total since the store was opened, never a delta. A
 * gauge is `vmm_<group>_<metric>`. A latency is a summary `…_seconds` with gauges `…_min_seconds` and `…_max_seconds`.
 * The metrics of a device have the label `device`. The aggregate of all devices, which includes removed devices, is
 * `vmm_<group>_all_<metric>`. Names end in their base unit: microseconds and milliseconds become seconds, written as
 * exact decimals. docs/prometheus.md has the details.
 *
 * All values are exact up to 2^64-1 in the text. A server that keeps floating-point numbers, as Prometheus does, rounds
 * values above 2^53.
 *
 * The names and labels of a source are kept for the next call. The text of a single source is kept too, and the next
 * call writes only the numbers that changed. A thread exports its own `Metrics` object. Not for signal handlers.
 * @throws TypeError, RangeError for a wrong argument, such as two sources with the same labels.
 * @throws MetricsError `ERR_METRICS_SCHEMA` if two metrics would have the same name, or a name two types. The message
 * names both metrics.
 * @throws MetricsError `ERR_METRICS_CLOSED` for a store that this thread has closed.
 */
export function exposition<Source extends ExpositionSource>(
  source: Source | readonly Source[],
  options: ExpositionOptions<Source> & { readonly format: 'protobuf' },
): Uint8Array<ArrayBuffer>;
export function exposition<Source extends ExpositionSource>(
  source: Source | readonly Source[],
  options?: ExpositionOptions<Source> & { readonly format?: 'text' | 'openmetrics' | undefined },
): string;
export function exposition<Source extends ExpositionSource>(
  source: Source | readonly Source[],
  options?: ExpositionOptions<Source>,
): string | Uint8Array<ArrayBuffer>;
export function exposition<Source extends ExpositionSource>(
  source: Source | readonly Source[],
  options?: ExpositionOptions<Source>,
): string | Uint8Array<ArrayBuffer> {
  const recent = recentText(source, options);
  if (recent !== undefined) return recent.text();
  const request = requestOf('exposition()', source, options);
  if (request.format === 'protobuf') return protobufFrom(request);
  return request.isList ? listFrom(request).toString() : textFrom(request).text();
}

/**
 * The same as {@link exposition}, as bytes of UTF-8 for a socket or a file. No string is made, which saves about half
 * the time.
 * @throws As exposition().
 */
export function expositionBytes<Source extends ExpositionSource>(
  source: Source | readonly Source[],
  options?: ExpositionOptions<Source>,
): Uint8Array<ArrayBuffer> {
  const recent = recentText(source, options);
  if (recent !== undefined) return recent.bytes();
  const request = requestOf('expositionBytes()', source, options);
  if (request.format === 'protobuf') return protobufFrom(request);
  return request.isList ? listFrom(request) : textFrom(request).bytes();
}

/** What a call asks for, checked. */
interface ExpositionRequest {
  readonly format: ExpositionFormat;
  readonly prefix: string;
  readonly isList: boolean;
  readonly sources: readonly { readonly source: object; readonly sampled: Sampled; readonly labels: Labels }[];
}

function requestOf<Source extends ExpositionSource>(
  where: string,
  source: Source | readonly Source[],
  options: ExpositionOptions<Source> | undefined,
): ExpositionRequest {
  const { format = 'text', labels = {}, prefix = 'vmm' } = checkedOptions<ExpositionOptions<Source>>(where, options, OPTIONS);
  checkedChoice(`${where}: format`, format, FORMATS);
  checkedPrefix(`${where}: prefix`, prefix);
  const isList = Array.isArray(source);
  const taken = new Map<string, number>();
  const sources = (isList ? (source as readonly Source[]) : [source as Source]).map((one, index) => {
    const sampled = sampledFrom(isList ? `${where}: source[${index}]` : `${where}: source`, one);
    const own = checkedLabels(`${where}: labels`, index, typeof labels === 'function' ? labels(one, index) : labels);
    const key = labelsText(own);
    const other = taken.get(key);
    if (other !== undefined) {
      throw new RangeError(`${where}: source[${other}] and source[${index}] have the same labels, {${key}}; give each its own`);
    }
    taken.set(key, index);
    return { source: one, sampled, labels: own };
  });
  return { format, prefix, isList, sources };
}

/** The text of a single source, as of now. */
function textFrom({ format, prefix, sources: [one] }: ExpositionRequest): SourceText {
  const { source, sampled, labels } = one!;
  const own = { prefix, labels: labelsText(labels) };
  const text = kept(
    source,
    `${format} ${prefix} ${own.labels}`,
    () => new SourceText({ ...own, isOpenMetrics: format === 'openmetrics', hasHeaders: true }),
  );
  text.update(sampled);
  keptOf(source).recent = { format, prefix, labels: { ...labels }, names: Object.keys(labels), text };
  return text;
}

/** The text of a list of sources, as of now. */
function listFrom({ format, prefix, sources }: ExpositionRequest): Buffer<ArrayBuffer> {
  const isOpenMetrics = format === 'openmetrics';
  const all = sources.map(({ source, sampled, labels }) => {
    const own = { prefix, labels: labelsText(labels) };
    const samples = kept(source, `list ${prefix} ${own.labels}`, () => renderer().samplesOf(own));
    samples.update(sampled);
    return samples;
  });
  const text = renderer().textOf(all, { isOpenMetrics });
  const chunks = [...text.chunks()];
  text.release();
  return Buffer.concat(isOpenMetrics ? [...chunks, EOF] : chunks);
}

function protobufFrom({ prefix, sources }: ExpositionRequest): Uint8Array<ArrayBuffer> {
  return protobufOf(
    sources.map(({ sampled, labels }) => {
      const source = new MessageSource({ prefix, labels });
      source.update(sampled);
      return source;
    }),
  );
}

const OPTIONS = ['format', 'labels', 'prefix'] as const;
const FORMATS = ['text', 'openmetrics', 'protobuf'] as const;
const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  protobuf: 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
};

/** The value of the header `Content-Type` for a format. */
export function contentType(format: ExpositionFormat): string {
  return CONTENT_TYPES[checkedChoice('contentType(): format', format, FORMATS)];
}

/** What is kept for a source: what shows it, by options; and the text of the last call, with its options. */
interface Kept {
  readonly all: Map<string, SourceSamples>;
  recent?: {
    readonly format: ExpositionFormat;
    readonly prefix: string;
    readonly labels: Labels;
    /** The names of the labels. */
    readonly names: readonly string[];
    readonly text: SourceText;
  };
}

const keptBySource = new WeakMap<object, Kept>();
/** A source rarely has more than one reader with options of its own. */
const KEPT_MAX = 4;

function keptOf(source: object): Kept {
  let of = keptBySource.get(source);
  if (of === undefined) keptBySource.set(source, (of = { all: new Map() }));
  return of;
}

/** What is kept for a source under a key, which tells what `make` makes. */
function kept<T extends SourceSamples>(source: object, key: string, make: () => T): T {
  const { all } = keptOf(source);
  const one = (all.get(key) as T | undefined) ?? make();
  if (!all.has(key) && all.size >= KEPT_MAX) all.delete(all.keys().next().value!);
  all.set(key, one);
  return one;
}

/**
 * The text of a single source, as of now, if the last call had the same options. They are right then, and the checks,
 * which take longer than the text, need not be made again.
 */
function recentText(source: object, options: unknown): SourceText | undefined {
  const recent = typeof source === 'object' ? keptBySource.get(source)?.recent : undefined;
  if (recent === undefined || !isSimple(options)) return undefined;
  for (const option in options) if (!(OPTIONS as readonly string[]).includes(option)) return undefined;
  const { format = 'text', prefix = 'vmm', labels = {} } = options as ExpositionOptions;
  if (format !== recent.format || prefix !== recent.prefix || !isSimple(labels)) return undefined;
  let count = 0;
  for (const name in labels) {
    if (name !== recent.names[count] || labels[name] !== recent.labels[name]) return undefined;
    count++;
  }
  if (count !== recent.names.length) return undefined;
  recent.text.update(sampledFrom('source', source));
  return recent.text;
}

/** Whether it is an object literal of this realm. */
function isSimple(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The values of a source now. */
export function sampledFrom(name: string, source: unknown): Sampled {
  const sample = typeof source === 'object' && source !== null ? (source as Partial<Sampling>)[SAMPLE] : undefined;
  if (typeof sample === 'function') return sample.call(source);
  throw new TypeError(`${name} must be a Metrics, or what readRegion() returns; got ${shown(source)}`);
}
