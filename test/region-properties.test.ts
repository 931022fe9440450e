// What must hold for any region and for any bytes: readRegion() says of a file what the model of its store says, its line is that of native
// code byte for byte, and whatever is done to a file, it is read or refused, quickly and in little memory.
//
// VMM_METRICS_SOAK_SECONDS=600 makes it go on for that long.

import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Devices, defineSchema, type Fields, Metrics, readRegion } from 'vmm-metrics';

import { type AnyStore, anyPlacing, anyStore, lived } from './helpers/any-region.ts';
import type { Holder } from './helpers/model.ts';
import { regionBytes, writeRegion } from './helpers/region-writer.ts';
import { freshName } from './helpers/workplace.ts';

const soakSeconds = Number(process.env['VMM_METRICS_SOAK_SECONDS'] ?? 0);
const limits = (numRuns: number, seconds: number) =>
  soakSeconds > 0
    ? { numRuns: 1_000_000_000, interruptAfterTimeLimit: (soakSeconds * 1000) / 3 }
    : { numRuns, interruptAfterTimeLimit: seconds * 1000 };
const TIMEOUT_MS = 60_000 + soakSeconds * 1000;

const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'region');

test(
  'given any store in a file, when it is read, then its values, what is pending and its line are those of the model',
  async () => {
    await fc.assert(
      fc.asyncProperty(anyStore, anyPlacing, async (store, placing) => {
        const { model, before } = lived(store);
        writeRegion(path, model, before, placing);
        const reading = await readRegion(path);
        expect(reading.values).toEqual(model.snapshot());
        expect(reading.line(1_234_567)).toBe(`${model.line(model.picture(), before).join('1234567')}\n`);
        expect(reading.state).toBe(placing.state === 1 ? 'killed' : 'closed');
        expect(reading.linesFlushed).toBe(placing.lines);
        expect({ id: reading.id, properties: reading.properties }).toEqual({ id: undefined, properties: undefined, ...store.identity });
      }),
      limits(150, 8),
    );
  },
  TIMEOUT_MS,
);

/** The same steps on a real store; its last line. */
function nativeLine(store: AnyStore): string {
  const sink = join(folder, 'lines');
  const metrics = Metrics.open(defineSchema(store.shape), { name: freshName(), ...store.identity });
  try {
    writeFileSync(sink, '');
    metrics.init(sink);
    const app = metrics.app as Readonly<Record<string, unknown>>;
    const accessors = new Map<Holder, Record<string, Record<string, (value: bigint) => void>>>();
    lived(store, {
      bump(holder, field, value) {
        if (!accessors.has(holder)) accessors.set(holder, app[holder.key] as never);
        const accessor = accessors.get(holder)![field]!;
        const method = { inc: 'add', store: 'store', latency: 'observe' }[holder.def.fields[field]!.kind];
        accessor[method]!(value);
      },
      alloc: (holder) => accessors.set(holder, (app[holder.key] as Devices<Fields>).alloc(holder.id!) as never),
      remove: (key, id) => expect((app[key] as Devices<Fields>).remove(id)).toBe(true),
      flush: () => metrics.write(),
    });
    metrics.write();
    return readFileSync(sink, 'utf8').split('\n').at(-2)!;
  } finally {
    metrics.close();
  }
}

test(
  'given any store, when native code flushes it, then its line is byte for byte that of the same values in a file',
  async () => {
    await fc.assert(
      fc.asyncProperty(anyStore, async (store) => {
        const line = nativeLine(store);
        const { model, before } = lived(store);
        writeRegion(path, model, before);
        const time = /"utc_timestamp_ms":(\d+)/.exec(line)?.[1] ?? '0';
        expect((await readRegion(path)).line(Number(time))).toBe(`${line}\n`);
      }),
      limits(150, 8),
    );
  },
  TIMEOUT_MS,
);
