// The metrics of the fleet, or of one virtual machine, as bytes.

import { EOF } from '../prometheus/eof.ts';
import type { ExpositionFormat } from '../prometheus/exposition.ts';
import type { Family } from '../prometheus/families.ts';
import { protobufChunks } from '../prometheus/protobuf.ts';
import { renderer } from '../prometheus/renderer.ts';
import { VERSION } from '../version.ts';
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
  ofFleet(query: ScrapeQuery, beganMs: number): Uint8Array[] {
    const chunks = this.#chunksOf(query, this.#fleet.shown);
    this.#seconds = (performance.now() - beganMs) / 1000;
    chunks.push(agentChunk(this.#facts(), ownOptions(query)));
    return withEnd(query, chunks);
  }

  /** One virtual machine. */
  ofVm(query: ScrapeQuery, vm: ServedFile): Uint8Array[] {
    return withEnd(query, this.#chunksOf(query, [vm]));
  }

  /** Takes back an answer that nobody reads any more: its memory is that of later answers. */
  giveBack(chunks: readonly Uint8Array[]): void {
    this.#memory.giveBack(chunks);
  }

  /** Without the last line of OpenMetrics. */
  #chunksOf(query: ScrapeQuery, vms: readonly ServedFile[]): Uint8Array[] {
    const isAlone = vms.length === 1;
    const withValues = vms.filter((vm) => vm.values === 'shown' && (isAlone || !vm.isOutvoted));
    return [vmChunk(vms, ownOptions(query)), ...this.#valueChunks(query, withValues)];
  }

  #valueChunks(query: ScrapeQuery, vms: readonly ServedFile[]): Iterable<Uint8Array> {
    const isWanted = wantedBy(query);
    if (query.format === 'protobuf') {
      return protobufChunks(
        vms.map((vm) => vm.messages()),
        isWanted,
      );
    }
    return renderer().chunks(
      vms.map((vm) => vm.samples()),
      { isOpenMetrics: query.format === 'openmetrics', isWanted, memory: this.#memory.take },
    );
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

function withEnd({ format }: ScrapeQuery, chunks: Uint8Array[]): Uint8Array[] {
  if (format === 'openmetrics') chunks.push(EOF);
  return chunks;
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
