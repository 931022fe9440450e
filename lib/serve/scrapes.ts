// The metrics of the fleet, or of one virtual machine, as bytes.

import { EOF } from '../prometheus/eof.ts';
import type { ExpositionFormat } from '../prometheus/exposition.ts';
import type { Family } from '../prometheus/families.ts';
import { protobufChunks } from '../prometheus/protobuf.ts';
import { renderer } from '../prometheus/renderer.ts';
import type { RenderedText } from '../prometheus/rendering.ts';
import { VERSION } from '../version.ts';
import { type Answer, streamedAnswer, wholeAnswer } from './answer.ts';
import { ChunkMemory } from './chunk-memory.ts';
import type { Fleet } from './fleet.ts';
import { agentChunk, vmChunk } from './own-families.ts';
import type { ServedFile } from './served-file.ts';

/** `vm`: of devices, only the aggregates. `device`: each device too. */
export const DETAILS = ['vm', 'device'] as const;
export type Detail = (typeof DETAILS)[number];

export interface ScrapeQuery {
  readonly format: ExpositionFormat;
  readonly detail: Detail;
  /** The names of families or samples that are wanted; empty: all. */
  readonly names: ReadonlySet<string>;
}

export class Scrapes {
  /** How many answers with metrics were given, and how many were cut off. */
  answered = 0;
  cut = 0;
  readonly #memory = new ChunkMemory();
  readonly #fleet: Fleet;
  readonly #exporter: { readonly accepted: number; readonly failed: number } | undefined;
  #seconds = 0;

  /** `exporter` counts the requests to an OpenTelemetry receiver, if there is one. */
  constructor(fleet: Fleet, exporter?: { readonly accepted: number; readonly failed: number }) {
    this.#fleet = fleet;
    this.#exporter = exporter;
  }

  /** All virtual machines, as of the fleet's last refresh(), and the agent itself. */
  ofFleet(query: ScrapeQuery, beganMs: number): Answer {
    const vms = this.#fleet.shown;
    const head = vmChunk(vms, ownOptions(query));
    const withValues = vms.filter((vm) => vm.values === 'shown' && !(vm.isOutvoted && vms.length > 1));
    if (query.format === 'protobuf') {
      const chunks = [head, ...messageChunks(query, withValues)];
      return wholeAnswer([...chunks, ...this.#end(query, performance.now() - beganMs)]);
    }
    const text = textOf(query, withValues);
    const madeMs = performance.now() - beganMs;
    if (text.isKept) return wholeAnswer([head, ...text.chunks(), ...this.#end(query, madeMs)]);
    // All readings end with the same bytes.
    let end: readonly Uint8Array[] | undefined;
    const { take } = this.#memory;
    const endAfter = (renderedMs: number) => (end ??= this.#end(query, madeMs + renderedMs));
    function* chunks() {
      yield head;
      const renderedMs = yield* timed(text.chunks(take));
      yield* endAfter(renderedMs);
    }
    return streamedAnswer({ bytes: text.bytes, chunks, release: () => text.release() }, this.#memory);
  }

  /** One virtual machine. */
  ofVm(query: ScrapeQuery, vm: ServedFile): Uint8Array[] {
    const vms = vm.values === 'shown' ? [vm] : [];
    const head = vmChunk([vm], ownOptions(query));
    if (query.format === 'protobuf') return [head, ...messageChunks(query, vms)];
    const text = textOf(query, vms);
    const chunks = [head, ...text.chunks(this.#memory.take)];
    text.release();
    return query.format === 'openmetrics' ? [...chunks, EOF] : chunks;
  }

  /** Takes back an answer that nobody reads any more: its memory is that of later answers. */
  giveBack(chunks: readonly Uint8Array[]): void {
    this.#memory.giveBack(chunks);
  }

  /** What the agent says of itself, at the end of the fleet's answer. */
  #end(query: ScrapeQuery, durationMs: number): readonly Uint8Array[] {
    this.#seconds = durationMs / 1000;
    const agent = agentChunk(this.#facts(), ownOptions(query));
    return query.format === 'openmetrics' ? [agent, EOF] : [agent];
  }

  #facts() {
    const withheld = { old: 0, too_many_series: 0, clash: 0 };
    for (const { values, isOutvoted } of this.#fleet.shown) {
      if (values === 'old') withheld.old++;
      else if (values === 'too many') withheld.too_many_series++;
      else if (values === 'clash' || isOutvoted) withheld.clash++;
    }
    return {
      version: VERSION,
      files: this.#fleet.counts,
      withheld,
      vanished: this.#fleet.vanished,
      scrapes: this.answered,
      cut: this.cut,
      scrapeSeconds: this.#seconds,
      otlp: this.#exporter && { accepted: this.#exporter.accepted, failed: this.#exporter.failed },
    };
  }
}

function textOf(query: ScrapeQuery, vms: readonly ServedFile[]): RenderedText {
  const samples = vms.map((vm) => vm.samples());
  return renderer().textOf(samples, { isOpenMetrics: query.format === 'openmetrics', isWanted: wantedBy(query) });
}

function messageChunks(query: ScrapeQuery, vms: readonly ServedFile[]): Iterable<Uint8Array> {
  const messages = vms.map((vm) => vm.messages());
  return protobufChunks(messages, wantedBy(query));
}

/** The same chunks. Returns how many milliseconds it took to make them. */
function* timed(chunks: Iterable<Uint8Array>): Generator<Uint8Array, number> {
  let ms = 0;
  let beganMs = performance.now();
  for (const chunk of chunks) {
    ms += performance.now() - beganMs;
    yield chunk;
    beganMs = performance.now();
  }
  return ms + performance.now() - beganMs;
}

function ownOptions({ format, names }: ScrapeQuery) {
  return { format, isWanted: (name: string) => names.size === 0 || names.has(name) };
}

/** Which families are wanted; undefined: all. */
function wantedBy({ detail, names }: ScrapeQuery): ((family: Family) => boolean) | undefined {
  if (detail === 'device' && names.size === 0) return undefined;
  const isNamed = ({ name, parts }: Family) => names.has(name) || parts.some(({ suffix }) => names.has(`${name}${suffix}`));
  return (family) => (detail === 'device' || family.devices === undefined || family.isAggregate) && (names.size === 0 || isNamed(family));
}
