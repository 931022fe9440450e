// A Play runs a scenario on a real store and on the model, and compares them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { type Devices, defineSchema, type Fields, type MetricDef, Metrics, type PerDeviceDef, type SchemaShape } from 'vmm-metrics';

import type { Scenario, Step } from './any-scenario.ts';
import { FlakySink } from './flaky-sink.ts';
import { collectHere } from './garbage.ts';
import { type Holder, isLetGo, Model, NOTHING, type Picture, u64 } from './model.ts';
import { type Accessors, nameOf, type Reading, type Readings, readingOf, readingsOf } from './readings.ts';
import { SecondThread } from './second-thread.ts';
import { at, freshName, type Line, parseLine } from './workplace.ts';

/** The method that bumps each kind of metric. */
function methodOf(def: MetricDef, by: bigint | number): [method: 'inc' | 'add' | 'store' | 'observe', ...values: (bigint | number)[]] {
  if (def.kind === 'latency' || def.kind === 'histogram') return ['observe', by];
  if (def.kind === 'store') return ['store', by];
  return by === 1 ? ['inc'] : ['add', by];
}

let secondThread: SecondThread | undefined;
afterAll(() => secondThread?.end());

/** A store's memory is freed after the accessors of all threads are freed, and after a turn of the event loop. */
export async function collectGarbage(): Promise<void> {
  collectHere();
  secondThread?.call('collectGarbage');
  await new Promise(setImmediate);
}

interface Shown {
  readonly written: number;
  readonly flushed: Picture;
}

export class Play {
  readonly #scenario: Scenario;
  readonly #model: Model;
  readonly #metrics: Metrics<SchemaShape>;
  readonly #second: SecondThread | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-'));
  readonly #sink: FlakySink;
  readonly #missed: Holder | undefined;
  readonly #groups: string[];
  /** The accessors that this thread has, also those of removed devices. */
  readonly #accessors = new Map<Holder, Accessors>();
  /** The second thread has accessors of these holders. */
  readonly #secondHolds = new Set<Holder>();
  /** The removed devices, in the order of their removal. */
  readonly #removed: Holder[] = [];
  /** The picture of each write(), and whether write() returned that its line is out. */
  readonly #written: { readonly picture: Picture; isOut: boolean }[] = [];
  /**
   * What the last line read may be: an index into `#written`, with what then counts as flushed. -1: no line was read
   * yet.
   */
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
      // A folder is at the path of the file.
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

  /** This thread's accessors; undefined for a removed device if this thread never had its accessors. */
  #hold(holder: Holder): Accessors | undefined {
    const held = this.#accessors.get(holder);
    if (held !== undefined || holder.removed) return held;
    const { key, id } = holder;
    const made = (id === undefined ? this.#app[key] : this.#devices(key).alloc(id)) as Accessors;
    this.#accessors.set(holder, made);
    return made;
  }

  #isLetGo(holder: Holder): boolean {
    return isLetGo(holder, this.#removed);
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
    if (this.#isLetGo(holder) && !(holder.def as PerDeviceDef).aggregate) return; // no line would show it
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

  /** Checks that each line is one that was written, with the deltas since the line before. */
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

  /**
   * The written lines that the next line may be. The list ends with the first line whose write() returned that it is
   * out, since that line must not be missing.
   */
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

  /** Checks the line without the model: devices and their aggregate agree, and deltas add up over the lines. */
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

  /** Compares everything that is readable with the model. */
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
      const hasPending = kind === 'inc' || kind === 'latency';
      const hasExtremes = kind === 'latency' || kind === 'histogram';
      return [name, { value: state.value, ...(hasPending && { pending }), ...(hasExtremes && extremes) }];
    });
    return { of: nameOf(holder), metrics };
  }

  /** Checks the invariant: the deltas in the lines plus the pending deltas are count(). */
  #checkSums(): void {
    for (const [path, sum] of this.#sums) {
      const [key, name] = path.split('.') as [string, string];
      const holders = this.#model.holders.filter((holder) => holder.key === key);
      if (holders.some((holder) => this.#isLetGo(holder))) continue;
      const accessors = holders.map((holder) => this.#accessors.get(holder)?.[name]);
      // This thread has no accessor of a device that only the second thread knew.
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

  /** Repairs the sink: everything is written, and the close of the last thread writes the last line. */
  #finish(): void {
    this.#take(this.#sink.repair());
    // A long line needs several turns with a pipe, and each of them sends a part of it.
    for (let failures = 0; !this.#write(0); ) {
      const { received } = this.#sink;
      this.#take(this.#sink.read());
      if (this.#sink.received === received) failures++;
      expect(failures, 'writes that fail with a sink that is well').toBeLessThan(5);
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

/**
 * The digits between `head` and `tail`; '' if there is no tail and the line is `head`; undefined if it is another line.
 */
function betweenOf(line: string, [head, tail]: readonly string[]): string | undefined {
  if (tail === undefined) return line === head ? '' : undefined;
  if (!line.startsWith(head!) || !line.endsWith(tail)) return undefined;
  const digits = line.slice(head!.length, line.length - tail.length);
  return /^\d+$/.test(digits) ? digits : undefined;
}

/** The paths within an entry that are flushed as deltas. */
function deltaPaths(of: Fields): string[] {
  return Object.entries(of).flatMap(([name, { kind }]) => (kind === 'inc' ? [name] : kind === 'latency' ? [`${name}.sum_us`] : []));
}
