// A plain model of a store: one thread, one map, no cells. It is written from the contract, so that the store can be
// compared with it.

import type { GroupDef, MetricDef, PerDeviceDef, SchemaShape } from 'vmm-metrics';

import { GRID, type Scheme } from '../../lib/histogram/scheme.ts';
import { HistogramValue } from '../../lib/histogram/value.ts';
import { schemeIn } from '../../lib/schema.ts';
import { exactBucket } from './exact-buckets.ts';

export const MAX = 2n ** 64n - 1n;
export const u64 = (value: bigint) => BigInt.asUintN(64, value);
export const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** One metric: an inc metric's count, a store metric's value, or a latency metric's sum, extremes and count. */
export interface State {
  readonly value: bigint;
  readonly min?: bigint;
  readonly max?: bigint;
  readonly count?: bigint;
  /** The counts of the buckets that are not empty. */
  readonly buckets?: ReadonlyMap<number, bigint>;
}

const UNTOUCHED: State = { value: 0n };

/** The metrics of a group, or of one device since its alloc(). A device that is allocated again is another device. */
export class Holder {
  readonly key: string;
  readonly def: GroupDef | PerDeviceDef;
  readonly id: string | undefined;
  removed = false;
  states: ReadonlyMap<string, State>;

  constructor(key: string, def: GroupDef | PerDeviceDef, id?: string) {
    this.key = key;
    this.def = def;
    this.id = id;
    this.states = new Map(Object.keys(def.fields).map((name) => [name, UNTOUCHED]));
  }

  /** Calls add(), store() or observe(), depending on the kind of the metric. */
  bump(name: string, value: bigint): void {
    const now = this.states.get(name)!;
    const least = (a: bigint | undefined) => (a === undefined || value < a ? value : a);
    const most = (a: bigint | undefined) => (a === undefined || value > a ? value : a);
    const measured = (): State => ({
      value: u64(now.value + value),
      min: least(now.min),
      max: most(now.max),
      count: (now.count ?? 0n) + 1n,
      buckets: withOne(now.buckets, schemeIn(name, this.def.fields[name]!), value),
    });
    const next: Record<MetricDef['kind'], () => State> = {
      inc: () => ({ value: u64(now.value + value) }),
      store: () => ({ value }),
      latency: () => measured(),
      histogram: () => measured(),
    };
    this.states = new Map(this.states).set(name, next[this.def.fields[name]!.kind]());
  }
}

function withOne(buckets: State['buckets'] = new Map(), scheme: Scheme | undefined, value: bigint): ReadonlyMap<number, bigint> {
  if (scheme === undefined) return buckets;
  const bucket = exactBucket(scheme, value * BigInt(GRID[scheme.unit].perUnit));
  return new Map(buckets).set(bucket, (buckets.get(bucket) ?? 0n) + 1n);
}

/**
 * Whether this device's accessors count for the group only, because enough devices were removed after it. `removed`:
 * all removed devices, in the order of their removal.
 */
export function isLetGo(holder: Holder, removed: readonly Holder[]): boolean {
  const at = removed.indexOf(holder);
  if (at < 0) return false;
  const later = removed.slice(at + 1).filter(({ key }) => key === holder.key);
  return later.filter(({ id }) => id === holder.id).length >= 2 || later.length >= 16;
}

/** All values at one moment. */
export type Picture = ReadonlyMap<Holder, { readonly removed: boolean; readonly states: ReadonlyMap<string, State> }>;

export const NOTHING: Picture = new Map();

export interface Identity {
  readonly id?: string;
  readonly properties?: Readonly<Record<string, string>>;
}

/** An object with its keys in the order of the text: JavaScript would put some keys first. */
type Pairs = readonly (readonly [key: string, value: Tree])[];
type Tree = bigint | string | typeof TIMESTAMP | List | HistogramValue | Pairs;

/** An array of numbers in the line. */
class List {
  readonly numbers: readonly bigint[];

  constructor(numbers: readonly bigint[]) {
    this.numbers = numbers;
  }
}

const TIMESTAMP = Symbol();
/** Stands for the timestamp in a text: the text contains no other newline, since strings escape newlines. */
const HOLE = '\n';

export class Model {
  readonly shape: SchemaShape;
  readonly identity: Identity;
  readonly holders: Holder[];

  constructor(shape: SchemaShape, identity: Identity) {
    this.shape = shape;
    this.identity = identity;
    this.holders = Object.entries(shape).flatMap(([key, def]) => (def.kind === 'group' ? [new Holder(key, def)] : []));
  }

  living(key: string, id?: string): Holder | undefined {
    return this.holders.find((holder) => holder.key === key && holder.id === id && !holder.removed);
  }

  /** Returns undefined if the line already has the device's key. */
  alloc(key: string, id: string): Holder | undefined {
    const there = this.living(key, id);
    if (there !== undefined) return there;
    const { id: hasId, properties } = this.identity;
    const taken = [
      ...Object.keys(this.shape),
      ...(hasId === undefined ? [] : ['id']),
      ...(properties === undefined ? [] : ['properties']),
      ...this.holders.flatMap((holder) =>
        this.#hasKey(holder) && !(holder.key === key && holder.id === id) ? [`${holder.key}_${holder.id}`] : [],
      ),
    ];
    if (taken.includes(`${key}_${id}`)) return undefined;
    const made = new Holder(key, this.shape[key] as PerDeviceDef, id);
    this.holders.push(made);
    return made;
  }

  /**
   * In a group without an aggregate, a removed device keeps its key, since its pending counts can be written under no
   * other key.
   */
  #hasKey(holder: Holder): boolean {
    return holder.id !== undefined && (!holder.removed || !(holder.def as PerDeviceDef).aggregate);
  }

  remove(key: string, id: string): boolean {
    const there = this.living(key, id);
    if (there !== undefined) there.removed = true;
    return there !== undefined;
  }

  ids(key: string): string[] {
    return this.holders.flatMap((holder) => (holder.key === key && !holder.removed ? [holder.id!] : [])).sort(byBytes);
  }

  picture(): Picture {
    return new Map(this.holders.map((holder) => [holder, { removed: holder.removed, states: holder.states }]));
  }

  /**
   * The line that a flush at `now` writes if the last line was written at `before`: the text before the timestamp, and
   * the text after it.
   */
  line(now: Picture, before: Picture): string[] {
    return textOf(this.#lineTree(now, before)).split(HOLE);
  }

  /** The result of snapshot(). In old regions, latencies are not `counted`. */
  snapshot({ counted = true } = {}): unknown {
    const now = this.picture();
    const form = counted ? 'counted' : 'uncounted';
    const entries = Object.entries(this.shape).flatMap(([key, def]): [string, unknown][] => {
      if (def.kind === 'utcTimestampMs') return [];
      if (def.kind === 'group') return [[key, objectOf(fieldsOf(this.living(key)!, now, NOTHING, form))]];
      const devices = livingIn(now, key).map((holder) => [holder.id!, fieldsOf(holder, now, NOTHING, form)] as const);
      return [[key, { devices: objectOf(devices), aggregate: objectOf(aggregateOf(key, def, now, NOTHING, form)) }]];
    });
    return Object.fromEntries(entries);
  }

  #lineTree(now: Picture, before: Picture): Pairs {
    const { id, properties } = this.identity;
    const identity: Pairs = [
      ...(id === undefined ? [] : [['id', id] as const]),
      ...(properties === undefined
        ? []
        : [['properties', Object.entries(properties).sort(([a], [b]) => byBytes(a, b))] as readonly [string, Pairs]]),
    ];
    const hasTimestamp = Object.values(this.shape).some((def) => def.kind === 'utcTimestampMs');
    const entries = Object.entries(this.shape).flatMap(([key, def]): Pairs => {
      if (def.kind === 'utcTimestampMs') return [[key, TIMESTAMP], ...identity];
      if (def.kind === 'group') return [[key, fieldsOf(this.living(key)!, now, before, 'line')]];
      const shown = shownIn(now, before, key, def.aggregate);
      const devices = shown.map(
        (holder) => [`${key}_${holder.id}`, fieldsOf(holder, now, before, 'line', def.aggregate ? [] : namesakes(holder, now))] as const,
      );
      return def.aggregate ? [...devices, [key, aggregateOf(key, def, now, before, 'line')]] : devices;
    });
    return hasTimestamp ? entries : [...identity, ...entries];
  }
}

function livingIn(now: Picture, key: string): Holder[] {
  const living = [...now].flatMap(([holder, { removed }]) => (holder.key === key && !removed ? [holder] : []));
  return living.sort((a, b) => byBytes(a.id!, b.id!));
}

/** Whether a removed device has counts that no line has shown. */
function hasRest(holder: Holder, now: Picture, before: Picture): boolean {
  // A value of 0 changes a bucket of a histogram, but no sum.
  const shownOf = ({ value, count }: State, { kind }: MetricDef) => (kind === 'histogram' ? (count ?? 0n) : value);
  const isOpen = (name: string) => {
    const def = holder.def.fields[name]!;
    return shownOf(stateIn(now, holder, name), def) !== shownOf(stateIn(before, holder, name), def);
  };
  return now.get(holder)!.removed && Object.entries(holder.def.fields).some(([name, { kind }]) => kind !== 'store' && isOpen(name));
}

/**
 * The devices of a line: all that exist. In a group without an aggregate, also removed devices: for each id that no
 * device has any more, the latest device with pending counts.
 */
function shownIn(now: Picture, before: Picture, key: string, hasAggregate: boolean): Holder[] {
  const shown = livingIn(now, key);
  if (hasAggregate) return shown;
  for (const holder of [...now.keys()].reverse()) {
    if (holder.key !== key || holder.id === undefined || shown.some(({ id }) => id === holder.id)) continue;
    if (hasRest(holder, now, before)) shown.push(holder);
  }
  return shown.sort((a, b) => byBytes(a.id!, b.id!));
}

/** In a group without an aggregate: the other devices with this id, whose deltas are added in its object. */
function namesakes(holder: Holder, now: Picture): Holder[] {
  return [...now.keys()].filter((other) => other !== holder && other.key === holder.key && other.id === holder.id);
}

const stateIn = (picture: Picture, holder: Holder, name: string) => picture.get(holder)?.states.get(name) ?? UNTOUCHED;

/** What the parts of a latency are for: a line, which has no count, or a snapshot with or without counts. */
type Form = 'line' | 'counted' | 'uncounted';

function fieldsOf(holder: Holder, now: Picture, before: Picture, form: Form, namesakes: readonly Holder[] = []): Pairs {
  return Object.entries(holder.def.fields).map(([name, def]) => {
    const state = stateIn(now, holder, name);
    const deltas = [holder, ...namesakes].map((one) => stateIn(now, one, name).value - stateIn(before, one, name).value);
    const delta = u64(total(deltas));
    if (def.kind === 'inc') return [name, delta];
    if (def.kind === 'store') return [name, state.value];
    const states = [holder, ...namesakes].map((one) => [stateIn(now, one, name), stateIn(before, one, name)] as const);
    return [name, measuredTree(name, def, form, state, delta, state.count ?? 0n, states)];
  });
}

function aggregateOf(key: string, def: PerDeviceDef, now: Picture, before: Picture, form: Form): Pairs {
  const all = [...now.keys()].filter((holder) => holder.key === key && holder.id !== undefined);
  const living = livingIn(now, key);
  return Object.entries(def.fields).map(([name, field]) => {
    const values = living.map((holder) => stateIn(now, holder, name).value);
    // The aggregate has the counts of removed devices.
    const deltas = all.map((holder) => stateIn(now, holder, name).value - stateIn(before, holder, name).value);
    if (field.kind === 'inc') return [name, u64(total(deltas))];
    if (field.kind === 'store') {
      return [name, { sum: u64(total(values)), min: least(values) ?? 0n, max: most(values) ?? 0n }[field.aggregate ?? 'sum']];
    }
    const extremes = def.latencyAggregate === 'zero' ? [] : living.map((holder) => stateIn(now, holder, name));
    const min = least(extremes.flatMap((state) => state.min ?? []));
    const max = most(extremes.flatMap((state) => state.max ?? []));
    const count = total(all.map((holder) => stateIn(now, holder, name).count ?? 0n));
    const states = all.map((holder) => [stateIn(now, holder, name), stateIn(before, holder, name)] as const);
    // Without extremes in the line, a histogram still has them.
    const shown =
      form === 'line' || field.kind === 'latency' ? { min, max } : extremesOf(living.map((holder) => stateIn(now, holder, name)));
    return [
      name,
      measuredTree(
        name,
        field,
        form,
        { value: 0n, ...defined(shown) },
        u64(total(deltas)),
        count,
        states,
        extremesOf(living.map((holder) => stateIn(now, holder, name))),
      ),
    ];
  });
}

const extremesOf = (states: readonly State[]) => ({
  min: least(states.flatMap((state) => state.min ?? [])),
  max: most(states.flatMap((state) => state.max ?? [])),
});
const defined = ({ min, max }: { min: bigint | undefined; max: bigint | undefined }) => ({
  ...(min !== undefined && { min }),
  ...(max !== undefined && { max }),
});

/** A latency or a histogram. `states`: of each device, now and at the last flush. */
function measuredTree(
  name: string,
  def: MetricDef,
  form: Form,
  { min, max }: State,
  sum: bigint,
  count: bigint,
  states: readonly (readonly [now: State, before: State])[],
  extremes = { min, max },
): Tree {
  const scheme = schemeIn(name, def);
  const counts = Array.from({ length: scheme?.buckets ?? 0 }, (_, bucket) =>
    u64(total(states.map(([now, before]) => (now.buckets?.get(bucket) ?? 0n) - (before.buckets?.get(bucket) ?? 0n)))),
  );
  const value = () => new HistogramValue(scheme!, { sum, min: extremes.min ?? 0n, max: extremes.max ?? 0n, counts });
  if (def.kind === 'latency') {
    const parts = latencyTree(scheme !== undefined && form === 'uncounted' ? 'counted' : form, min, max, sum, count);
    return form === 'line' || scheme === undefined ? parts : [...parts, ['histogram', value()]];
  }
  if (form !== 'line') return value();
  const begin = counts.findIndex((one, bucket) => bucket > 0 && one !== 0n);
  const listed = begin < 0 ? [] : counts.slice(begin, counts.findLastIndex((one) => one !== 0n) + 1);
  return [
    ['count', u64(total(counts))],
    ['sum', sum],
    ['min', min ?? 0n],
    ['max', max ?? 0n],
    ['scale', BigInt(scheme!.scale)],
    ['zero_count', counts[0]!],
    ['offset', begin < 0 ? 0n : BigInt(scheme!.first + begin - 1)],
    ['bucket_counts', new List(listed)],
  ];
}

const latencyTree = (form: Form, min: bigint | undefined, max: bigint | undefined, sum: bigint, count: bigint): Pairs => [
  ...(form === 'line' ? [] : [['count', form === 'counted' ? count : 0n] as const]),
  ['min_us', min ?? 0n],
  ['max_us', max ?? 0n],
  ['sum_us', sum],
];

const total = (values: bigint[]) => values.reduce((a, b) => a + b, 0n);
const least = (values: bigint[]) => values.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined);
const most = (values: bigint[]) => values.reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined);

function textOf(tree: Tree): string {
  if (tree === TIMESTAMP) return HOLE;
  if (typeof tree === 'bigint') return `${tree}`;
  if (typeof tree === 'string') return JSON.stringify(tree);
  if (tree instanceof List) return `[${tree.numbers.join(',')}]`;
  if (tree instanceof HistogramValue) throw new Error('a line has no such value');
  return `{${tree.map(([key, value]) => `${JSON.stringify(key)}:${textOf(value)}`).join(',')}}`;
}

/** Without a prototype: a device may be called `__proto__`. */
function objectOf(tree: Pairs): unknown {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, value] of tree) object[key] = Array.isArray(value) ? objectOf(value) : value;
  return object;
}
