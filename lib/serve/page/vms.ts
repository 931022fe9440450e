// The virtual machines of the host as the agent sends them, and which of them the table shows, in which order. Pure.

export interface Crash {
  readonly signal: string;
  readonly code: number;
  readonly address: string;
  readonly threadId: number;
  readonly at: string;
}

/** What is not known is null. */
export interface Vm {
  readonly name: string;
  readonly file: string;
  readonly state: string | null;
  readonly pid: number | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly exitCode: number | null;
  readonly crash: Crash | null;
  readonly isDegraded: boolean | null;
  readonly hasPending: boolean | null;
  readonly store: string | null;
  readonly id: string | null;
  readonly properties: Readonly<Record<string, string>> | null;
  readonly events: number | bigint | null;
  readonly error: string | null;
}

export interface FleetData {
  readonly atMs: number;
  readonly version: string;
  readonly host: string;
  readonly files: Readonly<Record<string, number>>;
  readonly vms: { readonly [K in keyof Vm]: readonly Vm[K][] };
}

/** The states in the order in which they need attention. */
export const STATES = ['crashed', 'panicked', 'killed', 'unreadable', 'exited', 'running', 'closed'] as const;

export function stateOf({ state }: Vm): string {
  return state ?? 'unreadable';
}

/** The virtual machines, out of the columns. */
export function vmsOf({ vms }: FleetData): Vm[] {
  const keys = Object.keys(vms) as (keyof Vm)[];
  return vms.name.map((_, i) => Object.fromEntries(keys.map((key) => [key, vms[key][i]])) as unknown as Vm);
}

export const SORTS = ['attention', 'name', 'rate', 'newest'] as const;
export type Sort = (typeof SORTS)[number];

export interface View {
  /** Only these states; all if there is none. */
  readonly states: ReadonlySet<string>;
  /** Words that must all be in the name, id, file, properties or fate. */
  readonly text: string;
  readonly sort: Sort;
}

/** The virtual machines that a view shows, in its order. */
export function shownIn(view: View, vms: readonly Vm[], rateOf: (vm: Vm) => number, textOf: (vm: Vm) => string): Vm[] {
  const words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
  const isShown = (vm: Vm) => {
    if (view.states.size > 0 && !view.states.has(stateOf(vm))) return false;
    if (words.length === 0) return true;
    const text = textOf(vm).toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const byName = (a: Vm, b: Vm) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const rank = new Map<string, number>(STATES.map((state, i) => [state, i]));
  const lastChange = ({ startedAtMs, endedAtMs }: Vm) => Math.max(startedAtMs ?? 0, endedAtMs ?? 0);
  const orders: Record<Sort, (a: Vm, b: Vm) => number> = {
    name: byName,
    attention: (a, b) => rank.get(stateOf(a))! - rank.get(stateOf(b))! || (b.endedAtMs ?? 0) - (a.endedAtMs ?? 0) || byName(a, b),
    rate: (a, b) => rateOf(b) - rateOf(a) || byName(a, b),
    newest: (a, b) => lastChange(b) - lastChange(a) || byName(a, b),
  };
  return vms.filter(isShown).sort(orders[view.sort]);
}
