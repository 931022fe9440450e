// The region as a file: which process owns it, what happens to an earlier file, and what happens to a process whose
// file is damaged while it runs.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { defineSchema, group, inc, Metrics, type MetricsError, perDevice, readRegion } from 'vmm-metrics';

import { FIRST_SHARD_ROW, HeaderOffset, RegionStateNumber } from '../lib/region/format.ts';
import { node, runChild } from './helpers/children.ts';
import { makeFifo } from './helpers/sinks.ts';
import { at, closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  g: group({ n: inc('n'), trouble: inc('trouble', { onError: true }) }),
  d: perDevice({ n: inc('n'), wide: inc('wide') }),
});

const open = (file: string, options: object = {}) => closing(Metrics.open(schema, { name: freshName(), file, ...options }));

/** The MetricsError that is thrown. */
function thrownBy(action: () => unknown): MetricsError {
  try {
    action();
  } catch (error) {
    return error as MetricsError;
  }
  throw new Error('nothing was thrown');
}

const stateOf = (file: string) => readFileSync(file).readUInt32LE(HeaderOffset.state);
const child = (plan: { file: string; steps: readonly string[]; [option: string]: unknown }) =>
  runChild('region.mjs', [JSON.stringify(plan)]);

const fixture = fileURLToPath(new URL('./fixtures/region.mjs', import.meta.url));
/** Runs a process as PID 1 of its own PID namespace. The process ends with this one. */
const CONTAINER = ['unshare', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];

/** A process that has the file open until `kill` ends it. */
async function holder(file: string, more: object = {}, steps = ['open', 'print', 'wait'], launch: readonly string[] = []) {
  const [command, ...args] = [...launch, node, fixture, JSON.stringify({ file, steps, ...more })];
  const process = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => process.once('exit', resolve));
  const first = String(await new Promise((resolve) => process.stdout.once('data', resolve)));
  const kill = (signal: NodeJS.Signals) => {
    process.kill(signal);
    return exited;
  };
  return { pid: process.pid!, first, kill };
}

describe('given a path that does not exist', () => {
  test('when it is opened, then a file of mode 0600 is made whatever the umask, and no other file is left beside it', async () => {
    for (const umask of [0, 0o777]) {
      const folder = temporaryFolder();
      await child({ file: `${folder}/r`, umask, steps: ['open', 'kill'] });
      expect(statSync(`${folder}/r`).mode & 0o7777).toBe(0o600);
      expect(readdirSync(folder)).toEqual(['r']);
      expect(readFileSync(`${folder}/r`, 'latin1').startsWith('VMTRICS1')).toBe(true);
    }
  });

  test('when its folder does not exist, then ERR_METRICS_REGION with the cause is thrown, and no store is open', () => {
    const name = freshName();
    const error = thrownBy(() => Metrics.open(schema, { name, file: `${temporaryFolder()}/none/r` }));
    expect(error).toMatchObject({ code: 'ERR_METRICS_REGION', cause: { code: 'ENOENT', syscall: 'open' } });
    expect(error.message).toContain('/none/r');
    closing(Metrics.open(defineSchema({ other: group({ n: inc('n') }) }), { name })); // the name is free
  });

  test('when the store is closed, then the file stays, says closed, and can be opened again, even while `native` is held', () => {
    const file = `${temporaryFolder()}/r`;
    const metrics = open(file);
    const external = metrics.native;
    expect(stateOf(file)).toBe(RegionStateNumber.running);
    metrics.close();
    expect(stateOf(file)).toBe(RegionStateNumber.closed);
    open(file);
    expect(stateOf(file)).toBe(RegionStateNumber.running);
    expect(stateOf(`${file}.previous`)).toBe(RegionStateNumber.closed);
    expect(external).toBeDefined();
  });

  test.each([
    ['exit', 'exited'],
    ['close', 'closed'],
  ] as const)('when the process ends in order by %s, then the file says %s', async (end, state) => {
    const file = `${temporaryFolder()}/r`;
    expect(await child({ file, steps: ['open', end] })).toMatchObject({ code: 0 });
    expect(stateOf(file)).toBe(RegionStateNumber[state]);
  });
});

describe('given the file of a dead process', () => {
  const dead = async (end = 'kill') => {
    const folder = temporaryFolder();
    const file = `${folder}/r`;
    const plan = { file, steps: ['open', end], ...(end === 'close' && { sink: `${folder}/lines` }) };
    expect(await child(plan)).toMatchObject(end === 'close' ? { code: 0 } : { signal: 'SIGKILL' });
    rmSync(`${folder}/lines`, { force: true });
    return { folder, file, inode: statSync(file).ino };
  };

  test('when it is opened again and again with nothing pending, then one generation is kept as .previous', async () => {
    const { folder, file, inode } = await dead('close');
    open(file).close();
    expect(statSync(`${file}.previous`).ino).toBe(inode);
    const second = statSync(file).ino;
    open(file);
    expect(statSync(`${file}.previous`).ino).toBe(second);
    expect(readdirSync(folder).sort()).toEqual(['r', 'r.previous']);
  });

  test('when it is opened with previous: discard, then it is removed', async () => {
    const { folder, file, inode } = await dead();
    open(file, { previous: 'discard' });
    expect(statSync(file).ino).not.toBe(inode);
    expect(readdirSync(folder)).toEqual(['r']);
  });

  test('when it is opened with previous: refuse, then ERR_METRICS_REGION is thrown, and the file is untouched', async () => {
    const { folder, file } = await dead();
    const before = readFileSync(file);
    expect(thrownBy(() => open(file, { previous: 'refuse' }))).toMatchObject({ code: 'ERR_METRICS_REGION' });
    expect(readFileSync(file)).toEqual(before);
    expect(readdirSync(folder)).toEqual(['r']);
  });

  test('when .previous cannot be replaced, then an error is thrown, and the file is untouched', async () => {
    const { file, inode } = await dead();
    mkdirSync(`${file}.previous`);
    expect(thrownBy(() => open(file))).toMatchObject({ code: 'ERR_METRICS_REGION', cause: { code: 'EISDIR' } });
    expect(statSync(file).ino).toBe(inode);
  });
});

describe('given the file of a living process', () => {
  test('when it is opened with any value of previous, then ERR_METRICS_REGION_BUSY names the process, and the file is untouched', async () => {
    const file = `${temporaryFolder()}/r`;
    const other = await holder(file);
    const inode = statSync(file).ino;
    for (const previous of ['keep', 'discard', 'refuse']) {
      const error = thrownBy(() => open(file, { previous }));
      expect(error.code).toBe('ERR_METRICS_REGION_BUSY');
      expect(error.message).toContain(`process ${other.pid}`);
    }
    expect(statSync(file).ino).toBe(inode);
    expect(existsSync(`${file}.previous`)).toBe(false);
    await other.kill('SIGKILL');
    open(file);
    expect(statSync(`${file}.previous`).ino).toBe(inode);
  });

  test('when the same process opens it for a store of another name, then the file is busy too', () => {
    const file = `${temporaryFolder()}/r`;
    open(file);
    expect(thrownBy(() => open(file)).message).toContain(`process ${process.pid}`);
  });

  test('when a forked child outlives the process, then the file is free as soon as the process is dead', async () => {
    const file = `${temporaryFolder()}/r`;
    const other = await holder(file, { sleepMs: 20_000 }, ['open', 'fork', 'wait']);
    await other.kill('SIGKILL');
    const sleeper = Number(other.first);
    try {
      process.kill(sleeper, 0); // the sleeper exists
      open(file);
    } finally {
      process.kill(sleeper, 'SIGKILL');
    }
  });
});

describe('given process numbers that do not identify a process', () => {
  test('when a living process has the number of the killed process, then the file still says killed, and can be opened', async () => {
    const file = `${temporaryFolder()}/r`;
    await child({ file, steps: ['open', 'kill'] });
    const number = Buffer.alloc(4);
    number.writeInt32LE(process.pid);
    const fd = openSync(file, 'r+');
    writeSync(fd, number, 0, 4, HeaderOffset.processId);
    closeSync(fd);
    expect(await readRegion(file)).toMatchObject({ pid: process.pid, state: 'killed' });
    open(file);
    expect(await readRegion(file)).toMatchObject({ pid: process.pid, state: 'running' });
  });

  const canUnshare = spawnSync(CONTAINER[0]!, [...CONTAINER.slice(1), 'true']).status === 0;
  if (!canUnshare) console.log('no PID namespace can be made here: containers with the same process numbers are not tested');
  test.runIf(canUnshare)('when two containers with the same process numbers share a folder, then their files are told apart', async () => {
    const file = `${temporaryFolder()}/r`;
    const first = await holder(file, {}, undefined, CONTAINER);
    expect(await readRegion(file)).toMatchObject({ pid: 1, state: 'running' });
    const second = await holder(`${file}2`, { taken: file }, ['open', 'taken', 'wait'], CONTAINER);
    expect(second.first).toBe('ERR_METRICS_REGION_BUSY\n'); // although it is process 1 itself
    await first.kill('SIGKILL');
    await vi.waitUntil(async () => (await readRegion(file)).state !== 'running', 5000);
    expect(await readRegion(file)).toMatchObject({ pid: 1, state: 'killed' });
    expect(await readRegion(`${file}2`)).toMatchObject({ pid: 1, state: 'running' });
    await second.kill('SIGKILL');
  });
});

describe('given something else at the path', () => {
  const cases: readonly (readonly [what: string, make: (file: string) => void, reason: RegExp])[] = [
    ['a text file', (file) => writeFileSync(file, 'mine\n'), /: it is not a region file$/],
    ['an empty file', (file) => writeFileSync(file, ''), /: it is not a region file$/],
    ['a folder', (file) => mkdirSync(file), /: it is not a regular file$/],
    ['a named pipe', (file) => void makeFifo(file), /: it is not a regular file$/],
    ['a symbolic link to nothing', (file) => symlinkSync(`${file}.elsewhere`, file), /: it is a symbolic link$/],
    [
      'a symbolic link to a region',
      (file) => {
        Metrics.open(schema, { name: 'elsewhere', file: `${file}.elsewhere` }).close();
        symlinkSync(`${file}.elsewhere`, file);
      },
      /: it is a symbolic link$/,
    ],
  ];
  test.each(cases)('when it is %s, then ERR_METRICS_REGION says so, and nothing is changed', (_what, make, reason) => {
    const file = `${temporaryFolder()}/r`;
    make(file);
    const before = readdirSync(file.slice(0, -2)).sort();
    for (const previous of ['keep', 'discard', 'refuse']) {
      const error = thrownBy(() => open(file, { previous }));
      expect(error.code).toBe('ERR_METRICS_REGION');
      expect(error.message).toMatch(reason);
    }
    expect(readdirSync(file.slice(0, -2)).sort()).toEqual(before);
  });

  test.runIf(process.getuid?.() === 0)("when it is another user's region, then it is refused, even to root", () => {
    const file = `${temporaryFolder()}/r`;
    open(file).close();
    chownSync(file, 65534, 65534);
    expect(thrownBy(() => open(file)).message).toMatch(/: it belongs to another user$/);
  });

  test.runIf(process.getuid?.() !== 0)('when the folder is not writable, then EACCES is thrown', () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o500);
    expect(thrownBy(() => open(`${folder}/r`))).toMatchObject({ cause: { code: 'EACCES' } });
  });
});

describe('given the options of a file', () => {
  test('when another call opens the store with another file, then ERR_METRICS_LAYOUT_MISMATCH names the option', () => {
    const name = freshName();
    const folder = temporaryFolder();
    closing(Metrics.open(schema, { name, file: `${folder}/a` }));
    const error = thrownBy(() => Metrics.open(schema, { name, file: `${folder}/b` }));
    expect(error.code).toBe('ERR_METRICS_LAYOUT_MISMATCH');
    expect(error.message).toContain('option file');
    expect(existsSync(`${folder}/b`)).toBe(false);
    expect(Metrics.open(schema, { name, file: `${folder}/./a` })).toBe(Metrics.open(schema, { name, file: `${folder}/a` }));
  });

  test.each([
    [{ file: 7 }, TypeError, 'file'],
    [{ file: '' }, RangeError, 'file'],
    [{ file: 'a\0b' }, RangeError, 'NUL'],
    [{ file: '\ud800' }, RangeError, 'file'],
    [{ file: '/tmp/x', previous: 'forget' }, RangeError, "'forget'"],
    [{ file: '/tmp/x', previous: 1 }, TypeError, 'previous'],
    [{ flie: '/tmp/x' }, TypeError, "'flie'"],
  ])('when they are %o, then an error names the wrong option, and no file is made', (options, type, text) => {
    const error = thrownBy(() => Metrics.open(schema, { name: freshName(), ...options } as object));
    expect(error).toBeInstanceOf(type);
    expect(error.message).toContain(text);
    expect(existsSync('/tmp/x')).toBe(false);
  });
});

describe('given a description of a store that does not fit into a region', () => {
  const properties = { note: 'x'.repeat(1 << 20) };

  test('when the store has a file, then ERR_METRICS_SCHEMA names the sizes, and no file is made', () => {
    const folder = temporaryFolder();
    const error = thrownBy(() => open(`${folder}/r`, { properties }));
    expect(error.code).toBe('ERR_METRICS_SCHEMA');
    expect(error.message).toMatch(/take \d{7} bytes .* 524288$/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('when the store has no file, then it is opened', () => {
    closing(Metrics.open(schema, { name: freshName(), properties }));
  });
});

/** The size of a row: 4 KiB, or up to 64 KiB on arm64. */
const pageBytes = () => Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

describe('given a limit on the size of the file', () => {
  const limited = (blocks: number, steps: string[], file: string) =>
    runChild('region.mjs', [JSON.stringify({ file, steps })], { before: `ulimit -f ${blocks}` });

  test('when the region does not fit, then ERR_METRICS_NO_SPACE is thrown, with no signal and no file', async () => {
    const folder = temporaryFolder();
    const { code, signal, stderr } = await limited(8, ['open'], `${folder}/r`);
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toContain('ERR_METRICS_NO_SPACE');
    expect(stderr).toContain('EFBIG');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('when there is no room for a device, then ERR_METRICS_NO_SPACE is thrown, and the store keeps working', () => {
    const mounted = temporaryFolder();
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${75 * pageBytes()}`, 'none', mounted]);
    if (mount.status !== 0) return console.log('no small tmpfs can be mounted here: a full disk is not tested');
    try {
      const metrics = open(`${mounted}/r`);
      const metric = metrics.app.d.alloc('first').n;
      let made = 0;
      const error = thrownBy(() => {
        for (; ; made++) metrics.app.d.alloc(`d${made}`);
      });
      expect(error).toMatchObject({ code: 'ERR_METRICS_NO_SPACE', cause: { code: 'ENOSPC' } });
      expect(made).toBeGreaterThan(10);
      expect(metrics.app.d.ids()).toHaveLength(made + 1);
      metric.inc();
      metrics.init(`${temporaryFolder()}/lines`);
      expect(metrics.write()).toBe(true);
      expect(metrics.snapshot().d.aggregate.n).toBe(1n);
      metrics.close();
    } finally {
      spawnSync('umount', [mounted]);
    }
  });
});

describe('given a file that is cut short while the process uses it', () => {
  const lives = async (plan: { steps: string[]; [option: string]: unknown }) => {
    const folder = temporaryFolder();
    const [file, sink] = [`${folder}/r`, `${folder}/lines`];
    const death = await child({ file, sink, ...plan });
    return { ...death, lines: linesIn(sink).map((line) => [at(line, 'vcpu.exit_io_in'), at(line, 'logger.metrics_fails')]) };
  };

  test('when the host had a handler for SIGBUS, then the handler gets the faults of the host, and not those of the region', async () => {
    const { signal, stdout, lines } = await lives({ steps: ['reporter', 'open', 'write', 'truncate', 'add', 'write', 'bus'] });
    expect(signal).toBe('SIGBUS');
    expect(stdout).toBe('reported\n');
    expect(lines).toEqual([
      [5n, 0n],
      [3n, 1n],
    ]);
  });

  test('when no signal is captured, then another SIGBUS kills the process as before', async () => {
    const { signal, stdout } = await lives({ steps: ['open', 'bus'] });
    expect({ signal, stdout }).toEqual({ signal: 'SIGBUS', stdout: '' });
    expect((await lives({ steps: ['open', 'killBus', 'wait'] })).signal).toBe('SIGBUS');
    expect((await lives({ steps: ['ignoreBus', 'open', 'killBus', 'print', 'exit'] })).code).toBe(0);
  });

  test('when it keeps the flushed values and loses the counts, then a reader reports it as degraded, and no delta wraps', async () => {
    const folder = temporaryFolder();
    const file = `${folder}/r`;
    await child({ file, steps: ['open', 'kill'] });
    const chunksOffset = readFileSync(file).readUInt32LE(HeaderOffset.chunksOffset);
    const bytes = chunksOffset + FIRST_SHARD_ROW * pageBytes();
    await child({ file, sink: `${folder}/lines`, bytes, steps: ['open', 'write', 'truncate', 'add', 'kill'] });
    const reading = await readRegion(file);
    expect(reading).toMatchObject({ state: 'killed', degraded: true });
    expect(reading.pending['vcpu']).toMatchObject({ exit_io_in: 0n });
    expect(reading.line()).toContain('"exit_io_in":0,');
  });

  test('when it is removed, then nothing is lost and nothing is reported', async () => {
    const folder = temporaryFolder();
    const metrics = open(`${folder}/r`);
    metrics.init(`${folder}/lines`);
    unlinkSync(`${folder}/r`);
    metrics.app.g.n.add(2);
    metrics.write();
    expect(linesIn(`${folder}/lines`)).toEqual([{ g: { n: 2n, trouble: 0n }, d: { n: 0n, wide: 0n } }]);
  });

  test('when it is cut and made longer again, then the counts of all threads are still summed', () => {
    const folder = temporaryFolder();
    const metrics = open(`${folder}/r`);
    const size = statSync(`${folder}/r`).size;
    const device = metrics.app.d.alloc('a');
    for (let i = 0; i < 5; i++) {
      truncateSync(`${folder}/r`, 0);
      device.n.inc();
      expect(metrics.snapshot().d.devices['a']?.n).toBe(BigInt(i + 1)); // only the first cut has an effect
      truncateSync(`${folder}/r`, size);
      metrics.app.g.n.inc();
      device.wide.inc();
    }
    expect(device.n.count()).toBe(5n);
    expect(metrics.app.g.n.count()).toBeGreaterThan(0n);
  });
});

describe('given a region that loses its memory', () => {
  test('when durations are observed afterwards, then the extremes are those of the new observations', async () => {
    const { code, stdout } = await runChild('lost-extremes.mjs', [`${temporaryFolder()}/r`]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '5 5 5\n' });
  });
});
