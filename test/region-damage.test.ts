// readRegion() gives a clear error or a reading, and needs little memory, for a file that is not a region, a damaged
// region, and a file that claims the largest sizes.

import { chmodSync, chownSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Fields, inc, perDevice, readRegion } from 'vmm-metrics';

import { readBothWays } from './helpers/both-readers.ts';
import { runChild } from './helpers/children.ts';
import { refused, regionFile } from './helpers/counted-region.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { regionBytes } from './helpers/region-writer.ts';
import { makeFifo } from './helpers/sinks.ts';
import { temporaryFolder } from './helpers/workplace.ts';

describe('given a path that may not name a region', () => {
  test('when the path does not exist, then the error names the path and the cause', async () => {
    expect(await refused('/nowhere/region')).toMatchObject({
      name: 'MetricsError',
      code: 'ERR_METRICS_REGION',
      message: expect.stringContaining("'/nowhere/region'"),
      cause: expect.objectContaining({ code: 'ENOENT' }),
    });
  });

  test('when it is a link, a folder, a device or a pipe, then it is refused without waiting', async () => {
    const path = regionFile();
    const folder = temporaryFolder();
    symlinkSync(path, join(folder, 'link'));
    mkdirSync(join(folder, 'folder'));
    makeFifo(join(folder, 'pipe'));
    expect((await refused(join(folder, 'link')))?.message).toContain('symbolic link');
    for (const other of [join(folder, 'folder'), join(folder, 'pipe'), '/dev/zero']) {
      expect((await refused(other))?.message, other).toContain('not a regular file');
    }
    linkSync(path, join(folder, 'name'));
    expect(await refused(join(folder, 'name'))).toBeUndefined();
  });

  test('when it is an open file under /proc, then it is read, even if the file has no name', async () => {
    const file = await open(regionFile(), 'r');
    expect((await readBothWays(`/proc/${process.pid}/fd/${file.fd}`)).pid).toBe(4242);
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
      expect((await refused(path))?.message).toContain('it belongs to user 4321, but this process runs as user 1234');
    } finally {
      process.seteuid!(0);
    }
  });

  test('when the path is invalid, then the error says so', async () => {
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
    { what: 'another magic', harm: u32(0, 7), says: 'it is not a region file (bad magic)' },
    { what: 'a later version', harm: u32(8, 4), says: 'its format has version 4, but this reader knows only versions 1 to 3' },
    { what: 'the other byte order', harm: u32(12, 0x04030201), says: 'other byte order' },
    { what: 'no byte order', harm: u32(12, 7), says: 'byteOrder is 7' },
    { what: 'odd granules', harm: u32(16, 5000), says: 'granuleBytes is 5000' },
    { what: 'small granules', harm: u32(16, 512), says: 'granuleBytes is 512' },
    { what: 'huge granules', harm: u32(16, 2 ** 31), says: 'granuleBytes is 2147483648' },
    { what: 'more shards', harm: u32(20, 129), says: 'shards is 129' },
    { what: 'more banks', harm: u32(24, 4), says: 'banks is 4' },
    { what: 'more of a directory', harm: u32(28, 35), says: 'directoryRows is 35' },
    { what: 'no fingerprint', harm: u64(32, 0n), says: 'schemaFingerprint is 0' },
    { what: 'the fingerprint of another schema', harm: u64(32, 1n), says: 'its schema does not match its fingerprint' },
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
    { what: 'a device of no group', harm: (bytes) => u32(entry(bytes), 1)(bytes), says: 'group 1 does not exist' },
    { what: "a device in the schema's cells", harm: (bytes) => u32(entry(bytes) + 4, 4)(bytes), says: 'cell 4 is already in use' },
    { what: 'a device of no state', harm: (bytes) => u32(entry(bytes) + 8, 7)(bytes), says: 'state is 7' },
    { what: 'a device without an id', harm: (bytes) => u32(entry(bytes) + 12, 0)(bytes), says: 'idBytes is 0' },
    { what: 'a device with a long id', harm: (bytes) => u32(entry(bytes) + 12, 256)(bytes), says: 'idBytes is 256' },
    { what: 'a device with NUL in its id', harm: (bytes) => u32(entry(bytes) + 12, 2)(bytes), says: 'its id is not UTF-8' },
    { what: 'a device whose id is no text', harm: (bytes) => void bytes.writeUInt8(0xff, entry(bytes) + 16), says: 'its id is not UTF-8' },
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

  test('when it is cut at any length, then it is refused, unless its writer lost memory', async () => {
    const whole = statSync(regionFile()).size;
    for (const bytes of [0, 7, 8, 100, 2559, 2560, 4096, 4100, 8192, whole - 4096, whole - 1]) {
      const path = regionFile();
      truncateSync(path, bytes);
      expect((await refused(path))?.message, `${bytes}`).toMatch(/cut short|not a region file/);
    }
    const path = regionFile({ degraded: true });
    truncateSync(path, whole - 4096);
    expect((await readBothWays(path)).degraded).toBe(true);
  });

  test('when the number of its signal does not exist, then it is refused', async () => {
    const crash = { signal: 4321, code: 0, address: 0n, threadId: 1, ns: 0n };
    expect((await refused(regionFile({ state: 3, crash })))?.message).toContain('there is no signal 4321');
  });
});

describe('given a file that claims the largest sizes', () => {
  const u32 = (bytes: Buffer, at: number, ...values: number[]) => values.forEach((value, i) => void bytes.writeUInt32LE(value, at + 4 * i));

  /**
   * A file with one group of devices, which have the fields `of` and take `devices` entries. The rest of the file is a
   * hole.
   */
  async function claiming(of: Fields, options: { cells: number; devices: number; removed: boolean; aggregate: boolean; id?: string }) {
    const path = join(temporaryFolder(), 'region');
    const model = new Model({ d: perDevice(of, { aggregate: options.aggregate }) }, {});
    // The line in flight makes the reader read a second bank and make a line of it.
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
      says: '24343564 characters', // a size that a writer can make
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
      says: 'ERR_METRICS_REGION', // because their cells overlap
    },
  ])('when it claims $what, then it is read or refused within a limit of memory', async (one) => {
    const { of, says, mostMebibytes = 64, ...options }: typeof one & { mostMebibytes?: number } = one;
    const path = await claiming(of, options);
    // The three semi-spaces of the young generation fit into the rest. Otherwise memory would depend on when the
    // collector runs.
    const execArgv = ['--expose-gc', '--single-threaded-gc', '--max-semi-space-size=4', `--max-old-space-size=${mostMebibytes - 16}`];
    const { code, stdout, stderr } = await runChild('read.mjs', [path], { execArgv });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { said, mebibytes } = JSON.parse(stdout) as { said: string; mebibytes: number };
    expect(said).toBe(says);
    expect(mebibytes, 'MiB').toBeLessThan(mostMebibytes);
  });
});
