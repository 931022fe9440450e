// One region file as the agent knows it: its last reading, since when its writer is dead, and what shows its values.

import { familiesOf } from '../prometheus/families.ts';
import { labelsText } from '../prometheus/names.ts';
import { MessageSource } from '../prometheus/protobuf.ts';
import { renderer } from '../prometheus/renderer.ts';
import type { SourceSamples } from '../prometheus/rendering.ts';
import type { CellMap } from '../region/cell-map.ts';
import { type RegionState, stateOf } from '../region/reader.ts';
import type { SettledContent } from '../region/settled.ts';
import type { Sampled } from '../sampled.ts';

/** Every metric's name begins with this. */
export const PREFIX = 'vmm';

/** What the values of a file are worth at this moment. */
export type Values =
  /** They are shown. */
  | 'shown'
  /** The writer died too long ago: only its state is shown. */
  | 'old'
  /** There are more series than the agent shows of one file. */
  | 'too many'
  /** Two metrics would have one name. */
  | 'clash'
  /** The file cannot be read now. What is known of its writer comes from an earlier reading. */
  | 'unreadable';

/** What a reading said about the writer and outlives the reading. */
export interface Writer {
  readonly pid: number;
  readonly startedAtMs: number;
  readonly storeName: string;
  readonly id: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
}

export class ServedFile {
  readonly path: string;
  /** The name that the path gives. */
  readonly pathName: string;
  /** The name under which its metrics are shown, which no other shown file has. */
  name = '';
  /** The label with the name, as it stands between braces. */
  label = '';
  writer: Writer | undefined;
  state: RegionState | undefined;
  /** When the writer died: the time of its crash, or else the time at which the agent first saw it dead. */
  endedAtMs: number | undefined;
  /** The last reading, whose arrays the next one overwrites; undefined while the file cannot be read. */
  content: SettledContent | undefined;
  /** Why the file cannot be read. */
  error: Error | undefined;
  values: Values = 'unreadable';
  /** Whether a name has another type in most other files. The values are not shown together with theirs. */
  isOutvoted = false;
  /** Why the values are not shown, as it was reported. */
  withheld: string | undefined;
  /** How many readings in a row took long. */
  slowTimes = 0;
  /** The file is not read before this time. */
  notBeforeMs = 0;
  #samples: SourceSamples | undefined;
  #messages: MessageSource | undefined;
  #counted: { readonly map: CellMap; readonly series: number } | undefined;

  constructor(path: string, pathName: string) {
    this.path = path;
    this.pathName = pathName;
  }

  /** Takes a reading. */
  take(content: SettledContent, nowMs: number): void {
    const { header, document } = content;
    const { name: storeName, identity } = document;
    const startedAtMs = header.startedAt.getTime();
    const isSameLife = this.writer?.pid === header.pid && this.writer.startedAtMs === startedAtMs;
    if (!isSameLife || this.writer?.storeName !== storeName) {
      this.writer = { pid: header.pid, startedAtMs, storeName, id: identity.id, properties: identity.properties ?? {} };
    }
    this.content = content;
    this.error = undefined;
    this.state = stateOf(content);
    if (this.state === 'running') this.endedAtMs = undefined;
    else if (!isSameLife || this.endedAtMs === undefined) this.endedAtMs = endOf(content, nowMs);
  }

  /** Takes the error of a reading. */
  refuse(error: Error): void {
    this.content = undefined;
    this.error = error;
    this.state = undefined;
  }

  rename(name: string): void {
    if (this.name === name) return;
    this.name = name;
    this.label = labelsText({ vm: name });
    this.forgetSamples();
  }

  /** How many series its values are. Call only after take(). */
  get series(): number {
    const { map } = this.content!;
    if (this.#counted?.map !== map) this.#counted = { map, series: seriesOf(this.content!) };
    return this.#counted.series;
  }

  /**
   * The values that were read last, for a renderer.
   * @throws MetricsError `ERR_METRICS_SCHEMA` if two metrics of the schema have one name.
   */
  samples(): SourceSamples {
    this.#samples ??= renderer().samplesOf({ prefix: PREFIX, labels: this.label });
    this.#samples.update(this.sampled);
    return this.#samples;
  }

  /**
   * The same for protobuf.
   * @throws As samples().
   */
  messages(): MessageSource {
    this.#messages ??= new MessageSource({ prefix: PREFIX, labels: { vm: this.name } });
    this.#messages.update(this.sampled);
    return this.#messages;
  }

  /** The values that were read last. Call only after take(). */
  get sampled(): Sampled {
    const { layout, map, totals } = this.content!;
    return { layout, totals, devices: map.devices };
  }

  /** Frees what is kept for the next scrape. */
  forgetSamples(): void {
    this.#samples = undefined;
    this.#messages = undefined;
  }
}

/** The time of the crash, unless a clock or a hostile file says that it lies ahead. */
function endOf({ header }: SettledContent, nowMs: number): number {
  const crashedAtMs = header.crash?.at.getTime();
  return crashedAtMs !== undefined && crashedAtMs <= nowMs ? crashedAtMs : nowMs;
}

function seriesOf({ layout, map }: SettledContent): number {
  const living = map.devices.map((devices) => devices.filter(({ removed }) => !removed).length);
  return familiesOf(layout, PREFIX).reduce((sum, { parts, devices, isAggregate }) => {
    return sum + parts.length * (devices === undefined || isAggregate ? 1 : living[devices.group]!);
  }, 0);
}
