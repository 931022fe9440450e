// The metrics that the agent adds: what it knows of each virtual machine, and of itself. Pure.

import type { Family } from '../prometheus/families.ts';
import { escapedHelp, escapedLabel, labelsText } from '../prometheus/names.ts';
import { type FileState, STATES } from './file-state.ts';
import type { ServedFile } from './served-file.ts';

type Type = 'gauge' | 'counter' | 'info';

interface OwnFamily<T> {
  /** The name of its samples. */
  readonly name: string;
  readonly type: Type;
  readonly help: string;
  /** Its samples, each as a line. */
  readonly lines: (of: T) => string;
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

const seconds = (ms: number) => `${ms / 1000}`;

const VM_FAMILIES: readonly OwnFamily<ServedFile>[] = [
  {
    name: 'vmm_up',
    type: 'gauge',
    help: '1 if the process runs, and its metrics can be read',
    lines: ({ label, state }) => `vmm_up{${label}} ${state === 'running' ? 1 : 0}\n`,
  },
  {
    name: 'vmm_state',
    type: 'gauge',
    help: '1 for the state of the process, 0 for all other states; 0 for all states if the metrics cannot be read',
    lines: ({ label, state }) => STATES.map((one) => `vmm_state{${label},state="${one}"} ${state === one ? 1 : 0}\n`).join(''),
  },
  {
    name: 'vmm_info',
    type: 'info',
    help: 'The process, with its id and its properties, whose names begin with property_',
    lines: ({ label, writer }) => {
      const { pid, storeName, id, properties } = writer!;
      const own = { pid: `${pid}`, name: storeName, ...(id !== undefined && { id }), ...propertyLabels('property_', properties) };
      return `vmm_info{${label},${labelsText(own)}} 1\n`;
    },
  },
  {
    name: 'vmm_start_time_seconds',
    type: 'gauge',
    help: 'When the process opened its metrics, in seconds since 1970',
    lines: ({ label, writer }) => `vmm_start_time_seconds{${label}} ${seconds(writer!.startedAtMs)}\n`,
  },
  {
    name: 'vmm_degraded',
    type: 'gauge',
    help: '1 if the process has lost memory of its metrics, and values with it',
    lines: ({ label, content }) => (content === undefined ? '' : `vmm_degraded{${label}} ${content.header.degraded ? 1 : 0}\n`),
  },
  {
    name: 'vmm_exit_code',
    type: 'gauge',
    help: 'The exit code of a process that exited or panicked',
    lines: ({ label, content }) => {
      const code = content?.header.exitCode;
      return code === undefined ? '' : `vmm_exit_code{${label}} ${code}\n`;
    },
  },
  {
    name: 'vmm_crash_info',
    type: 'info',
    help: 'The signal that killed the process, its si_code, the address of the fault, and the thread',
    lines: ({ label, content }) => {
      const crash = content?.header.crash;
      if (crash === undefined) return '';
      const { signal, code, address, threadId } = crash;
      return `vmm_crash_info{${label},signal="${signal}",code="${code}",address="0x${address.toString(16)}",thread_id="${threadId}"} 1\n`;
    },
  },
  {
    name: 'vmm_crash_time_seconds',
    type: 'gauge',
    help: 'When the process crashed, in seconds since 1970',
    lines: ({ label, content }) => {
      const at = content?.header.crash?.at;
      return at === undefined ? '' : `vmm_crash_time_seconds{${label}} ${seconds(at.getTime())}\n`;
    },
  },
];

const counted = (name: string, label: string, all: Readonly<Record<string, number>>) =>
  Object.entries(all)
    .map(([key, count]) => `${name}{${label}="${escapedLabel(key)}"} ${count}\n`)
    .join('');

const AGENT_FAMILIES: readonly OwnFamily<AgentFacts>[] = [
  {
    name: 'vmm_agent_info',
    type: 'info',
    help: 'The agent that serves these metrics',
    lines: ({ version }) => `vmm_agent_info{version="${escapedLabel(version)}"} 1\n`,
  },
  {
    name: 'vmm_agent_files',
    type: 'gauge',
    help: 'Region files by the state of their process, or by the reason why a file is not shown',
    lines: ({ files }) => counted('vmm_agent_files', 'state', files),
  },
  {
    name: 'vmm_agent_files_without_values',
    type: 'gauge',
    help: 'Region files of which only the state of the process is shown, by reason',
    lines: ({ withheld }) => counted('vmm_agent_files_without_values', 'reason', withheld),
  },
  {
    name: 'vmm_agent_files_vanished_total',
    type: 'counter',
    help: 'Region files that were removed while the agent ran',
    lines: ({ vanished }) => `vmm_agent_files_vanished_total ${vanished}\n`,
  },
  {
    name: 'vmm_agent_scrapes_total',
    type: 'counter',
    help: 'Requests for metrics that were answered',
    lines: ({ scrapes }) => `vmm_agent_scrapes_total ${scrapes}\n`,
  },
  {
    name: 'vmm_agent_scrapes_cut_total',
    type: 'counter',
    help: 'Answers that were cut off because their client was too slow',
    lines: ({ cut }) => `vmm_agent_scrapes_cut_total ${cut}\n`,
  },
  {
    name: 'vmm_agent_otlp_requests_total',
    type: 'counter',
    help: 'Requests to the OpenTelemetry receiver',
    lines: ({ otlp }) => (otlp === undefined ? '' : counted('vmm_agent_otlp_requests_total', 'result', otlp)),
  },
  {
    name: 'vmm_agent_scrape_duration_seconds',
    type: 'gauge',
    help: 'How long the agent took to read and render the fleet the last time',
    lines: ({ scrapeSeconds }) => `vmm_agent_scrape_duration_seconds ${scrapeSeconds.toFixed(6)}\n`,
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

export interface OwnTextOptions {
  readonly isOpenMetrics: boolean;
  /** Whether a sample of this name is wanted. */
  readonly isWanted: (name: string) => boolean;
}

/** The families of virtual machines, each over all of them. */
export function vmText(vms: readonly ServedFile[], options: OwnTextOptions): string {
  return VM_FAMILIES.map((family) => familyText(family, vms, options)).join('');
}

export function agentText(facts: AgentFacts, options: OwnTextOptions): string {
  return AGENT_FAMILIES.map((family) => familyText(family, [facts], options)).join('');
}

function familyText<T>(family: OwnFamily<T>, all: readonly T[], { isOpenMetrics, isWanted }: OwnTextOptions): string {
  const { name, type, help } = family;
  if (!isWanted(name) && !isWanted(stemOf(name))) return '';
  let lines = '';
  for (const one of all) lines += family.lines(one);
  if (lines === '') return '';
  if (!isOpenMetrics) return `# HELP ${name} ${escapedHelp(help, false)}\n# TYPE ${name} ${type === 'info' ? 'gauge' : type}\n${lines}`;
  const stem = type === 'gauge' ? name : stemOf(name);
  const unit = stem.endsWith('_seconds') ? `# UNIT ${stem} seconds\n` : '';
  return `# TYPE ${stem} ${type}\n${unit}# HELP ${stem} ${escapedHelp(help, true)}\n${lines}`;
}

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
