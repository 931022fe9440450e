// What must hold for any region and any bytes: a reading agrees with the model of the store, and the reader's line
// equals the line that native code writes, byte for byte. A damaged file is read or refused, quickly and in little
// memory.
//
// VMM_METRICS_SOAK_SECONDS=600 runs the tests for 600 seconds.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Devices, defineSchema, type Fields, Metrics, type RegionReading, readRegion } from 'vmm-metrics';

import { type AnyStore, anyPlacing, anyStore, lived } from './helpers/any-region.ts';
import { readBothWays } from './helpers/both-readers.ts';
import type { Holder } from './helpers/model.ts';
import { regionBytes, writeRegion } from './helpers/region-writer.ts';
import { soakSeconds } from './helpers/soak.ts';
import { freshName } from './helpers/workplace.ts';

/** The limits of one test. In a soak, the test runs for `part` of the time of the soak. */
const limits = (numRuns: number, seconds: number, part: number) =>
  soakSeconds > 0
    ? { numRuns: 1_000_000_000, interruptAfterTimeLimit: soakSeconds * 1000 * part }
    : { numRuns, interruptAfterTimeLimit: seconds * 1000 };
const TIMEOUT_MS = 600_000 + soakSeconds * 1000;

const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'region');
let pid = 1;
/** The files below share one path. A reader that keeps the path open tells their writers apart by their pids. */
const nextPid = () => ++pid;

test(
  'given any store in a file, when it is read, then its values, its pending deltas and its line are those of the model',
  async () => {
    await fc.assert(
      fc.asyncProperty(anyStore, anyPlacing, async (store, placing) => {
        const { model, before } = lived(store);
        writeRegion(path, model, before, { ...placing, pid: nextPid() });
        const reading = await readBothWays(path);
        expect(reading.values).toEqual(model.snapshot({ counted: placing.version! >= 3 }));
        expect(reading.line(1_234_567)).toBe(`${model.line(model.picture(), before).join('1234567')}\n`);
        expect(reading.state).toBe(placing.state === 1 ? 'killed' : 'closed');
        expect(reading.linesFlushed).toBe(placing.lines);
        expect({ id: reading.id, properties: reading.properties }).toEqual({ id: undefined, properties: undefined, ...store.identity });
      }),
      limits(150, 8, 1 / 6),
    );
  },
  TIMEOUT_MS,
);

/**
 * Plays the same steps on a real store in a file. Returns the reading before the last line, the store's own values, and
 * the line.
 */
async function native(store: AnyStore): Promise<{ reading: RegionReading; snapshot: unknown; line: string }> {
  const sink = join(folder, 'lines');
  const file = join(folder, 'real');
  const metrics = Metrics.open(defineSchema(store.shape), { name: freshName(), file, previous: 'discard', ...store.identity });
  try {
    writeFileSync(sink, '');
    metrics.init(sink);
    const app = metrics.app as Readonly<Record<string, unknown>>;
    const accessors = new Map<Holder, Record<string, Record<string, (value: bigint) => void>>>();
    lived(store, {
      bump(holder, field, value) {
        if (!accessors.has(holder)) accessors.set(holder, app[holder.key] as never);
        const accessor = accessors.get(holder)![field]!;
        const method = { inc: 'add', store: 'store', latency: 'observe', histogram: 'observe' }[holder.def.fields[field]!.kind];
        accessor[method]!(value);
      },
      alloc: (holder) => accessors.set(holder, (app[holder.key] as Devices<Fields>).alloc(holder.id!) as never),
      remove: (key, id) => expect((app[key] as Devices<Fields>).remove(id)).toBe(true),
      flush: () => metrics.write(),
    });
    const reading = await readRegion(file);
    const snapshot = metrics.snapshot();
    metrics.write();
    return { reading, snapshot, line: readFileSync(sink, 'utf8').split('\n').at(-2)! };
  } finally {
    metrics.close();
  }
}

test(
  'given any store in a real file, when it is read and then flushed, then the reader, native code and a made-up file of the same values give the same line byte for byte',
  async () => {
    await fc.assert(
      fc.asyncProperty(anyStore, async (store) => {
        const { reading, snapshot, line } = await native(store);
        const { model, before } = lived(store);
        writeRegion(path, model, before, { pid: nextPid() });
        const time = /"utc_timestamp_ms":(\d+)/.exec(line)?.[1] ?? '0';
        expect((await readBothWays(path)).line(Number(time))).toBe(`${line}\n`);
        expect(reading.line(Number(time))).toBe(`${line}\n`);
        expect(reading).toMatchObject({ state: 'running', pid: process.pid, ...store.identity });
        expect(reading.values).toEqual(snapshot);
      }),
      limits(150, 8, 1 / 6),
    );
  },
  TIMEOUT_MS,
);

/** A number at a limit: 0, few, far too many, all ones. */
const number = fc.oneof(
  fc.bigInt({ min: 0n, max: 300n }),
  fc.constantFrom(
    2n ** 12n,
    2n ** 16n,
    2n ** 20n,
    2n ** 21n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 48n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
/** A place in the file, in thousandths, mostly near the beginning, where the numbers are. */
const place = fc
  .oneof(
    fc.nat({ max: 2559 }).map((offset) => () => offset),
    fc.nat({ max: 40 }).map((word) => () => word * 8),
    fc.nat({ max: 5000 }).map((offset) => () => 4096 + offset),
    fc.double({ min: 0, max: 1, noNaN: true }).map((part) => (bytes: number) => Math.floor(part * bytes)),
  )
  .map((at) => (bytes: number) => Math.max(0, Math.min(at(bytes), bytes - 1)));

type Harm = (bytes: Buffer) => Buffer;
const harm: fc.Arbitrary<Harm> = fc.oneof(
  fc.tuple(place, fc.nat({ max: 7 })).map(([at, bit]) => (bytes: Buffer) => {
    const offset = at(bytes.length);
    if (offset < bytes.length) bytes[offset]! ^= 1 << bit;
    return bytes;
  }),
  fc.tuple(place, fc.uint8Array({ maxLength: 300 })).map(([at, noise]) => (bytes: Buffer) => {
    bytes.set(noise.subarray(0, bytes.length - at(bytes.length)), at(bytes.length));
    return bytes;
  }),
  fc.tuple(place, number, fc.constantFrom(4, 8)).map(([at, value, size]) => (bytes: Buffer) => {
    const offset = at(bytes.length) & ~3;
    if (offset + size > bytes.length) return bytes;
    if (size === 8) bytes.writeBigUInt64LE(value, offset);
    else bytes.writeUInt32LE(Number(value & 0xffff_ffffn), offset);
    return bytes;
  }),
  // Swaps two words.
  fc.tuple(place, place).map(([a, b]) => (bytes: Buffer) => {
    const [one, other] = [a(bytes.length) & ~7, b(bytes.length) & ~7];
    if (Math.max(one, other) + 8 > bytes.length) return bytes;
    const kept = bytes.readBigUInt64LE(one);
    bytes.writeBigUInt64LE(bytes.readBigUInt64LE(other), one);
    bytes.writeBigUInt64LE(kept, other);
    return bytes;
  }),
  place.map((at) => (bytes: Buffer) => bytes.subarray(0, at(bytes.length))),
  fc.nat({ max: 10_000 }).map((more) => (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(more, 0xa5)])),
);

/** Documents whose first part is valid. */
const strange = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.jsonValue().map((schema) => JSON.stringify({ name: 'x', schema })),
  fc.constantFrom(
    '',
    'null',
    '[]',
    '{}',
    '{"name":"x"}',
    '{"name":"x","schema":{}}',
    '{"name":"x","schema":{"__proto__":{"kind":"group","fields":{"a":{"kind":"inc","doc":""}}}}}',
    '{"name":"x","schema":{"g":{"kind":"group","fields":{"__proto__":{"kind":"inc","doc":""}}}}}',
    '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"__proto__":{"kind":"inc"},"kind":"inc","doc":""}}}}}',
    '{"__proto__":{"name":"x"},"name":"x","schema":{"t":{"kind":"utcTimestampMs"}}}',
    '{"name":"x","schema":{"constructor":{"kind":"group","fields":{"a":{"kind":"inc","doc":""}}}}}',
    '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"kind":"inc","doc":"","onSignal":"SIGKILL"}}}}}',
    '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"kind":"inc","doc":"","onSignal":"toString"}}}}}',
    '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"kind":"latency","doc":"","unit":"us"}}}}}',
    '{"name":"\\ud800","schema":{"t":{"kind":"utcTimestampMs"}}}',
    '{"name":"x","id":3,"schema":{"t":{"kind":"utcTimestampMs"}}}',
    '{"name":"x","properties":{"a":1},"schema":{"t":{"kind":"utcTimestampMs"}}}',
    '{"name":"x","id":"y","schema":{"id":{"kind":"utcTimestampMs"}}}',
    '['.repeat(500_000),
    `{"name":"x","schema":${'{"g":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
    `{"name":"${'x'.repeat(1_000_000)}","schema":{"t":{"kind":"utcTimestampMs"}}}`,
  ),
);

test(
  'given a region with any damage, when it is read, then the reader returns a reading or throws one clear error',
  async () => {
    const original = anyStore.chain((store) => fc.tuple(fc.constant(store), anyPlacing, fc.option(strange, { freq: 6 })));
    await fc.assert(
      fc.asyncProperty(original, fc.array(harm, { minLength: 1, maxLength: 4 }), async ([store, placing, document], harms) => {
        const { model, before } = lived(store);
        const line = { picture: model.picture(), isRegularFile: true };
        const whole = regionBytes(model, before, {
          ...placing,
          pid: nextPid(),
          line,
          sinkPath: path,
          ...(document !== null && { document }),
        });
        let bytes: Buffer = whole;
        for (const one of harms) bytes = one(bytes);
        writeFileSync(path, bytes);
        try {
          const reading = await readBothWays(path);
          JSON.parse(reading.line());
        } catch (error) {
          expect(error).toMatchObject({ name: 'MetricsError', code: 'ERR_METRICS_REGION' });
          expect((error as Error).message).toContain(path);
          expect((error as Error).message.length).toBeLessThan(1000);
        }
      }),
      limits(600, 10, 1),
    );
  },
  TIMEOUT_MS,
);
