// What must hold for any schema, any order of operations and any failing sink, against the plain model in
// `helpers/model.ts`:
//
// - the deltas in the lines that got out plus the deltas still pending are count(), modulo 2^64;
// - the devices of a line add up to their aggregate, together with what removed devices still counted;
// - each complete line is the model's, byte for byte but for the timestamp: keys in the schema's order, devices in that
//   of their ids' bytes, store values the latest, extremes true;
// - snapshot(), ids(), count(), fetch() and the results of alloc() and remove() are the model's.
//
// VMM_METRICS_SOAK_SECONDS=600 makes it go on for that long.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import {
  type Devices,
  defineSchema,
  type Fields,
  group,
  type IncMetric,
  inc,
  type LatencyMetric,
  latency,
  type MetricDef,
  Metrics,
  type PerDeviceDef,
  perDevice,
  type SchemaShape,
  type StoreMetric,
  store,
  utcTimestampMs,
} from 'vmm-metrics';

import { CHANGES, type Change, FlakySink, type SinkKind } from './helpers/flaky-sink.ts';
import { type Holder, type Identity, MAX, Model, NOTHING, type Picture, u64 } from './helpers/model.ts';
import { SecondThread } from './helpers/second-thread.ts';
import { at, freshName, type Line, linesIn, parseLine, temporaryFolder } from './helpers/workplace.ts';

const soakSeconds = Number(process.env['VMM_METRICS_SOAK_SECONDS'] ?? 0);

// ---- what is tried

/** Which of some things that are there when it is done. */
const some = fc.nat({ max: 1000 });

const value: fc.Arbitrary<bigint | number> = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 20 }) },
  { weight: 1, arbitrary: fc.maxSafeNat() },
  { weight: 2, arbitrary: fc.bigInt({ min: 0n, max: MAX }) },
  { weight: 2, arbitrary: fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2n ** 53n + 1n, 2n ** 63n, MAX - 1n, MAX) },
);

const text = fc.string({ unit: 'binary', maxLength: 12 });

const deviceId = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('drv0', 'a', 'x', 'x_y', 'y', 'A', '10', '9') },
  // In the order of UTF-16 the second comes before the first, in that of UTF-8 after it.
  {
    weight: 1,
    arbitrary: fc.constantFrom('\u{ffff}', '\u{1f600}', 'é', '"', '\\', '\n\u001f', '\u007f', '\u2028', ' ', '__proto__', 'toString'),
  },
  // The longest, in the line and before it is escaped.
  { weight: 1, arbitrary: fc.constantFrom('\u0001'.repeat(255), 'z'.repeat(255), `${'\u0001'.repeat(254)}b`) },
  { weight: 1, arbitrary: text.filter((id) => id !== '' && !id.includes('\0')) },
);

const metricDef = (isDevice: boolean): fc.Arbitrary<MetricDef> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(inc('counted')) },
    {
      weight: 2,
      arbitrary: isDevice
        ? fc.constantFrom(undefined, 'sum', 'min', 'max').map((aggregate) => store('set', aggregate && { aggregate }))
        : fc.constant(store('set')),
    },
    { weight: 2, arbitrary: fc.constant(latency('timed')) },
  );

const metricName = fc.constantFrom('a', 'b', 'count', 'Z9', '_', 'toString', 'hasOwnProperty', 'length', 'then');

/** Some metrics; now and then so many that they do not fit one chunk of cells. */
const fields = (isDevice: boolean): fc.Arbitrary<Fields> =>
  fc
    .record({
      named: fc.uniqueArray(fc.tuple(metricName, metricDef(isDevice)), { selector: ([name]) => name, minLength: 1, maxLength: 4 }),
      times: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 70 }) }),
    })
    .map(({ named, times }) =>
      Object.fromEntries(
        Array.from({ length: times }, (_, i) => named.map(([name, def]) => [i === 0 ? name : `${name}_${i}`, def] as const)).flat(),
      ),
    );

const groupEntry = fields(false).map((of) => group(of));

const devicesEntry = fc
  .tuple(
    fields(true),
    fc.record({ aggregate: fc.boolean(), latencyAggregate: fc.constantFrom('extremum' as const, 'zero' as const) }, { requiredKeys: [] }),
  )
  .map(([of, options]) => perDevice(of, options));

/**
 * Keys and ids that are so alike that a device of one group may look like another group, or like its device: `g_x_y`.
 */
const entries: fc.Arbitrary<[string, SchemaShape[string]][]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.uniqueArray(
      fc.tuple(fc.constantFrom('g', 'g_x', 'g_x_y', 'dev', '_', 'toString'), fc.oneof(groupEntry, devicesEntry, devicesEntry)),
      { selector: ([key]) => key, minLength: 1, maxLength: 4 },
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.tuple(fc.constant('g'), devicesEntry), fc.tuple(fc.constant('g_x'), devicesEntry)) },
);

const ids = fc.oneof(
  { weight: 3, arbitrary: fc.uniqueArray(deviceId, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant(['x', 'y', 'x_y']) },
);

const shape: fc.Arbitrary<SchemaShape> = fc
  .record({
    entries,
    timestamp: fc.option(fc.tuple(fc.constantFrom('utc_timestamp_ms', 'time', 'id2'), fc.nat({ max: 4 }))),
    missed: fc.option(fc.constantFrom(inc('lines', { onMissedFlush: true }), store('lines', { onMissedFlush: true }))),
  })
  .map(({ entries, timestamp, missed }) => {
    const all = [...entries];
    if (timestamp !== null) all.splice(timestamp[1], 0, [timestamp[0], utcTimestampMs()]);
    if (missed !== null) all.push(['logger', group({ missed })]);
    return Object.fromEntries(all);
  });

const identity: fc.Arbitrary<Identity> = fc.record(
  {
    id: text,
    properties: fc
      .uniqueArray(
        fc.tuple(
          fc.oneof(fc.constantFrom('customer', '10', '9', '__proto__', '\u{ffff}', '\u{1f600}'), text),
          // Long ones make lines that a pipe takes in parts.
          fc.oneof(
            text,
            fc.integer({ min: 4000, max: 9000 }).map((length) => 'v'.repeat(length)),
          ),
        ),
        { selector: ([key]) => key, maxLength: 3 },
      )
      .map((pairs) => Object.fromEntries(pairs)),
  },
  { requiredKeys: [] },
);

type Step =
  | { readonly do: 'bump'; readonly thread: 0 | 1; readonly holder: number; readonly field: number; readonly value: bigint | number }
  | { readonly do: 'bump all'; readonly thread: 0 | 1; readonly holder: number; readonly value: bigint | number }
  | { readonly do: 'alloc' | 'remove'; readonly thread: 0 | 1; readonly group: number; readonly id: number }
  | { readonly do: 'write' | 'snapshot'; readonly thread: 0 | 1 }
  | { readonly do: 'read'; readonly bytes: number }
  | { readonly do: 'change'; readonly change: Change; readonly amount: number }
  | { readonly do: 'check' };

const thread = fc.constantFrom(0 as const, 1 as const);
const constant = <const T extends string>(what: T) => fc.constant(what);

const change = fc.oneof({ weight: 1, arbitrary: fc.constantFrom(...CHANGES) }, { weight: 1, arbitrary: fc.constant('fill' as const) });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: constant('bump'), thread, holder: some, field: some, value }) },
  { weight: 2, arbitrary: fc.record({ do: constant('bump all'), thread, holder: some, value }) },
  { weight: 3, arbitrary: fc.record({ do: constant('alloc'), thread, group: some, id: some }) },
  { weight: 2, arbitrary: fc.record({ do: constant('remove'), thread, group: some, id: some }) },
  { weight: 8, arbitrary: fc.record({ do: constant('write'), thread }) },
  { weight: 1, arbitrary: fc.record({ do: constant('snapshot'), thread }) },
  { weight: 3, arbitrary: fc.record({ do: constant('read'), bytes: fc.nat({ max: 20_000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: constant('change'), change, amount: some }) },
  { weight: 2, arbitrary: fc.record({ do: constant('check') }) },
);

interface Scenario {
  readonly shape: SchemaShape;
  readonly identity: Identity;
  readonly ids: readonly string[];
  readonly sink: SinkKind;
  readonly hasSecondThread: boolean;
  /** init() comes before this step. */
  readonly initAt: number;
  readonly steps: readonly Step[];
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  shape,
  identity,
  ids,
  sink: fc.constantFrom<SinkKind>('file', 'fifo', 'link', 'descriptor'),
  hasSecondThread: fc.boolean(),
  initAt: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 10 }) }),
  steps: fc.array(step, { maxLength: 120, size: 'max' }),
});

// ---- how it is played

type Accessor = IncMetric | StoreMetric | LatencyMetric;
type Accessors = Readonly<Record<string, Accessor>>;

/** What each kind of metric is bumped with. */
function methodOf(def: MetricDef, by: bigint | number): [method: 'inc' | 'add' | 'store' | 'observe', ...values: (bigint | number)[]] {
  if (def.kind === 'latency') return ['observe', by];
  if (def.kind === 'store') return ['store', by];
  return by === 1 ? ['inc'] : ['add', by];
}

let secondThread: SecondThread | undefined;
afterAll(() => secondThread?.end());

setFlagsFromString('--expose-gc');
const collectHere = runInNewContext('gc') as () => void;
/** A store's memory is freed after its accessors are, in all threads, and when the event loop turns. */
async function collectGarbage(): Promise<void> {
  collectHere();
  secondThread?.call('collectGarbage');
  await new Promise(setImmediate);
}

interface Shown {
  readonly written: number;
  readonly flushed: Picture;
}

class Play {
  readonly #scenario: Scenario;
  readonly #model: Model;
  readonly #metrics: Metrics<SchemaShape>;
  readonly #second: SecondThread | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-'));
  readonly #sink: FlakySink;
  readonly #missed: Holder | undefined;
  readonly #groups: string[];
  /** The accessors that this thread has, also to devices that were removed; and whose the second thread has. */
  readonly #accessors = new Map<Holder, Accessors>();
  readonly #secondHolds = new Set<Holder>();
  /** In the order of their removal. */
  readonly #removed: Holder[] = [];
  /** What each write() saw, and whether it said that its line is out. */
  readonly #written: { readonly picture: Picture; isOut: boolean }[] = [];
  /** Which of them the last line that was read may show, and what then counts as flushed; -1: there was none yet. */
  #shown: readonly Shown[] = [{ written: -1, flushed: NOTHING }];
  #lines = 0;
  #timestamp = BigInt(Date.now());
  #isInit = false;
  /** The deltas of all lines together, by the path in the line. */
  readonly #sums = new Map<string, bigint>();

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    const { shape, identity } = scenario;
    this.#model = new Model(shape, identity);
    this.#missed = this.#model.living('logger');
    this.#groups = Object.entries(shape).flatMap(([key, def]) => (def.kind === 'perDevice' ? [key] : []));
    const options = { name: freshName(), ...identity };
    this.#metrics = Metrics.open(defineSchema(shape), options);
    if (scenario.hasSecondThread) {
      secondThread ??= new SecondThread();
      this.#second = secondThread;
      this.#second.call('open', shape, options);
    }
    this.#sink = new FlakySink(this.#folder, scenario.sink);
    for (const holder of this.#model.holders) this.#hold(holder);
  }

  run(): void {
    this.#scenario.steps.forEach((step, i) => {
      if (i === this.#scenario.initAt) this.#init();
      this.#step(step);
    });
    if (!this.#isInit) this.#init();
    this.#finish();
  }

  close(): void {
    try {
      this.#second?.call('close');
    } finally {
      this.#metrics.close();
      this.#sink.close();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  #init(): void {
    this.#isInit = true;
    try {
      this.#metrics.init(this.#sink.destination);
    } catch (error) {
      // There is a folder where the file should be.
      expect(error).toMatchObject({ code: 'ERR_METRICS_OPEN' });
      this.#take(this.#sink.repair());
      this.#metrics.init(this.#sink.destination);
    }
  }

  #step(step: Step): void {
    switch (step.do) {
      case 'bump':
      case 'bump all': {
        const holder = this.#model.holders[step.holder % this.#model.holders.length];
        if (holder === undefined) break;
        const names = Object.keys(holder.def.fields);
        const bumped = step.do === 'bump all' ? names : [names[step.field % names.length]!];
        for (const name of bumped) this.#bump(holder, name, step.value, step.thread);
        break;
      }
      case 'alloc':
      case 'remove': {
        const key = this.#groups[step.group % this.#groups.length];
        const id = this.#scenario.ids[step.id % this.#scenario.ids.length]!;
        if (key === undefined) break;
        if (step.do === 'alloc') this.#alloc(key, id, step.thread);
        else this.#remove(key, id, step.thread);
        break;
      }
      case 'write':
        this.#write(step.thread);
        break;
      case 'snapshot':
        this.#checkSnapshot(step.thread);
        break;
      case 'read':
        this.#take(this.#sink.read(step.bytes));
        break;
      case 'change':
        this.#take(this.#sink.change(step.change, step.amount));
        break;
      case 'check':
        this.#check();
    }
  }

  get #app(): Readonly<Record<string, unknown>> {
    return this.#metrics.app;
  }

  #numberOf(holder: Holder): number {
    return this.#model.holders.indexOf(holder);
  }

  #devices(key: string): Devices<Fields> {
    return this.#app[key] as Devices<Fields>;
  }

  /** This thread's accessors; undefined for a device that it never had and that is gone. */
  #hold(holder: Holder): Accessors | undefined {
    const held = this.#accessors.get(holder);
    if (held !== undefined || holder.removed) return held;
    const { key, id } = holder;
    const made = (id === undefined ? this.#app[key] : this.#devices(key).alloc(id)) as Accessors;
    this.#accessors.set(holder, made);
    return made;
  }

  /** Whether so many devices were removed after this one that its accessors count for the group alone. */
  #isLetGo(holder: Holder): boolean {
    const at = this.#removed.indexOf(holder);
    if (at < 0) return false;
    const later = this.#removed.slice(at + 1).filter(({ key }) => key === holder.key);
    return later.filter(({ id }) => id === holder.id).length >= 2 || later.length >= 16;
  }

  #secondHold(holder: Holder): boolean {
    if (this.#secondHolds.has(holder)) return true;
    if (holder.removed) return false;
    this.#second!.call('hold', this.#numberOf(holder), holder.key, holder.id);
    this.#secondHolds.add(holder);
    return true;
  }

  #bump(holder: Holder, name: string, by: bigint | number, thread: 0 | 1): void {
    const [method, ...values] = methodOf(holder.def.fields[name]!, by);
    if (this.#isLetGo(holder) && !(holder.def as PerDeviceDef).aggregate) return; // it would stand in no line
    if (thread === 1 && this.#second !== undefined && this.#secondHold(holder)) {
      this.#second.call('bump', this.#numberOf(holder), name, method, ...values);
    } else {
      const accessor = this.#hold(holder)?.[name] as Record<string, (...values: unknown[]) => void> | undefined;
      if (accessor === undefined) return;
      accessor[method]!(...values);
    }
    holder.bump(name, BigInt(by));
  }

  #alloc(key: string, id: string, thread: 0 | 1): void {
    const holder = this.#model.alloc(key, id);
    if (holder === undefined) {
      expect(() => this.#devices(key).alloc(id)).toThrow(expect.objectContaining({ code: 'ERR_METRICS_DEVICE' }));
    } else if (thread === 1 && this.#second !== undefined) {
      this.#secondHold(holder);
    } else {
      expect(this.#hold(holder)).toBe(this.#devices(key).alloc(id));
    }
  }

  #remove(key: string, id: string, thread: 0 | 1): void {
    const there = this.#model.living(key, id);
    if (there !== undefined) this.#removed.push(there);
    const removed = thread === 1 && this.#second !== undefined ? this.#second.call('remove', key, id) : this.#devices(key).remove(id);
    expect(removed).toBe(this.#model.remove(key, id));
  }

  #write(thread: 0 | 1): boolean {
    const written = { picture: this.#model.picture(), isOut: false };
    if (this.#isInit) this.#written.push(written);
    try {
      const isOut = thread === 1 && this.#second !== undefined ? this.#second.call('write') : this.#metrics.write();
      expect(isOut).toBe(this.#isInit);
      written.isOut = true;
      return this.#isInit;
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_METRICS_WRITE') throw error;
      this.#countMiss();
      return false;
    }
  }

  #countMiss(): void {
    if (this.#missed === undefined) return;
    const now = this.#missed.states.get('missed')!.value;
    this.#missed.bump('missed', this.#missed.def.fields['missed']?.kind === 'store' ? u64(now + 1n) : 1n);
  }

  #pictureOf(written: number): Picture {
    return this.#written[written]!.picture;
  }

  /** Each line is one of those that were written, and says what has come since the one before it. */
  #take(lines: readonly string[]): void {
    for (const line of lines) {
      this.#lines++;
      const shown = new Map<number, Shown>();
      for (const { written, flushed } of this.#shown) {
        for (const next of this.#possibleAfter(written)) {
          const digits = betweenOf(line, this.#model.line(this.#pictureOf(next), flushed));
          if (digits === undefined || shown.has(next)) continue;
          if (digits !== '') this.#takeTimestamp(BigInt(digits));
          shown.set(next, { written: next, flushed: this.#pictureOf(next) });
        }
      }
      if (shown.size === 0) this.#refuse(line);
      this.#shown = [...shown.values()];
      this.#addUp(parseLine(line));
    }
  }

  /** No line whose write() said that it is out is left out. */
  #possibleAfter(before: number): number[] {
    const out = this.#written.findIndex(({ isOut }, i) => i > before && isOut);
    const last = out < 0 ? this.#written.length - 1 : out;
    return Array.from({ length: last - before }, (_, i) => before + 1 + i);
  }

  #refuse(line: string): never {
    const { written, flushed } = this.#shown.at(-1)!;
    const expected = this.#possibleAfter(written).map((next) => this.#model.line(this.#pictureOf(next), flushed).join('<timestamp>'));
    expect([line], 'a line that no write() can have written; expected is any of them').toEqual(expected);
    throw new Error('unreachable');
  }

  #takeTimestamp(ms: bigint): void {
    expect(ms).toBeGreaterThanOrEqual(this.#timestamp);
    expect(ms).toBeLessThanOrEqual(BigInt(Date.now()));
    this.#timestamp = ms;
  }

  /** By the line alone, without the model: devices and their aggregate agree, and deltas add up over the lines. */
  #addUp(line: Line): void {
    for (const [key, def] of Object.entries(this.#scenario.shape)) {
      if (def.kind === 'utcTimestampMs' || (def.kind === 'perDevice' && !def.aggregate)) continue;
      const all = [...this.#pictureOf(this.#shown[0]!.written)].filter(([holder]) => holder.key === key && holder.id !== undefined);
      const isWhole = def.kind === 'perDevice' && all.every(([, { removed }]) => !removed);
      const devices = isWhole ? all.map(([{ id }]) => line[`${key}_${id}`] as Line) : [];
      for (const path of deltaPaths(def.fields)) {
        const delta = at(line[key] as Line, path) as bigint;
        this.#sums.set(`${key}.${path}`, u64((this.#sums.get(`${key}.${path}`) ?? 0n) + delta));
        if (!isWhole) continue;
        expect(u64(devices.reduce((sum, device) => sum + (at(device, path) as bigint), 0n)), `${key}.${path}`).toBe(delta);
      }
    }
  }

  /** Everything that is readable, against the model. */
  #check(): void {
    this.#take(this.#sink.read());
    this.#shown = this.#shown.filter(({ written }) => !this.#written.some(({ isOut }, i) => i > written && isOut));
    expect(this.#shown, 'a line whose write() said that it is out').not.toEqual([]);
    for (const holder of this.#model.holders) this.#hold(holder);
    const own = [...this.#accessors].filter(([holder]) => !this.#isLetGo(holder));
    const readings = own.map(([holder, accessors]) => readingsOf(holder, accessors));
    const expected = this.#shown.map((shown) => own.map(([holder]) => this.#expectedOf(holder, shown)));
    if (expected.length === 1) expect(readings).toEqual(expected[0]);
    else expect(expected).toContainEqual(readings);
    for (const key of this.#groups) expect(this.#devices(key).ids()).toEqual(this.#model.ids(key));
    this.#checkSums();
    this.#checkSnapshot(0);
  }

  #expectedOf(holder: Holder, { flushed }: Shown): Readings {
    const before = flushed.get(holder)?.states;
    const metrics = [...holder.states].map(([name, state]): [string, Reading] => {
      const { kind } = holder.def.fields[name]!;
      const pending = u64(state.value - (before?.get(name)?.value ?? 0n));
      const extremes = { min: state.min ?? 0n, max: state.max ?? 0n };
      return [name, { value: state.value, ...(kind !== 'store' && { pending }), ...(kind === 'latency' && extremes) }];
    });
    return { of: nameOf(holder), metrics };
  }

  /** The sentence itself: the deltas that were read plus those that are pending are count(). */
  #checkSums(): void {
    for (const [path, sum] of this.#sums) {
      const [key, name] = path.split('.') as [string, string];
      const holders = this.#model.holders.filter((holder) => holder.key === key);
      if (holders.some((holder) => this.#isLetGo(holder))) continue;
      const accessors = holders.map((holder) => this.#accessors.get(holder)?.[name]);
      // Of a device that only the second thread knew, there is nothing here to ask.
      if (accessors.includes(undefined)) continue;
      const readings = accessors.map((accessor) => readingOf(accessor!));
      const pending = readings.reduce((all, reading) => all + reading.pending!, 0n);
      const count = readings.reduce((all, reading) => all + reading.value, 0n);
      expect(u64(sum + pending), path).toBe(u64(count));
    }
  }

  #checkSnapshot(thread: 0 | 1): void {
    const snapshot = thread === 1 && this.#second !== undefined ? this.#second.call('snapshot') : this.#metrics.snapshot();
    expect(snapshot).toEqual(this.#model.snapshot());
  }

  /** The sink is well again: everything gets out, and the last line comes with the close of the last thread. */
  #finish(): void {
    this.#take(this.#sink.repair());
    for (let i = 0; !this.#write(0); i++) {
      expect(i, 'writes that fail with a sink that is well').toBeLessThan(5);
      this.#take(this.#sink.read());
    }
    this.#check();
    this.#second?.call('close');
    this.#written.push({ picture: this.#model.picture(), isOut: true });
    const lines = this.#lines;
    this.#metrics.close();
    this.#take(this.#sink.read());
    expect(this.#lines).toBe(lines + 1);
  }
}

/** The digits that stand between the two; '' when the line is all one; undefined when it is not this line. */
function betweenOf(line: string, [head, tail]: readonly string[]): string | undefined {
  if (tail === undefined) return line === head ? '' : undefined;
  if (!line.startsWith(head!) || !line.endsWith(tail)) return undefined;
  const digits = line.slice(head!.length, line.length - tail.length);
  return /^\d+$/.test(digits) ? digits : undefined;
}

/** The paths, within an entry, of what is flushed as a delta. */
function deltaPaths(of: Fields): string[] {
  return Object.entries(of).flatMap(([name, { kind }]) => (kind === 'inc' ? [name] : kind === 'latency' ? [`${name}.sum_us`] : []));
}

interface Reading {
  readonly value: bigint;
  readonly pending?: bigint;
  readonly min?: bigint;
  readonly max?: bigint;
}

interface Readings {
  readonly of: string;
  readonly metrics: [name: string, reading: Reading][];
}

const nameOf = ({ key, id }: Holder) => (id === undefined ? key : `${key} ${JSON.stringify(id)}`);

const readingsOf = (holder: Holder, accessors: Accessors): Readings => ({
  of: nameOf(holder),
  metrics: [...holder.states.keys()].map((name) => [name, readingOf(accessors[name]!)]),
});

function readingOf(accessor: Accessor): Reading {
  if ('sum_us' in accessor) {
    const { min_us, max_us, sum_us } = accessor;
    return { value: sum_us.count(), pending: sum_us.fetchDiff(), min: min_us.fetch(), max: max_us.fetch() };
  }
  return 'fetch' in accessor ? { value: accessor.fetch() } : { value: accessor.count(), pending: accessor.fetchDiff() };
}

test(
  'given any schema and a sink that fails and changes, when threads count, devices come and go and lines are written, then all is as the model says',
  async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async (one) => {
        if (++runs % 20 === 0) await collectGarbage();
        const play = new Play(one);
        try {
          play.run();
        } finally {
          play.close();
        }
      }),
      soakSeconds > 0
        ? { numRuns: 1_000_000_000, interruptAfterTimeLimit: soakSeconds * 1000 }
        : { numRuns: 600, interruptAfterTimeLimit: 13_000 },
    );
  },
  600_000 + soakSeconds * 1000,
);

test(
  'given threads that count all the time, when lines are written and devices come and go, then every delta is in exactly one line',
  async () => {
    const shape = { dev: perDevice({ hits: inc('counted') }), g: group({ hits: inc('counted') }) };
    const name = freshName();
    const metrics = Metrics.open(defineSchema(shape), { name });
    const threads = [new SecondThread(), new SecondThread()];
    const path = `${temporaryFolder()}/lines`;
    onTestFinished(async () => {
      metrics.close();
      for (const thread of threads) await thread.end();
    });
    metrics.init(path);
    const ids = ['a', 'b', 'c', 'd'];
    for (const id of ids) metrics.app.dev.alloc(id);
    for (const thread of threads) {
      thread.call('open', shape, { name });
      ids.forEach((id, i) => void thread.call('hold', i, 'dev', id));
      thread.call('hold', ids.length, 'g');
    }
    const races = threads.map((thread) => {
      const stop = new Int32Array(new SharedArrayBuffer(8));
      const rounds = new BigUint64Array(new SharedArrayBuffer(8));
      thread.call('race', [...ids.keys(), ids.length], 'hits', stop, rounds);
      return { stop, rounds };
    });
    metrics.startPeriodicFlush({ intervalMs: 1 }); // two threads that write
    // First without removals, then with some; the threads go on counting in what was removed.
    const rest = new Int32Array(new SharedArrayBuffer(4));
    const writeFor = (ms: number) => {
      for (const endAt = Date.now() + ms; Date.now() < endAt; Atomics.wait(rest, 0, 0, 1)) {
        for (let i = 0; i < 10; i++) metrics.write();
      }
    };
    const seconds = Math.max(1, soakSeconds / 20);
    const counted = () => metrics.snapshot().g.hits;
    // On a busy machine for longer, until they have all done something.
    do writeFor(seconds * 500);
    while (linesIn(path).length <= 100 || counted() <= 1000n);
    const aloneUntil = linesIn(path).length;
    for (let i = 0; i < 20; i++) {
      if (!metrics.app.dev.remove('c')) metrics.app.dev.alloc('c');
      writeFor(seconds * 25);
    }
    for (const { stop } of races) {
      Atomics.store(stop, 0, 1);
      Atomics.wait(stop, 1, 0);
    }
    metrics.write();

    const rounds = races.reduce((sum, race) => sum + race.rounds[0]!, 0n);
    const lines = linesIn(path);
    const deltas = (path: string) => lines.map((line) => at(line, path) as bigint);
    const total = (all: bigint[]) => all.reduce((sum, delta) => sum + delta, 0n);
    expect(total(deltas('g.hits'))).toBe(rounds);
    expect(total(deltas('dev_a.hits'))).toBe(rounds);
    expect(total(deltas('dev.hits'))).toBe(rounds * BigInt(ids.length));
    expect(metrics.snapshot().dev.aggregate.hits).toBe(rounds * BigInt(ids.length));
    const sums = lines.slice(0, aloneUntil).map((line) => total(ids.map((id) => at(line, `dev_${id}.hits`) as bigint)));
    expect(deltas('dev.hits').slice(0, aloneUntil)).toEqual(sums);
  },
  600_000 + soakSeconds * 1000,
);
