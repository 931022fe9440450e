// The sinks of lines, and their failures. Each sink is real.

import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';

import { failureOf, writeFailure } from './helpers/errors.ts';
import { exits, misses, openStore, writeMany } from './helpers/exits.ts';
import { descriptor, runSinkChild } from './helpers/sinks.ts';
import { at, linesIn, linesOf, sumOf, temporaryFolder } from './helpers/workplace.ts';

describe('files', () => {
  test('given a path that does not exist, when a line is written, then the file is made with mode 0600', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.init(path);
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect(writeMany(metrics, 1)).toBe(0);
    expect(exits(linesIn(path))).toEqual([1]);
  });

  test('given a file of mode 0640, when lines are written, then it keeps its mode', () => {
    const path = `${temporaryFolder()}/lines`;
    writeFileSync(path, '');
    chmodSync(path, 0o640);
    const metrics = openStore();
    metrics.init(path);
    writeMany(metrics, 2);
    expect(statSync(path).mode & 0o7777).toBe(0o640);
  });

  test('given a file that is longer than the lines to come, when they are written, then they are appended', () => {
    const path = `${temporaryFolder()}/lines`;
    const before = '{"vcpu":{"exit_io_in":0}}\n'.repeat(10_000);
    writeFileSync(path, before);
    const metrics = openStore();
    metrics.init(path);
    writeMany(metrics, 2);
    const after = readFileSync(path, 'utf8');
    expect(after.startsWith(before)).toBe(true);
    expect(exits(linesOf(after.slice(before.length)))).toEqual([1, 1]);
  });

  test.each([
    { how: 'by path', destination: (path: string) => path },
    { how: 'as a descriptor that can be read', destination: (path: string) => descriptor(path, 'a+') },
    { how: 'as a descriptor that can only be written', destination: (path: string) => descriptor(path, 'a') },
  ])('given a file that ends in half a line, $how, when lines are written, then one newline is written first', ({ destination }) => {
    const path = `${temporaryFolder()}/lines`;
    writeFileSync(path, '{"half":');
    const metrics = openStore();
    metrics.init(destination(path));
    writeMany(metrics, 2);
    const [half, ...rest] = readFileSync(path, 'utf8').split('\n');
    expect(half).toBe('{"half":');
    expect(exits(linesOf(rest.join('\n')))).toEqual([1, 1]);
  });

  test('given a file that ends in half a line, when it is emptied before the first line, then the line is at its beginning', () => {
    const path = `${temporaryFolder()}/lines`;
    writeFileSync(path, '{"half":');
    const metrics = openStore();
    metrics.init(path);
    writeFileSync(path, '');
    writeMany(metrics, 2);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a file that is renamed between two lines, when the second line is written, then it is in a new file', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.init(path);
    writeMany(metrics, 2);
    renameSync(path, `${path}.1`);
    metrics.app.vcpu.exit_io_in.add(5);
    writeMany(metrics, 2);
    expect(exits(linesIn(`${path}.1`))).toEqual([1, 1]);
    expect(exits(linesIn(path))).toEqual([6, 1]);
    expect(statSync(path).mode & 0o7777).toBe(0o600);
  });

  test('given a file that other code renames and makes again, when a line is written, then it is in the new file', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.init(path);
    writeMany(metrics, 1);
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'half');
    writeMany(metrics, 1);
    const [half, ...rest] = readFileSync(path, 'utf8').split('\n');
    expect(half).toBe('half');
    expect(exits(linesOf(rest.join('\n')))).toEqual([1]);
  });

  test('given a file that is removed, when lines are written, then they are in a new file', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.init(path);
    writeMany(metrics, 1);
    rmSync(path);
    writeMany(metrics, 2);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a file that is emptied in place, when lines are written, then they start at its beginning', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = openStore();
    metrics.init(path);
    writeMany(metrics, 2);
    writeFileSync(path, '');
    writeMany(metrics, 2);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a folder that is removed, when lines are written, then they fail, and the first line after the folder is back has all deltas', () => {
    const folder = `${temporaryFolder()}/folder`;
    mkdirSync(folder);
    const metrics = openStore();
    metrics.init(`${folder}/lines`);
    writeMany(metrics, 1);
    rmSync(folder, { recursive: true });
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('ENOENT', 'open'));
    expect(writeMany(metrics, 2)).toBe(2);
    mkdirSync(folder);
    expect(writeMany(metrics, 2)).toBe(0);
    const lines = linesIn(`${folder}/lines`);
    expect(exits(lines)).toEqual([3, 1]);
    expect(misses(lines)).toBe(3n);
  });

  test('given a folder that a file replaces, when a line is written, then it fails, because nobody could read the line', () => {
    const folder = `${temporaryFolder()}/folder`;
    mkdirSync(folder);
    const metrics = openStore();
    metrics.init(`${folder}/lines`);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('ENOTDIR', 'open'));
  });

  test.each([
    { next: 'rotated', kept: '.old' },
    { next: 'emptied', kept: '' },
  ])('given a file at the limit on file sizes, when it is $next, then no delta is lost and the process survives', async ({
    next,
    kept,
  }) => {
    const path = `${temporaryFolder()}/lines`;
    const { code, signal, report } = await runSinkChild(`file-limit-then-${next}`, path, { wrap: 'ulimit -f 40; exec "$@"' });
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(report).toMatchObject({ failures: 2, lastCode: 'EFBIG', signals: [], wasOut: true });
    const after = linesIn(path);
    expect(after).toHaveLength(1);
    expect(misses(after)).toBe(2n);
    const whole = BigInt(report['count'] as string) - 3n;
    expect(at(after[0]!, 'vcpu.exit_io_in')).toBe(3n);
    if (kept === '') return;
    const before = readFileSync(path + kept, 'utf8');
    expect(before.endsWith('\n')).toBe(false); // the limit came in the middle of a line
    expect(sumOf(linesOf(before), 'vcpu.exit_io_in')).toBe(whole);
  });

  test.each([
    1, 8, 24, 200, 2000,
  ])('given a limit of %i blocks on file sizes, when a store gets many devices, then it has all of them', async (blocks) => {
    const { report } = await runSinkChild('devices', '/dev/null', { wrap: `ulimit -f ${blocks}; exec "$@"` });
    expect(report).toMatchObject({ devices: 100, failures: 0, signals: [] });
  });
});

describe('symlinks', () => {
  test('given a symlink to a file, when lines are written, then they are in the file and the symlink stays', () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/file`, '');
    symlinkSync('file', `${folder}/link`);
    const metrics = openStore();
    metrics.init(`${folder}/link`);
    writeMany(metrics, 2);
    expect(lstatSync(`${folder}/link`).isSymbolicLink()).toBe(true);
    expect(exits(linesIn(`${folder}/file`))).toEqual([1, 1]);
  });

  test('given a symlink to a path that does not exist, when a line is written, then the file is made', () => {
    const folder = temporaryFolder();
    symlinkSync('file', `${folder}/link`);
    const metrics = openStore();
    metrics.init(`${folder}/link`);
    writeMany(metrics, 1);
    expect(exits(linesIn(`${folder}/file`))).toEqual([1]);
  });

  test('given a symlink whose target changes, even to a full device, when lines are written, then they go to the current target', () => {
    const folder = temporaryFolder();
    const point = (target: string) => {
      symlinkSync(target, `${folder}/new`);
      renameSync(`${folder}/new`, `${folder}/link`);
    };
    point('first');
    const metrics = openStore();
    metrics.init(`${folder}/link`);
    expect(writeMany(metrics, 1)).toBe(0);
    point('/dev/full');
    expect(writeMany(metrics, 2)).toBe(2);
    point('second');
    expect(writeMany(metrics, 1)).toBe(0);
    expect(exits(linesIn(`${folder}/first`))).toEqual([1]);
    expect(exits(linesIn(`${folder}/second`))).toEqual([3]);
  });

  test.each([
    { what: 'a pipe', wrap: '"$@" | cat >"$LINES"' },
    { what: 'a file', wrap: 'exec "$@" >"$LINES"' },
    { what: 'a file to append to', wrap: 'echo "{}" >"$LINES"; exec "$@" >>"$LINES"', before: [{}] },
  ])('given /dev/stdout, when it is $what, then it gets the lines', async ({ wrap, before = [] }) => {
    const path = `${temporaryFolder()}/lines`;
    const { code } = await runSinkChild('lines', '/dev/stdout', { wrap: `LINES='${path}'; ${wrap}` });
    expect(code).toBe(0);
    const lines = linesIn(path);
    expect(lines.slice(0, before.length)).toEqual(before);
    expect(exits(lines.slice(before.length))).toEqual([1, 1, 1]);
  });
});

describe('a full device', () => {
  test.each([
    { how: 'by path', destination: () => '/dev/full' },
    { how: 'as a descriptor', destination: () => descriptor('/dev/full', 'w') },
  ])('given a full device $how, when write() is called, then each write fails and is counted, and nothing is lost', ({ destination }) => {
    const metrics = openStore();
    metrics.init(destination());
    for (let i = 1; i <= 3; i++) {
      metrics.app.vcpu.exit_io_in.inc();
      expect(failureOf(() => metrics.write())).toEqual(writeFailure('ENOSPC'));
      expect(metrics.app.vcpu.exit_io_in.fetchDiff()).toBe(BigInt(i));
      expect(metrics.app.logger.missed_metrics_count.count()).toBe(BigInt(i));
    }
  });
});

describe('destinations that cannot be opened', () => {
  const cases: { what: string; destination: (folder: string) => string | number; cause: string }[] = [
    { what: 'a folder', destination: (folder) => folder, cause: 'EISDIR' },
    { what: 'a file in a folder that is not there', destination: (folder) => `${folder}/none/lines`, cause: 'ENOENT' },
    { what: 'a file below a file', destination: (folder) => `${folder}/file/lines`, cause: 'ENOTDIR' },
    { what: 'a name that is too long', destination: (folder) => `${folder}/${'x'.repeat(256)}`, cause: 'ENAMETOOLONG' },
    { what: 'a path that is too long', destination: (folder) => `${folder}/${'x/'.repeat(3000)}`, cause: 'ENAMETOOLONG' },
    { what: 'a ring of symlinks', destination: (folder) => `${folder}/ring`, cause: 'ELOOP' },
    { what: 'a descriptor for reading', destination: (folder) => descriptor(`${folder}/file`, 'r'), cause: 'EBADF' },
    { what: 'a descriptor of a folder', destination: (folder) => descriptor(folder, 'r'), cause: 'EBADF' },
    { what: 'a descriptor that is not open', destination: () => 987_654, cause: 'EBADF' },
  ];

  const prepared = () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/file`, '');
    symlinkSync('ring', `${folder}/ring`);
    return folder;
  };

  test.each(cases)('given $what, when init() is called, then an error has the cause, and a later init() succeeds', ({
    destination,
    cause,
  }) => {
    const folder = prepared();
    const metrics = openStore();
    metrics.app.vcpu.exit_io_in.inc();
    const bad = destination(folder);
    expect(failureOf(() => metrics.init(bad))).toMatchObject({ name: 'MetricsError', code: 'ERR_METRICS_OPEN', cause });
    expect(metrics.write()).toBe(false);
    metrics.init(`${folder}/lines`);
    expect(writeMany(metrics, 1)).toBe(0);
    expect(exits(linesIn(`${folder}/lines`))).toEqual([2]);
  });

  test('given the path of a socket, when init() is called, then an error has the cause', async () => {
    const path = `${temporaryFolder()}/socket`;
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    onTestFinished(() => void server.close());
    expect(failureOf(() => openStore().init(path))).toMatchObject({ code: 'ERR_METRICS_OPEN', cause: 'ENXIO', syscall: 'open' });
  });

  test.each([
    { destination: '', error: RangeError },
    { destination: 'a\0b', error: RangeError },
    { destination: -1, error: RangeError },
    { destination: 1.5, error: RangeError },
    { destination: Number.NaN, error: RangeError },
    { destination: 2 ** 31, error: RangeError },
    { destination: 1n, error: TypeError },
    { destination: null, error: TypeError },
    { destination: undefined, error: TypeError },
    { destination: {}, error: TypeError },
    { destination: Buffer.from('/dev/null'), error: TypeError },
    { destination: new URL('file:///dev/null'), error: TypeError },
  ])('given $destination, when init() is called, then $error.name is thrown, and a later init() succeeds', ({ destination, error }) => {
    const metrics = openStore();
    expect(() => metrics.init(destination as string)).toThrow(error);
    const path = `${temporaryFolder()}/lines`;
    metrics.init(path);
    expect(metrics.write()).toBe(true);
  });

  test('given an invalid destination, when init() fails, then no file is made', () => {
    const folder = temporaryFolder();
    expect(failureOf(() => openStore().init(`${folder}/none/lines`))).toBeDefined();
    expect(existsSync(`${folder}/none`)).toBe(false);
  });
});
