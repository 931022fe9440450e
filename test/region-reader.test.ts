// The reader is tested with files that follow docs/format.md. They are made from a model, without native code.

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, inc, perDevice, readRegion } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { binding } from '../lib/binding.ts';
import { KeptRegion } from '../lib/region/kept-region.ts';
import { readingOf } from '../lib/region/reader.ts';
import { readBothWays } from './helpers/both-readers.ts';
import { node } from './helpers/children.ts';
import { counted, regionFile, shape } from './helpers/counted-region.ts';
import { holdLock } from './helpers/lock-holder.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { regionBytes, writeRegion } from './helpers/region-writer.ts';
import { soakNumber } from './helpers/soak.ts';
import { temporaryFolder } from './helpers/workplace.ts';

describe('given a region file', () => {
  test('when it is read, then the reading has the counts, the pending deltas and the line', async () => {
    const reading = await readBothWays(regionFile({ name: 'vm zero', pid: 77, lines: 3n, sinkPath: '/run/lines' }));
    expect(reading).toMatchObject({
      state: 'killed',
      pid: 77,
      startedAt: new Date(1_700_000_000_123),
      degraded: false,
      name: 'vm zero',
      id: 'vm0',
      linesFlushed: 3n,
      hasPending: true,
      sinkPath: '/run/lines',
      isThisBoot: false,
      values: {
        g: { hits: 7n, level: 9n, time: { min_us: 0n, max_us: 0n, sum_us: 0n } },
        disk: { devices: { a: { ops: 3n, time: { min_us: 10n, max_us: 30n, sum_us: 40n } } }, aggregate: { ops: 3n } },
      },
      pending: {
        g: { hits: 2n, level: 9n },
        disk: { devices: { a: { ops: 1n, time: { min_us: 10n, max_us: 30n, sum_us: 10n } } }, aggregate: { ops: 1n } },
      },
    });
    expect(reading).not.toHaveProperty('crash');
    expect(reading.schema).toEqual(defineSchema(shape));
    expect(reading.line(5)).toBe(
      '{"at":5,"id":"vm0","g":{"hits":2,"level":9,"time":{"min_us":0,"max_us":0,"sum_us":0}},' +
        '"disk_a":{"ops":1,"time":{"min_us":10,"max_us":30,"sum_us":10}},"disk":{"ops":1,"time":{"min_us":10,"max_us":30,"sum_us":10}}}\n',
    );
    const now = Date.now();
    const { at } = JSON.parse(reading.line()) as { at: number };
    expect(at).toBeGreaterThanOrEqual(now);
    expect(() => reading.line(-1)).toThrow(RangeError);
    expect(() => reading.line('now' as never)).toThrow(TypeError);
  });

  test('when its writer crashed, then the reading has the record of the crash, and the line has the time of the crash', async () => {
    const at = new Date(1_700_000_001_456);
    const crash = { signal: 11, code: 1, address: 2n ** 63n, threadId: 99, ns: BigInt(at.getTime()) * 1_000_000n };
    const reading = await readBothWays(regionFile({ state: 3, crash }));
    expect(reading.state).toBe('crashed');
    expect(reading.crash).toEqual({ signal: 'SIGSEGV', code: 1, address: 2n ** 63n, threadId: 99, at });
    expect(reading.line()).toContain(`{"at":${at.getTime()},`);
  });

  test('when its writer survived a crash, then the reading has no record of the crash', async () => {
    const crash = { signal: 11, code: 1, address: 0n, threadId: 99, ns: 0n };
    expect(await readBothWays(regionFile({ crash }))).not.toHaveProperty('crash');
  });

  test('when it was closed, or is degraded, then the reading says so', async () => {
    expect(await readBothWays(regionFile({ state: 2, degraded: true }))).toMatchObject({ state: 'closed', degraded: true });
  });

  test('when it is of this boot, then the reading says so', async () => {
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    expect(await readBothWays(regionFile({ bootId }))).toMatchObject({ bootId, isThisBoot: true });
  });

  test('when everything was flushed, then nothing is pending', async () => {
    const path = join(temporaryFolder(), 'region');
    const { model } = counted();
    writeRegion(path, model, model.picture());
    const reading = await readBothWays(path);
    expect(reading.hasPending).toBe(false);
    expect(reading.pending['g']).toMatchObject({ hits: 0n, level: 9n });
  });

  test('when a device is still being made, then the reading does not have it yet', async () => {
    const reading = await readBothWays(regionFile({ cellsMissing: 1 }));
    expect(reading.values['disk']).toEqual({
      devices: {},
      aggregate: { ops: 0n, time: { count: 0n, min_us: 0n, max_us: 0n, sum_us: 0n } },
    });
  });

  test('when it has the schema of Firecracker, then its line is that of the model', async () => {
    const path = join(temporaryFolder(), 'region');
    const model = new Model(firecracker.shape, {});
    for (const id of ['rootfs', 'data']) model.alloc('block', id);
    for (const [i, holder] of model.holders.entries()) for (const name of Object.keys(holder.def.fields)) holder.bump(name, BigInt(i + 1));
    writeRegion(path, model, NOTHING, { shards: 5 });
    expect((await readBothWays(path)).line(7)).toBe(`${model.line(model.picture(), NOTHING).join('7')}\n`);
  });

  test('when a device was added and removed twenty thousand times, then the aggregate has its counts', async () => {
    const path = join(temporaryFolder(), 'region');
    const model = new Model({ d: perDevice({ n: inc('n') }) }, {});
    model.alloc('d', 'x')!.bump('n', 3n);
    const bytes = regionBytes(model, NOTHING);
    writeFileSync(path, bytes);
    // Copies of one removed entry, each with the next cell.
    const times = 20_000;
    const chunks = Number(bytes.readBigUInt64LE(56));
    const file = await open(path, 'r+');
    await file.truncate(chunks + Math.ceil(times / 512) * 165 * 4096);
    const word = Buffer.alloc(8, 0);
    word.writeBigUInt64LE(2n);
    for (let n = 1; n < times; n++) {
      const at = chunks + Math.floor(n / 512) * 165 * 4096;
      const entry = Buffer.alloc(272);
      entry.writeUInt32LE(n, 4);
      entry.writeUInt32LE(1, 8);
      entry.writeUInt32LE(1, 12);
      entry.write('y', 16);
      await file.write(entry, 0, 272, at + 3 * 4096 + (n % 512) * 272);
      await file.write(word, 0, 8, at + 37 * 4096 + (n % 512) * 8);
    }
    const counts = Buffer.alloc(12);
    counts.writeUInt32LE(times, 0);
    counts.writeUInt32LE(1, 4);
    counts.writeUInt32LE(times, 8);
    await file.write(counts, 0, 12, 136);
    await file.close();
    const reading = await readBothWays(path);
    expect(reading.values).toEqual({ d: { devices: { x: { n: 3n } }, aggregate: { n: 3n + 2n * BigInt(times - 1) } } });
    expect(reading.line()).toBe(`{"d_x":{"n":3},"d":{"n":${3 + 2 * (times - 1)}}}\n`);
  });
});

describe('given a process that holds the lock of the file', () => {
  test('when it is read, then its writer is running; when the lock is released, then its writer was killed', async () => {
    const path = regionFile();
    const holder = await open(path, 'r+');
    // A writer holds the lock exclusively. lock() below takes a shared lock.
    const release = await holdLock(path);
    expect((await readBothWays(path)).state).toBe('running');
    expect(binding().lock(holder.fd)).toBe(false);
    await release();
    expect((await readBothWays(path)).state).toBe('killed');
    expect(binding().lock(holder.fd)).toBe(true);
    // A process that flushes the file of a dead process is not a living writer.
    expect((await readBothWays(path)).state).toBe('killed');
    const second = await open(path, 'r+');
    expect(binding().lock(second.fd)).toBe(false);
    await holder.close();
    expect(binding().lock(second.fd)).toBe(true);
    await second.close();
  });
});

describe('given two threads of another process that count at full speed, with a flush each millisecond', () => {
  const seconds = Math.min(10, soakNumber('SECONDS', 2));
  test.each([
    { how: 'readRegion()' },
    { how: 'a reader that keeps it open', native: true },
    { how: 'such a reader without native code', native: false },
  ])(
    `when it is read over and over for ${seconds} s by $how, then no number is torn, decreases, or exceeds what was counted`,
    { timeout: 600_000 },
    async ({ native }) => {
      const path = join(temporaryFolder(), 'r');
      const region = new KeptRegion(path, { native: native ?? false });
      onTestFinished(() => region.close());
      const writer = spawn(node, [fileURLToPath(new URL('./fixtures/torn.mjs', import.meta.url)), path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      onTestFinished(() => void writer.kill('SIGKILL'));
      const ended = new Promise((resolve) => writer.once('exit', resolve));
      await new Promise((resolve) => writer.stdout.once('data', resolve));
      let before: Record<string, bigint> = {};
      let [reads, changes] = [0, 0];
      // On a busy machine, the loop runs longer, until there were enough reads and changes.
      for (const until = Date.now() + seconds * 1000; Date.now() < until || reads <= 40 || changes <= 64 * 10; reads++) {
        const { values, pending } = native === undefined ? await readRegion(path) : readingOf(path, region.read());
        const totals = values['g'] as unknown as Record<string, bigint>;
        const deltas = pending['g'] as unknown as Record<string, bigint>;
        for (const [name, total] of Object.entries(totals)) {
          if (total % 0x1_0000_0001n !== 0n || deltas[name]! % 0x1_0000_0001n !== 0n)
            throw new Error(`${name} is torn: ${total}, ${deltas[name]}`);
          if (total < (before[name] ?? 0n)) throw new Error(`${name} went back from ${before[name]} to ${total}`);
          if (deltas[name]! > total) throw new Error(`${name}: ${deltas[name]} pending of ${total}`);
          if (total > (before[name] ?? 0n)) changes++;
        }
        before = totals;
      }
      writer.kill('SIGKILL');
      await ended;
      console.log(`${reads} reads`);
      expect((await readRegion(path)).state).toBe('killed');
    },
  );
});
