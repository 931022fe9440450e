// Writes region files without native code, by docs/format.md. The numbers come from that page and not from lib/region,
// so that a test finds where the two disagree.

import { writeFileSync } from 'node:fs';
import type { GroupDef, MetricDef, PerDeviceDef } from 'vmm-metrics';

import { fingerprintOf } from '../../lib/fingerprint.ts';
import { layoutOf } from '../../lib/layout.ts';
import { defineSchema, schemeIn } from '../../lib/schema.ts';
import { type Holder, MAX, type Model, type Picture, type State, u64 } from './model.ts';

export interface LineInFlight {
  /** The picture in the bank of the line. */
  readonly picture: Picture;
  readonly device?: bigint;
  readonly inode?: bigint;
  readonly offset?: bigint;
  readonly bytes?: bigint;
  readonly sent?: bigint;
  readonly isRegularFile?: boolean;
}

export interface RegionOptions {
  readonly name?: string;
  readonly granuleBytes?: number;
  /** How many shards are in use. Each value is spread over them. */
  readonly shards?: number;
  /** Splits a value into parts that add up to it, modulo 2^64. Default: equal parts, as far as possible. */
  readonly spread?: (value: bigint, shards: number) => bigint[];
  readonly state?: number;
  readonly pid?: number;
  readonly startTicks?: bigint;
  readonly startedNs?: bigint;
  readonly bootId?: string;
  readonly bank?: 0 | 1 | 2;
  readonly lines?: bigint;
  readonly degraded?: boolean;
  readonly crash?: {
    readonly signal: number;
    readonly code: number;
    readonly address: bigint;
    readonly threadId: number;
    readonly ns: bigint;
  };
  readonly line?: LineInFlight;
  readonly sinkPath?: string;
  /** The devices whose cells are not counted yet, by their place in the directory. */
  readonly cellsMissing?: number;
  /** The version of the format. Default: 1, which has no retired devices. Before 3, latencies have no count. */
  readonly version?: 1 | 2 | 3;
  /** How often devices were retired, since version 2. */
  readonly retiredEpoch?: bigint;
  /**
   * The state of a removed device of a group with an aggregate, since version 2: the device was retired, or its
   * retirement is under way and the epoch of the retirement is written or not yet written. Default: the device was only
   * removed.
   */
  readonly retired?: (holder: Holder, number: number) => 'no' | 'yes' | 'now' | 'soon';
  /** Replaces the document of the model. */
  readonly document?: string;
  readonly fingerprint?: bigint;
}

/** How many cells a metric has. Only documents of version 3 have histograms. */
function countOf(name: string, def: MetricDef, version: number): number {
  const scheme = schemeIn(name, def);
  if (scheme !== undefined) return 4 + scheme.buckets;
  return def.kind === 'latency' ? (version >= 3 ? 4 : 3) : 1;
}

/** The cells of some metrics, counted from 0, and how many there are. */
function cellsIn(
  defs: readonly (readonly [string, MetricDef])[],
  version: number,
): { readonly at: Map<string, number>; readonly count: number } {
  const at = new Map<string, number>();
  let next = 0;
  for (const [name, def] of defs) {
    const cells = countOf(name, def, version);
    if ((next % 512) + cells > 512) next = (Math.floor(next / 512) + 1) * 512;
    at.set(name, next);
    next += cells;
  }
  return { at, count: next };
}

const hasBuckets = (def: MetricDef) => def.kind === 'histogram' || (def.kind === 'latency' && def.histogram !== undefined);

function sumOfMaps(maps: readonly ReadonlyMap<number, bigint>[]): ReadonlyMap<number, bigint> {
  const sum = new Map<number, bigint>();
  for (const map of maps) for (const [bucket, count] of map) sum.set(bucket, (sum.get(bucket) ?? 0n) + count);
  return sum;
}

const metricsOf = (def: GroupDef | PerDeviceDef) => Object.entries(def.fields);

/** The bytes of a region that holds the model as it is now, and whose last flush had the values of `before`. */
export function regionBytes(model: Model, before: Picture, options: RegionOptions = {}): Buffer {
  const { granuleBytes = 4096, shards = 1, bank = 0, lines = 1n, cellsMissing = 0, line } = options;
  const spread = options.spread ?? ((value: bigint) => Array.from({ length: shards }, (_, i) => (i === 0 ? value : 0n)));
  const entries = Object.entries(model.shape);
  const groups = entries.filter(([, def]) => def.kind === 'perDevice').map(([key]) => key);
  const statics = entries.flatMap(([key, def]) =>
    def.kind === 'group' ? metricsOf(def).map(([n, d]) => [`${key}.${n}`, d] as const) : [],
  );
  const { version = 1, retiredEpoch = 0n, retired = () => 'no' as const } = options;
  const cellsOf = (defs: readonly (readonly [string, MetricDef])[]) => cellsIn(defs, version);
  const plain = cellsOf(statics);
  const devices: { holder: Holder; first: number; fate: 'no' | 'yes' | 'now' | 'soon' }[] = [];
  let cells = plain.count;
  /** For each group: the counts through accessors of retired devices, and the two copies of these devices' totals. */
  const hidden: { key: string; first: number; state: 4 | 5 | 6 }[] = [];
  for (const key of version >= 2 ? groups : []) {
    for (const state of [4, 5, 6] as const) {
      hidden.push({ key, first: cells, state });
      cells += cellsOf(metricsOf(model.shape[key] as PerDeviceDef)).count;
    }
  }
  for (const [number, holder] of model.holders.entries()) {
    if (holder.id === undefined) continue;
    const mayBe = version >= 2 && holder.removed && (holder.def as PerDeviceDef).aggregate;
    devices.push({ holder, first: cells, fate: mayBe ? retired(holder, number) : 'no' });
    cells += cellsOf(metricsOf(holder.def)).count;
  }

  const { properties, id } = model.identity;
  const name = options.name ?? 'vm0';
  const document = Buffer.from(options.document ?? JSON.stringify({ name, schema: model.shape, id, properties }));
  const documentOffset = granuleBytes;
  const chunksOffset = documentOffset + Math.ceil(document.length / granuleBytes) * granuleBytes;
  const perChunk = granuleBytes / 8;
  const chunks = Math.ceil(Math.max(cells, hidden.length + devices.length) / perChunk);
  const bytes = Buffer.alloc(chunksOffset + chunks * 165 * granuleBytes);
  document.copy(bytes, documentOffset);
  const rowAt = (cell: number, row: number) =>
    chunksOffset + (Math.floor(cell / perChunk) * 165 + row) * granuleBytes + (cell % perChunk) * 8;

  // ---- cells
  const put = (cell: number, row: number, value: bigint) => bytes.writeBigUInt64LE(u64(value), rowAt(cell, row));
  const stateIn = (picture: Picture, holder: Holder, metric: string): State | undefined => picture.get(holder)?.states.get(metric);
  const complement = (min: bigint | undefined) => (min === undefined ? 0n : MAX ^ min);
  const putParts = (cell: number, value: bigint) => {
    for (const [shard, part] of spread(value, shards).entries()) put(cell, 37 + shard, part);
  };
  const putMetric = (first: number, def: MetricDef, now: State, flushed: State | undefined, sent: State | undefined) => {
    const banks: [number, State | undefined][] = [
      [bank, flushed],
      ...(line === undefined ? [] : [[(bank + 1) % 3, sent] as [number, State | undefined]]),
    ];
    if (def.kind === 'latency' || def.kind === 'histogram') {
      // One shard has the extremes; the other shards have less extreme values.
      put(first, 37 + shards - 1, complement(now.min));
      put(first + 1, 37, now.max ?? 0n);
      putParts(first + 2, now.value);
      if (version >= 3 || hasBuckets(def)) putParts(first + 3, now.count ?? 0n);
      for (const [bucket, count] of now.buckets ?? []) putParts(first + 4 + bucket, count);
      for (const [row, state] of banks) {
        put(first, row, complement(state?.min));
        put(first + 1, row, state?.max ?? 0n);
        put(first + 2, row, state?.value ?? 0n);
        if (version >= 3 || hasBuckets(def)) put(first + 3, row, state?.count ?? 0n);
        // The buckets of a latency are in no bank.
        if (def.kind === 'histogram') for (const [bucket, count] of state?.buckets ?? []) put(first + 4 + bucket, row, count);
      }
      return;
    }
    if (def.kind === 'store') put(first, 37, now.value);
    else putParts(first, now.value);
    for (const [row, state] of banks) put(first, row, state?.value ?? 0n);
  };
  for (const holder of model.holders) {
    const device = devices.find((one) => one.holder === holder);
    if (device?.fate === 'yes') continue; // its cells are 0
    const at = device === undefined ? plain.at : cellsOf(metricsOf(holder.def)).at;
    for (const [metric, def] of metricsOf(holder.def)) {
      const cell = (device?.first ?? 0) + at.get(device === undefined ? `${holder.key}.${metric}` : metric)!;
      const sent = line && stateIn(line.picture, holder, metric);
      putMetric(cell, def, holder.states.get(metric)!, stateIn(before, holder, metric), sent);
    }
  }

  const isGone = (fate: string) => fate === 'yes' || fate === 'now';
  for (const { key, first, state } of hidden) {
    const def = model.shape[key] as PerDeviceDef;
    const isCurrent = state === (retiredEpoch % 2n === 0n ? 5 : 6);
    const gone = devices.filter(({ holder, fate }) => holder.key === key && isGone(fate)).map(({ holder }) => holder);
    for (const [metric, field] of metricsOf(def)) {
      const cell = first + cellsOf(metricsOf(def)).at.get(metric)!;
      const sum = (picture: Picture): State => ({
        value: u64(gone.reduce((all, holder) => all + (stateIn(picture, holder, metric)?.value ?? 0n), 0n)),
        buckets: sumOfMaps(gone.map((holder) => stateIn(picture, holder, metric)?.buckets ?? new Map())),
        count: gone.reduce((all, holder) => all + (stateIn(picture, holder, metric)?.count ?? 0n), 0n),
      });
      // Readers need neither the extremes nor the values that are set, and the unused copy may hold anything.
      const junk: State = { value: 77n, min: 1n, max: 99n, count: 55n };
      if (state === 4) continue;
      if (!isCurrent || field.kind === 'store') putMetric(cell, field, junk, junk, junk);
      else putMetric(cell, field, sum(model.picture()), sum(before), line && sum(line.picture));
    }
  }

  // ---- directory
  const entryAt = (n: number) => chunksOffset + (Math.floor(n / perChunk) * 165 + 3) * granuleBytes + (n % perChunk) * 272;
  hidden.forEach(({ key, first, state }, n) => {
    bytes.writeUInt32LE(groups.indexOf(key), entryAt(n));
    bytes.writeUInt32LE(first, entryAt(n) + 4);
    bytes.writeUInt32LE(state | ((n + 1) << 3), entryAt(n) + 8);
  });
  devices.forEach(({ holder, first, fate }, i) => {
    const n = hidden.length + i;
    const at = entryAt(n);
    const text = Buffer.from(holder.id!);
    bytes.writeUInt32LE(groups.indexOf(holder.key), at);
    bytes.writeUInt32LE(first, at + 4);
    const epochWord = (epoch: bigint) => Number(BigInt.asUintN(29, epoch)) * 8 + 2;
    const words = { no: holder.removed ? 1 : 0, yes: 3, now: epochWord(retiredEpoch), soon: epochWord(retiredEpoch + 1n) };
    bytes.writeUInt32LE(words[fate] + (version >= 2 && (fate === 'no' || fate === 'yes') ? (n + 1) * 8 : 0), at + 8);
    bytes.writeUInt32LE(text.length, at + 12);
    text.copy(bytes, at + 16);
  });

  // ---- header
  const fingerprint =
    options.fingerprint ?? fingerprintOf(layoutOf(defineSchema(model.shape as never), version >= 3 ? 'counted' : 'uncounted'));
  bytes.write('VMTRICS1', 0, 'latin1');
  for (const [offset, value] of [
    [8, version],
    [12, 0x01020304],
    [16, granuleBytes],
    [20, 128],
    [24, 3],
    [28, 34],
    [68, options.state ?? 1],
    [136, cells - cellsMissing],
    [140, shards],
    [144, hidden.length + devices.length],
    [148, options.degraded ? 1 : 0],
  ] as const)
    bytes.writeUInt32LE(value, offset);
  bytes.writeInt32LE(options.pid ?? 4242, 64);
  const lineOffset = 184;
  for (const [offset, value] of [
    [32, fingerprint],
    [40, BigInt(documentOffset)],
    [48, BigInt(document.length)],
    [56, BigInt(chunksOffset)],
    [72, options.startTicks ?? 100n],
    [80, options.startedNs ?? 1_700_000_000_123_000_000n],
    [128, (lines << 2n) | BigInt(bank)],
    [248, retiredEpoch],
    [lineOffset, line === undefined ? 0n : ((lines + 1n) << 2n) | BigInt((bank + 1) % 3)],
    [lineOffset + 8, line?.device ?? 0n],
    [lineOffset + 16, line?.inode ?? 0n],
    [lineOffset + 24, line?.offset ?? 0n],
    [lineOffset + 32, line?.bytes ?? 0n],
    [lineOffset + 40, line?.sent ?? 0n],
  ] as const)
    bytes.writeBigUInt64LE(value, offset);
  bytes.writeUInt32LE(line?.isRegularFile ? 1 : 0, lineOffset + 48);
  bytes.write(options.bootId ?? '00000000-0000-4000-8000-000000000000', 88, 'latin1');
  if (options.crash) {
    bytes.writeUInt32LE(options.crash.signal, 152);
    bytes.writeInt32LE(options.crash.code, 156);
    bytes.writeBigUInt64LE(options.crash.address, 160);
    bytes.writeInt32LE(options.crash.threadId, 168);
    bytes.writeBigInt64LE(options.crash.ns, 176);
  }
  bytes.write(options.sinkPath ?? '', 512);
  // The file may end right after the last row in use.
  return bytes.subarray(
    0,
    cells === 0 ? bytes.length : chunksOffset + ((Math.ceil(cells / perChunk) - 1) * 165 + 37 + shards) * granuleBytes,
  );
}

export function writeRegion(path: string, model: Model, before: Picture, options?: RegionOptions): void {
  writeFileSync(path, regionBytes(model, before, options), { mode: 0o600 });
}
