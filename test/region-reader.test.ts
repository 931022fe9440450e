// readRegion() against files that docs/format.md describes, made without native code from the model of a store.

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  defineSchema,
  type Fields,
  group,
  inc,
  latency,
  perDevice,
  readRegion,
  type SchemaShape,
  store,
  utcTimestampMs,
} from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { binding } from '../lib/binding.ts';
import { documentFrom, documentOf } from '../lib/document.ts';
import * as here from '../lib/schema.ts';
import { node, runChild } from './helpers/children.ts';
import { Model, NOTHING, type Picture } from './helpers/model.ts';
import { type RegionOptions, regionBytes, writeRegion } from './helpers/region-writer.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const shape: SchemaShape = {
  at: utcTimestampMs(),
  g: group({ hits: inc('hits'), level: store('level'), time: latency('time') }),
  disk: perDevice({ ops: inc('ops'), time: latency('time') }),
};

/** A store that has counted, flushed, and counted on. */
function counted(): { model: Model; before: Picture } {
  const model = new Model(shape, { id: 'vm0' });
  const [g] = model.holders;
  const disk = model.alloc('disk', 'a')!;
  g!.bump('hits', 5n);
  disk.bump('ops', 2n);
  disk.bump('time', 30n);
  const before = model.picture();
  g!.bump('hits', 2n);
  g!.bump('level', 9n);
  disk.bump('ops', 1n);
  disk.bump('time', 10n);
  return { model, before };
}

function regionFile(options?: RegionOptions): string {
  const path = join(temporaryFolder(), 'region');
  const { model, before } = counted();
  writeRegion(path, model, before, options);
  return path;
}

const refused = (path: string) =>
  readRegion(path).then(
    () => undefined,
    (error: unknown) => error as Error & { code: string; cause?: unknown },
  );

describe('given a region file', () => {
  test('when it is read, then it says what was counted, what is pending, and the line', async () => {
    const reading = await readRegion(regionFile({ name: 'vm zero', pid: 77, lines: 3n, sinkPath: '/run/lines' }));
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

  test('when its writer crashed, then the record and the time of the line are those of the crash', async () => {
    const at = new Date(1_700_000_001_456);
    const crash = { signal: 11, code: 1, address: 2n ** 63n, threadId: 99, ns: BigInt(at.getTime()) * 1_000_000n };
    const reading = await readRegion(regionFile({ state: 3, crash }));
    expect(reading.state).toBe('crashed');
    expect(reading.crash).toEqual({ signal: 'SIGSEGV', code: 1, address: 2n ** 63n, threadId: 99, at });
    expect(reading.line()).toContain(`{"at":${at.getTime()},`);
  });

  test('when a record is left of a crash that was survived, then it says nothing', async () => {
    const crash = { signal: 11, code: 1, address: 0n, threadId: 99, ns: 0n };
    expect(await readRegion(regionFile({ crash }))).not.toHaveProperty('crash');
  });

  test('when it was closed, or is degraded, then it says so', async () => {
    expect(await readRegion(regionFile({ state: 2, degraded: true }))).toMatchObject({ state: 'closed', degraded: true });
  });

  test('when it is of this boot, then it says so', async () => {
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    expect(await readRegion(regionFile({ bootId }))).toMatchObject({ bootId, isThisBoot: true });
  });

  test('when everything was flushed, then nothing is pending', async () => {
    const path = join(temporaryFolder(), 'region');
    const { model } = counted();
    writeRegion(path, model, model.picture());
    const reading = await readRegion(path);
    expect(reading.hasPending).toBe(false);
    expect(reading.pending['g']).toMatchObject({ hits: 0n, level: 9n });
  });

  test('when a device is still being made, then it is not there yet', async () => {
    const reading = await readRegion(regionFile({ cellsMissing: 1 }));
    expect(reading.values['disk']).toEqual({ devices: {}, aggregate: { ops: 0n, time: { min_us: 0n, max_us: 0n, sum_us: 0n } } });
  });

  test('when it is the whole line of Firecracker, then the line is the model of it', async () => {
    const path = join(temporaryFolder(), 'region');
    const model = new Model(firecracker.shape, {});
    for (const id of ['rootfs', 'data']) model.alloc('block', id);
    for (const [i, holder] of model.holders.entries()) for (const name of Object.keys(holder.def.fields)) holder.bump(name, BigInt(i + 1));
    writeRegion(path, model, NOTHING, { shards: 5 });
    expect((await readRegion(path)).line(7)).toBe(`${model.line(model.picture(), NOTHING).join('7')}\n`);
  });

  test('when a device was plugged in and out twenty thousand times, then what it counted is in the aggregate', async () => {
    const path = join(temporaryFolder(), 'region');
    const model = new Model({ d: perDevice({ n: inc('n') }) }, {});
    model.alloc('d', 'x')!.bump('n', 3n);
    const bytes = regionBytes(model, NOTHING);
    writeFileSync(path, bytes);
    // The same entry again and again, each with the next cell, removed.
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
    const reading = await readRegion(path);
    expect(reading.values).toEqual({ d: { devices: { x: { n: 3n } }, aggregate: { n: 3n + 2n * BigInt(times - 1) } } });
    expect(reading.line()).toBe(`{"d_x":{"n":3},"d":{"n":${3 + 2 * (times - 1)}}}\n`);
  });
});

describe('given somebody who holds the file', () => {
  test('when it is read, then its writer is running; and killed once it is let go', async () => {
    const path = regionFile();
    const holder = await open(path, 'r+');
    // What lock() keeps is a shared lock, so this takes the writer's by the tool of util-linux.
    const child = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect((await readRegion(path)).state).toBe('running');
    expect(binding().lock(holder.fd)).toBe(false);
    child.stdin.end();
    await new Promise((resolve) => child.once('close', resolve));
    expect((await readRegion(path)).state).toBe('killed');
    expect(binding().lock(holder.fd)).toBe(true);
    // Who flushes a dead one's file is no living writer.
    expect((await readRegion(path)).state).toBe('killed');
    const second = await open(path, 'r+');
    expect(binding().lock(second.fd)).toBe(false);
    await holder.close();
    expect(binding().lock(second.fd)).toBe(true);
    await second.close();
  });
});

describe('given two threads of another process that count at full speed, with a flush each millisecond', () => {
  const seconds = Math.min(10, Number(process.env['VMM_METRICS_SOAK_SECONDS'] ?? 2));
  test(
    `when it is read over and over for ${seconds} s, then no number is torn, none goes back, and none is more than was counted`,
    { timeout: 600_000 },
    async () => {
      const path = join(temporaryFolder(), 'r');
      const writer = spawn(node, [fileURLToPath(new URL('./fixtures/torn.mjs', import.meta.url)), path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      onTestFinished(() => void writer.kill('SIGKILL'));
      const ended = new Promise((resolve) => writer.once('exit', resolve));
      await new Promise((resolve) => writer.stdout.once('data', resolve));
      let before: Record<string, bigint> = {};
      let [reads, changes] = [0, 0];
      // On a busy machine for longer, until there was something to see.
      for (const until = Date.now() + seconds * 1000; Date.now() < until || reads <= 40 || changes <= 64 * 10; reads++) {
        const { values, pending } = await readRegion(path);
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

describe('given a line that was on its way', () => {
  /** A region whose third bank has a later picture, and what its line would be. */
  function withLine(sink: string, line: Partial<NonNullable<RegionOptions['line']>> = {}) {
    const path = join(temporaryFolder(), 'region');
    const { model, before } = counted();
    const picture = model.picture();
    const text = `${model.line(picture, before).join('1700000000000')}\n`;
    model.holders[0]!.bump('hits', 100n);
    const { dev, ino } = statSync(sink, { bigint: true });
    const record = { picture, device: dev, inode: ino, isRegularFile: true, offset: 0n, bytes: BigInt(text.length), ...line };
    writeRegion(path, model, before, { line: record, sinkPath: sink, lines: 4n });
    return { path, text };
  }
  function sinkFile(text = ''): string {
    const sink = join(temporaryFolder(), 'lines');
    writeFileSync(sink, text);
    return sink;
  }
  const pendingHits = async (path: string) => {
    const { pending, lineInFlight, linesFlushed } = await readRegion(path);
    return { hits: (pending['g'] as { hits: bigint }).hits, lineInFlight, linesFlushed };
  };
  const OUT = { hits: 100n, lineInFlight: 'out', linesFlushed: 5n };
  const PENDING = { hits: 102n, lineInFlight: 'pending', linesFlushed: 4n };

  test.each([
    { where: 'where it was to be', found: (line: string) => line, expected: OUT },
    { where: 'behind a newline', found: (line: string) => `\n${line}`, expected: OUT },
    { where: 'behind lines of others', found: (line: string) => `{"at":1}\n{"other":2}\n${line}`, expected: OUT },
    { where: 'with another time', found: (line: string) => line.replace('1700000000000', '1'), expected: OUT },
    { where: 'nowhere', found: () => '', expected: PENDING },
    { where: 'there in part', found: (line: string) => line.slice(0, -1), expected: PENDING },
    { where: 'there with other numbers', found: (line: string) => line.replace('"hits":2', '"hits":3'), expected: PENDING },
    { where: 'there with a time that is none', found: (line: string) => line.replace('1700000000000', '17e2'), expected: PENDING },
  ])('when it is $where in the sink, then it is $expected.lineInFlight', async ({ found, expected }) => {
    const sink = sinkFile();
    const { path, text } = withLine(sink);
    writeFileSync(sink, found(text));
    expect(await pendingHits(path)).toEqual(expected);
  });

  test('when the line stands before the place where it was to begin, then that was an earlier one', async () => {
    const sink = sinkFile();
    const { text } = withLine(sink);
    writeFileSync(sink, `${text}${'{}\n'.repeat(1000)}`);
    const { path } = withLine(sink, { offset: BigInt(text.length) });
    expect(await pendingHits(path)).toEqual(PENDING);
  });

  test('when the sink is another file by now, then nobody can tell, unless the kernel had taken it all', async () => {
    const sink = sinkFile();
    const { path, text } = withLine(sink, { inode: 1n });
    writeFileSync(sink, text);
    expect(await pendingHits(path)).toEqual({ ...PENDING, lineInFlight: 'unknown' });
    expect(await pendingHits(withLine(sink, { inode: 1n, sent: BigInt(text.length) }).path)).toEqual(OUT);
  });

  test.each([
    { what: 'of an earlier line', commit: (4n << 2n) | 1n },
    { what: 'of a line that is long to come', commit: (6n << 2n) | 1n },
    { what: 'of the bank that is flushed', commit: 5n << 2n },
    { what: 'of no bank', commit: (5n << 2n) | 3n },
  ])('when the record is $what, then there was none', async ({ commit }) => {
    const sink = sinkFile();
    const { path, text } = withLine(sink);
    writeFileSync(sink, text);
    const bytes = readFileSync(path);
    bytes.writeBigUInt64LE(commit, 184);
    writeFileSync(path, bytes);
    expect(await pendingHits(path)).toEqual({ ...PENDING, lineInFlight: undefined });
  });

  test('when it went to a pipe, then it is out if all of it was taken', async () => {
    const sink = sinkFile();
    const { text } = withLine(sink);
    const bytes = BigInt(text.length);
    expect(await pendingHits(withLine(sink, { isRegularFile: false, sent: bytes }).path)).toEqual(OUT);
    expect(await pendingHits(withLine(sink, { isRegularFile: false, sent: bytes - 1n }).path)).toEqual({
      ...PENDING,
      lineInFlight: 'unknown',
    });
  });
});

describe('given a path that is no region of ours', () => {
  test('when nothing is there, then the error names it, with the cause', async () => {
    expect(await refused('/nowhere/region')).toMatchObject({
      name: 'MetricsError',
      code: 'ERR_METRICS_REGION',
      message: expect.stringContaining("'/nowhere/region'"),
      cause: expect.objectContaining({ code: 'ENOENT' }),
    });
  });

  test('when it is a link, a folder, a device or a pipe, then it is refused, and nothing waits', async () => {
    const path = regionFile();
    const folder = temporaryFolder();
    symlinkSync(path, join(folder, 'link'));
    mkdirSync(join(folder, 'folder'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect((await refused(join(folder, 'link')))?.message).toContain('symbolic link');
    for (const other of [join(folder, 'folder'), join(folder, 'pipe'), '/dev/zero']) {
      expect((await refused(other))?.message, other).toContain('not a regular file');
    }
    linkSync(path, join(folder, 'name'));
    expect(await refused(join(folder, 'name'))).toBeUndefined();
  });

  test('when it is an open file under /proc, then it is read, also without a name', async () => {
    const file = await open(regionFile(), 'r');
    expect((await readRegion(`/proc/${process.pid}/fd/${file.fd}`)).pid).toBe(4242);
    await file.close();
    const zero = await open('/dev/zero', 'r');
    expect((await refused(`/proc/self/fd/${zero.fd}`))?.message).toContain('not a regular file');
    await zero.close();
  });

  test.runIf(process.getuid!() === 0)('when it is another user’s, then only root reads it', async () => {
    const path = regionFile();
    chmodSync(dirname(path), 0o755);
    chmodSync(path, 0o644);
    chownSync(path, 4321, 4321);
    expect(await refused(path)).toBeUndefined();
    process.seteuid!(1234);
    try {
      expect((await refused(path))?.message).toContain('it belongs to user 4321, and this is user 1234');
    } finally {
      process.seteuid!(0);
    }
  });

  test('when the path is none, then the error says so', async () => {
    await expect(readRegion(3 as never)).rejects.toThrow(TypeError);
    await expect(readRegion('')).rejects.toThrow(RangeError);
    await expect(readRegion('a\0b')).rejects.toThrow(RangeError);
  });
});

describe('given a damaged region', () => {
  const u32 = (offset: number, value: number) => (bytes: Buffer) => void bytes.writeUInt32LE(value, offset);
  const u64 = (offset: number, value: bigint) => (bytes: Buffer) => void bytes.writeBigUInt64LE(value, offset);
  const entry = (bytes: Buffer) => Number(bytes.readBigUInt64LE(56)) + 3 * 4096;
  test.each<{ what: string; harm: (bytes: Buffer) => void; says: string }>([
    { what: 'another magic', harm: u32(0, 7), says: 'it is no region' },
    { what: 'a later version', harm: u32(8, 3), says: 'its format is version 3, and this reader knows 1 to 2' },
    { what: 'the other byte order', harm: u32(12, 0x04030201), says: 'other byte order' },
    { what: 'no byte order', harm: u32(12, 7), says: 'byteOrder is 7' },
    { what: 'odd granules', harm: u32(16, 5000), says: 'granuleBytes is 5000' },
    { what: 'small granules', harm: u32(16, 512), says: 'granuleBytes is 512' },
    { what: 'huge granules', harm: u32(16, 2 ** 31), says: 'granuleBytes is 2147483648' },
    { what: 'more shards', harm: u32(20, 129), says: 'shards is 129' },
    { what: 'more banks', harm: u32(24, 4), says: 'banks is 4' },
    { what: 'more of a directory', harm: u32(28, 35), says: 'directoryRows is 35' },
    { what: 'no fingerprint', harm: u64(32, 0n), says: 'schemaFingerprint is 0' },
    { what: 'the fingerprint of another schema', harm: u64(32, 1n), says: 'its schema is not the one' },
    { what: 'a document in the header', harm: u64(40, 0n), says: 'documentOffset is 0' },
    { what: 'a document far away', harm: u64(40, 2n ** 40n), says: 'chunksOffset is' },
    { what: 'a huge document', harm: u64(48, 2n ** 63n), says: 'documentBytes is 9223372036854775808' },
    { what: 'chunks in the document', harm: u64(56, 4096n), says: 'chunksOffset is 4096' },
    { what: 'chunks far away', harm: u64(56, 2n ** 62n), says: 'chunksOffset is 4611686018427387904' },
    { what: 'chunks behind its end', harm: u64(56, 2n ** 40n), says: 'it is cut short' },
    { what: 'no process', harm: u32(64, 0), says: 'processId is 0' },
    { what: 'no state', harm: u32(68, 0), says: 'state is 0' },
    { what: 'an unknown state', harm: u32(68, 6), says: 'state is 6' },
    { what: 'no bank', harm: u64(128, 3n), says: 'commit is 3' },
    { what: 'too many cells', harm: u32(136, 2 ** 32 - 1), says: 'cellsUsed is 4294967295' },
    { what: 'many cells', harm: u32(136, 2 ** 21), says: 'it is cut short' },
    { what: 'too few cells', harm: u32(136, 1), says: 'the schema alone has 5 cells' },
    { what: 'too many shards', harm: u32(140, 129), says: 'shardsUsed is 129' },
    { what: 'too many devices', harm: u32(144, 2 ** 31), says: 'devicesUsed is 2147483648' },
    { what: 'more devices than there are', harm: u32(144, 2), says: 'entry 1 of its directory is damaged' },
    { what: 'a degree of degradation', harm: u32(148, 2), says: 'degraded is 2' },
    { what: 'a device of no group', harm: (bytes) => u32(entry(bytes), 1)(bytes), says: 'there is no group 1' },
    { what: "a device in the schema's cells", harm: (bytes) => u32(entry(bytes) + 4, 4)(bytes), says: "cell 4 is another's" },
    { what: 'a device of no state', harm: (bytes) => u32(entry(bytes) + 8, 7)(bytes), says: 'state is 7' },
    { what: 'a device without an id', harm: (bytes) => u32(entry(bytes) + 12, 0)(bytes), says: 'idBytes is 0' },
    { what: 'a device with a long id', harm: (bytes) => u32(entry(bytes) + 12, 256)(bytes), says: 'idBytes is 256' },
    { what: 'a device with NUL in its id', harm: (bytes) => u32(entry(bytes) + 12, 2)(bytes), says: 'its id is no UTF-8' },
    { what: 'a device whose id is no text', harm: (bytes) => void bytes.writeUInt8(0xff, entry(bytes) + 16), says: 'its id is no UTF-8' },
  ])('when it has $what, then the error names it', async ({ harm, says }) => {
    const path = regionFile();
    const bytes = readFileSync(path);
    harm(bytes);
    writeFileSync(path, bytes);
    const error = await refused(path);
    expect(error).toMatchObject({ name: 'MetricsError', code: 'ERR_METRICS_REGION' });
    expect(error?.message).toContain(`Region file '${path}'`);
    expect(error?.message).toContain(says);
  });

  test('when it is cut anywhere, then it is refused, but not when memory was lost under its writer', async () => {
    const whole = statSync(regionFile()).size;
    for (const bytes of [0, 7, 8, 100, 2559, 2560, 4096, 4100, 8192, whole - 4096, whole - 1]) {
      const path = regionFile();
      truncateSync(path, bytes);
      expect((await refused(path))?.message, `${bytes}`).toMatch(/cut short|no region/);
    }
    const path = regionFile({ degraded: true });
    truncateSync(path, whole - 4096);
    expect((await readRegion(path)).degraded).toBe(true);
  });

  test('when a signal is none, then it is refused', async () => {
    const crash = { signal: 4321, code: 0, address: 0n, threadId: 1, ns: 0n };
    expect((await refused(regionFile({ state: 3, crash })))?.message).toContain('there is no signal 4321');
  });
});

describe('given the document of a store', () => {
  const schema = here.defineSchema({
    at: here.utcTimestampMs(),
    g: here.group({
      a: here.inc('a "doc"', { unit: 'bytes', onSignal: 'SIGTERM' }),
      b: here.store('b', { startTime: 'wall', onPanic: true }),
      c: here.latency(''),
    }),
    d: here.perDevice({ low: here.store('low', { aggregate: 'min' }) }, { aggregate: false, latencyAggregate: 'zero' }),
  });

  test('when it is read again, then it is the same store', () => {
    const identity = { id: 'é\u{1f600}', properties: { ['__proto__']: 'x', 10: 'y' } };
    const again = documentFrom(documentOf('vm0', schema, identity));
    expect(again).toEqual({ name: 'vm0', schema, identity });
    expect(Object.keys(again.schema.shape)).toEqual(['at', 'g', 'd']);
    expect(here.schemaOf(again.schema)).toBe(again.schema);
    expect(documentFrom(documentOf('vm0', schema, {}))).toEqual({ name: 'vm0', schema, identity: {} });
  });

  test.each([
    { text: '{"name":', says: 'is not JSON' },
    { text: '[]', says: 'the document must be an object' },
    {
      text: '{"name":"x","schema":{"g":{"kind":"grup"}}}',
      says: "schema.g.kind must be 'utcTimestampMs', 'group' or 'perDevice'; it is 'grup'",
    },
    { text: '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"kind":"sum","doc":""}}}}}', says: 'schema.g.fields.a is no metric' },
    {
      text: '{"name":"x","schema":{"g":{"kind":"group","fields":{"a":{"kind":"inc"}}}}}',
      says: 'schema.g.fields.a: inc(): doc must be a string',
    },
    { text: '{"name":"x","schema":{"g":{"kind":"group","fields":{},"x":1}}}', says: "schema.g has 'x', which this version does not know" },
    { text: '{"name":"x","schema":{"g":{"kind":"group","fields":{}}}}', says: 'g: must not be empty' },
    {
      text: '{"name":"x","schema":{"__proto__":{"kind":"group","fields":{"a":{"kind":"inc","doc":""}}}}}',
      says: '__proto__: is a reserved key',
    },
    { text: '{"name":"x","id":"y","schema":{"id":{"kind":"utcTimestampMs"}}}', says: "both a metric group and an option 'id'" },
    { text: '{"name":1,"schema":{"t":{"kind":"utcTimestampMs"}}}', says: 'name must be a string' },
  ])('when it is $text, then it is refused: $says', ({ text, says }) => {
    expect(() => documentFrom(text)).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_REGION', message: expect.stringContaining(says) }),
    );
  });
});

describe('given a file that claims as much as it can', () => {
  const u32 = (bytes: Buffer, at: number, ...values: number[]) => values.forEach((value, i) => void bytes.writeUInt32LE(value, at + 4 * i));

  /** A group of devices with `of`, and as many entries of them as `devices`; the rest of the file is a hole. */
  async function claiming(of: Fields, options: { cells: number; devices: number; removed: boolean; aggregate: boolean; id?: string }) {
    const path = join(temporaryFolder(), 'region');
    const model = new Model({ d: perDevice(of, { aggregate: options.aggregate }) }, {});
    // The line in flight makes it look at a second bank, and make a line of it.
    const bytes = regionBytes(model, NOTHING, { shards: 128, line: { picture: NOTHING, isRegularFile: true }, sinkPath: '/dev/null' });
    u32(bytes, 136, options.cells, 128, options.devices);
    const chunks = Number(bytes.readBigUInt64LE(56));
    const file = await open(path, 'w', 0o600);
    await file.write(bytes.subarray(0, chunks), 0, chunks, 0);
    await file.truncate(chunks + Math.ceil(options.cells / 512) * 165 * 4096);
    const id = Buffer.from(options.id ?? 'x');
    for (let first = 0; first < options.devices; first += 512) {
      const count = Math.min(512, options.devices - first);
      const entries = Buffer.alloc(count * 272);
      for (let i = 0; i < count; i++) {
        u32(entries, i * 272, 0, first + i, options.removed ? 1 : 0, id.length);
        id.copy(entries, i * 272 + 16);
        entries.write(`${first + i}`, i * 272 + 16);
      }
      await file.write(entries, 0, entries.length, chunks + ((first / 512) * 165 + 3) * 4096);
    }
    await file.close();
    return path;
  }
  const one = { n: inc('n') };

  test.each([
    { what: 'two million cells', of: one, cells: 2 ** 21, devices: 0, removed: false, aggregate: true, says: '14 characters' },
    { what: 'a million removed devices', of: one, cells: 2 ** 20, devices: 2 ** 20, removed: true, aggregate: true, says: '14 characters' },
    {
      what: 'a hundred thousand devices',
      of: one,
      cells: 2 ** 17,
      devices: 1e5,
      removed: false,
      aggregate: true,
      says: 'ERR_METRICS_REGION',
    },
    {
      what: 'as many without an aggregate',
      of: one,
      cells: 2 ** 17,
      devices: 1e5,
      removed: true,
      aggregate: false,
      says: '3 characters',
    },
    {
      what: 'long names',
      of: one,
      cells: 2 ** 14,
      devices: 16_000,
      removed: false,
      aggregate: true,
      id: '\u0001'.repeat(255),
      says: '24343564 characters', // as a writer can make it
      mostMebibytes: 256,
    },
    {
      what: 'a line of gigabytes',
      of: { ['n'.repeat(4e5)]: inc('') },
      cells: 2 ** 14,
      devices: 16_000,
      removed: false,
      aggregate: true,
      says: 'ERR_METRICS_REGION',
    },
    {
      what: 'as many metrics as a document has room for',
      of: Object.fromEntries(Array.from({ length: 14_500 }, (_, i) => [`a${i.toString(36)}`, inc('')])),
      cells: 2 ** 16,
      devices: 2,
      removed: false,
      aggregate: true,
      says: 'ERR_METRICS_REGION', // since their cells overlap
    },
  ])('when it claims $what, then it is read or refused in the memory that it is worth, and it ends', async (one) => {
    const { of, says, mostMebibytes = 64, ...options }: typeof one & { mostMebibytes?: number } = one;
    const path = await claiming(of, options);
    // The young generation, three semi-spaces, within what is left: else it grows with how late the collector comes.
    const execArgv = ['--expose-gc', '--single-threaded-gc', '--max-semi-space-size=4', `--max-old-space-size=${mostMebibytes - 16}`];
    const { code, stdout, stderr } = await runChild('read.mjs', [path], { execArgv });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { said, mebibytes } = JSON.parse(stdout) as { said: string; mebibytes: number };
    expect(said).toBe(says);
    expect(mebibytes, 'MiB').toBeLessThan(mostMebibytes);
  });
});
