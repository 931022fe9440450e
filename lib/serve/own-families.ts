// The metrics that the agent adds: what it knows of each virtual machine, and of itself. Pure.

import type { ExpositionFormat } from '../prometheus/exposition.ts';
import type { Family } from '../prometheus/families.ts';
import { escapedHelp, type Labels, labelsText } from '../prometheus/names.ts';
import { simpleFamily } from '../prometheus/protobuf.ts';
import { type FileState, STATES } from './file-state.ts';
import type { ServedFile } from './served-file.ts';

type Type = 'gauge' | 'counter' | 'info';

interface OwnSample {
  /** Without the label of the virtual machine. */
  readonly labels?: Labels;
  readonly value: number;
}

interface OwnFamily<T> {
  /** The name of its samples. */
  readonly name: string;
  readonly type: Type;
  readonly help: string;
  readonly samples: (of: T) => readonly OwnSample[];
}

/** What the agent says of itself. */
export interface AgentFacts {
  readonly version: string;
  readonly files: Readonly<Record<FileState, number>>;
  /** How many virtual machines are shown without values, by reason. */
  readonly withheld: Readonly<Record<string, number>>;
  readonly vanished: number;
  readonly scrapes: number;
  readonly cut: number;
  /** How long the last complete scrape of the fleet took, without the time that its client took. */
  readonly scrapeSeconds: number;
  /** Requests to an OpenTelemetry receiver, by result; undefined if there is no receiver. */
  readonly otlp: { readonly accepted: number; readonly failed: number } | undefined;
}

const single = (value: number): OwnSample[] => [{ value }];
const flag = (isSet: boolean): OwnSample[] => single(isSet ? 1 : 0);
const info = (labels: Labels): OwnSample[] => [{ labels, value: 1 }];
const seconds = (ms: number): OwnSample[] => single(ms / 1000);
const byLabel = (label: string, all: Readonly<Record<string, number>>): OwnSample[] =>
  Object.entries(all).map(([key, value]) => ({ labels: { [label]: key }, value }));

const STATE_LABELS = STATES.map((state) => ({ state }));

const VM_FAMILIES: readonly OwnFamily<ServedFile>[] = [
  {
    name: 'vmm_up',
    type: 'gauge',
    help: '1 if the process runs, and its metrics can be read',
    samples: ({ state }) => flag(state === 'running'),
  },
  {
    name: 'vmm_state',
    type: 'gauge',
    help: '1 for the state of the process, 0 for all other states; 0 for all states if the metrics cannot be read',
    samples: ({ state }) => STATE_LABELS.map((labels) => ({ labels, value: state === labels.state ? 1 : 0 })),
  },
  {
    name: 'vmm_info',
    type: 'info',
    help: 'The process, with its id and its properties, whose names begin with property_',
    samples: ({ writer }) => {
      const { pid, storeName, id, properties } = writer!;
      return info({ pid: `${pid}`, name: storeName, ...(id !== undefined && { id }), ...propertyLabels('property_', properties) });
    },
  },
  {
    name: 'vmm_start_time_seconds',
    type: 'gauge',
    help: 'When the process opened its metrics, in seconds since 1970',
    samples: ({ writer }) => seconds(writer!.startedAtMs),
  },
  {
    name: 'vmm_degraded',
    type: 'gauge',
    help: '1 if the process has lost memory of its metrics, and values with it',
    samples: ({ content }) => (content === undefined ? [] : flag(content.header.degraded)),
  },
  {
    name: 'vmm_exit_code',
    type: 'gauge',
    help: 'The exit code of a process that exited or panicked',
    samples: ({ content }) => (content?.header.exitCode === undefined ? [] : single(content.header.exitCode)),
  },
  {
    name: 'vmm_crash_info',
    type: 'info',
    help: 'The signal that killed the process, its si_code, the address of the fault, and the thread',
    samples: ({ content }) => {
      const crash = content?.header.crash;
      if (crash === undefined) return [];
      const { signal, code, address, threadId } = crash;
      return info({ signal, code: `${code}`, address: `0x${address.toString(16)}`, thread_id: `${threadId}` });
    },
  },
  {
    name: 'vmm_crash_time_seconds',
    type: 'gauge',
    help: 'When the process crashed, in seconds since 1970',
    samples: ({ content }) => (content?.header.crash === undefined ? [] : seconds(content.header.crash.at.getTime())),
  },
];

const AGENT_FAMILIES: readonly OwnFamily<AgentFacts>[] = [
  {
    name: 'vmm_agent_info',
    type: 'info',
    help: 'The agent that serves these metrics',
    samples: ({ version }) => info({ version }),
  },
  {
    name: 'vmm_agent_files',
    type: 'gauge',
    help: 'Region files by the state of their process, or by the reason why a file is not shown',
    samples: ({ files }) => byLabel('state', files),
  },
  {
    name: 'vmm_agent_files_without_values',
    type: 'gauge',
    help: 'Region files of which only the state of the process is shown, by reason',
    samples: ({ withheld }) => byLabel('reason', withheld),
  },
  {
    name: 'vmm_agent_files_vanished_total',
    type: 'counter',
    help: 'Region files that were removed while the agent ran',
    samples: ({ vanished }) => single(vanished),
  },
  {
    name: 'vmm_agent_scrapes_total',
    type: 'counter',
    help: 'Requests for metrics that were answered',
    samples: ({ scrapes }) => single(scrapes),
  },
  {
    name: 'vmm_agent_scrapes_cut_total',
    type: 'counter',
    help: 'Answers that were cut off because their client was too slow',
    samples: ({ cut }) => single(cut),
  },
  {
    name: 'vmm_agent_otlp_requests_total',
    type: 'counter',
    help: 'Requests to the OpenTelemetry receiver',
    samples: ({ otlp }) => (otlp === undefined ? [] : byLabel('result', otlp)),
  },
  {
    name: 'vmm_agent_scrape_duration_seconds',
    type: 'gauge',
    help: 'How long the agent took to read and render the fleet the last time',
    samples: ({ scrapeSeconds }) => single(Number(scrapeSeconds.toFixed(6))),
  },
];

const OWN_NAMES = new Set([...VM_FAMILIES, ...AGENT_FAMILIES].flatMap(({ name }) => [name, stemOf(name)]));

const clashes = new WeakMap<readonly Family[], Family | null>();

/** The first family of a schema that would have a name of the agent. */
export function clashWithOwn(families: readonly Family[]): Family | undefined {
  let clash = clashes.get(families);
  if (clash === undefined) {
    const isOwn = ({ name, parts }: Family) => OWN_NAMES.has(name) || parts.some(({ suffix }) => OWN_NAMES.has(`${name}${suffix}`));
    clash = families.find(isOwn) ?? null;
    clashes.set(families, clash);
  }
  return clash ?? undefined;
}

export interface OwnOptions {
  readonly format: ExpositionFormat;
  /** Whether a sample of this name is wanted. */
  readonly isWanted: (name: string) => boolean;
}

/** The families of virtual machines, each over all of them. */
export function vmChunk(vms: readonly ServedFile[], options: OwnOptions): Uint8Array {
  return chunkOf(VM_FAMILIES, vms, ({ name }) => ({ vm: name }), keptLines, options);
}

export function agentChunk(facts: AgentFacts, options: OwnOptions): Uint8Array {
  return chunkOf(
    AGENT_FAMILIES,
    [facts],
    () => ({}),
    () => AGENT_FAMILIES.map((family) => linesOf(family, facts, '')),
    options,
  );
}

/** The lines of a virtual machine, a text for each family. They are kept until something else is to be said. */
interface VmLines {
  /** All that they follow from. A header also changes with each flush, and then the lines stay as they are. */
  readonly from: readonly unknown[];
  readonly lines: readonly string[];
}

const vmLines = new WeakMap<ServedFile, VmLines>();

function keptLines(vm: ServedFile): readonly string[] {
  const { label, state, writer } = vm;
  const header = vm.content?.header;
  const from = [label, state, writer, header?.degraded, header?.exitCode, header?.crash];
  const kept = vmLines.get(vm);
  if (kept?.from.every((one, i) => one === from[i])) return kept.lines;
  const lines = VM_FAMILIES.map((family) => linesOf(family, vm, label));
  vmLines.set(vm, { from, lines });
  return lines;
}

/** The samples of a thing as lines. `base`: the labels of all of them, as they stand between braces. */
function linesOf<T>({ name, samples }: OwnFamily<T>, one: T, base: string): string {
  const lines = samples(one).map(({ labels, value }) => {
    const own = labels === undefined ? '' : labelsText(labels);
    const both = base === '' || own === '' ? base + own : `${base},${own}`;
    return both === '' ? `${name} ${value}\n` : `${name}{${both}} ${value}\n`;
  });
  return lines.join('');
}

/** `base`: the labels of all samples of a thing. `lines`: its lines, a text for each family. */
function chunkOf<T>(
  families: readonly OwnFamily<T>[],
  all: readonly T[],
  base: (one: T) => Labels,
  lines: (one: T) => readonly string[],
  { format, isWanted }: OwnOptions,
): Uint8Array {
  const wanted = families.filter(({ name }) => isWanted(name) || isWanted(stemOf(name)));
  if (format !== 'protobuf') {
    const texts = all.map(lines);
    const isOpenMetrics = format === 'openmetrics';
    const ofFamily = (family: OwnFamily<T>) => texts.map((one) => one[families.indexOf(family)]!).join('');
    return Buffer.from(wanted.map((family) => familyText(family, ofFamily(family), isOpenMetrics)).join(''));
  }
  return Buffer.concat(wanted.map((family) => familyMessage(family, all, base)));
}

function familyText<T>({ name, type, help }: OwnFamily<T>, lines: string, isOpenMetrics: boolean): string {
  if (lines === '') return '';
  if (!isOpenMetrics) return `# HELP ${name} ${escapedHelp(help, false)}\n# TYPE ${name} ${typeOf(type)}\n${lines}`;
  const stem = type === 'gauge' ? name : stemOf(name);
  const unit = stem.endsWith('_seconds') ? `# UNIT ${stem} seconds\n` : '';
  return `# TYPE ${stem} ${type}\n${unit}# HELP ${stem} ${escapedHelp(help, true)}\n${lines}`;
}

function familyMessage<T>({ name, type, help, samples }: OwnFamily<T>, all: readonly T[], base: (one: T) => Labels): Uint8Array {
  const labelled = all.flatMap((one) => {
    const common = base(one);
    return samples(one).map(({ labels, value }) => ({ labels: { ...common, ...labels }, value }));
  });
  return labelled.length === 0 ? new Uint8Array() : simpleFamily({ name, help, type: typeOf(type) }, labelled);
}

/** Only OpenMetrics has a type for information. */
const typeOf = (type: Type) => (type === 'info' ? 'gauge' : type);

/** The name of a family in OpenMetrics: that of its samples without their suffix. */
function stemOf(name: string): string {
  return name.replace(/_(total|info)$/, '');
}

/**
 * Properties as labels: what a label's name may not contain becomes an underscore. If two names become the same, the
 * label has both values.
 */
export function propertyLabels(prefix: string, properties: Readonly<Record<string, string>>): Record<string, string> {
  const labels = new Map<string, string>();
  for (const [key, value] of Object.entries(properties)) {
    const name = prefix + key.replaceAll(/[^A-Za-z0-9_]/g, '_');
    const other = labels.get(name);
    labels.set(name, other === undefined ? value : `${other};${value}`);
  }
  return Object.fromEntries(labels);
}
