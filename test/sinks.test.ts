// Where lines go, and what goes wrong there. Each sink is a real one.

import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { HANG_MS } from './helpers/limits.ts';
import { flagsOf, makeFifo, Reader, runSinkChild } from './helpers/sinks.ts';
import { at, closing, freshName, type Line, linesIn, linesOf, temporaryFolder } from './helpers/workplace.ts';

const open = () => closing(Metrics.open(firecracker, { name: freshName() }));
type Store = ReturnType<typeof open>;

const reading = (path: string) => {
  const reader = new Reader(path);
  onTestFinished(() => reader.close());
  return reader;
};

const descriptor = (path: string, flags: string | number) => {
  const fd = openSync(path, flags);
  onTestFinished(() => {
    try {
      closeSync(fd);
    } catch {
      // the test has closed it
    }
  });
  return fd;
};

/** The error that `action` throws, in the parts that a caller may rely on. */
function failureOf(action: () => unknown): { name: string; code: unknown; cause: unknown; syscall: unknown } | undefined {
  try {
    action();
  } catch (error) {
    const { name, code, cause } = error as Error & { code?: string; cause?: NodeJS.ErrnoException };
    return { name, code, cause: cause?.code, syscall: cause?.syscall };
  }
  return undefined;
}

const writeFailure = (cause: string, syscall = 'write') => ({ name: 'MetricsError', code: 'ERR_METRICS_WRITE', cause, syscall });

/** Counts one exit and writes a line; gives whether it got out. Anything but a failed write is a failed test. */
function writeOne(metrics: Store): boolean {
  metrics.app.vcpu.exit_io_in.inc();
  const failure = failureOf(() => metrics.write());
  if (failure !== undefined) expect(failure.code).toBe('ERR_METRICS_WRITE');
  return failure === undefined;
}

/** Writes `count` lines; gives how many did not get out. */
function writeMany(metrics: Store, count: number): number {
  return Array.from({ length: count }, () => writeOne(metrics)).filter((out) => !out).length;
}

const sumOf = (lines: Line[], path: string) => lines.reduce((sum, line) => sum + (at(line, path) as bigint), 0n);
const exits = (lines: Line[]) => lines.map((line) => Number(at(line, 'vcpu.exit_io_in')));
const misses = (lines: Line[]) => sumOf(lines, 'logger.missed_metrics_count');

/** Every line got out in the end: the deltas in `text` are all there are, and so are the misses. */
function expectExact(text: string, metrics: Store, failures: number): void {
  expect(text.endsWith('\n')).toBe(true);
  const lines = linesOf(text);
  expect(sumOf(lines, 'vcpu.exit_io_in')).toBe(metrics.app.vcpu.exit_io_in.count());
  expect(metrics.app.vcpu.exit_io_in.fetchDiff()).toBe(0n);
  expect(misses(lines)).toBe(BigInt(failures));
}

/** Reads and writes in turn until a line is out and everything is read. */
function drained(reader: Reader, metrics: Store): { text: string; failures: number } {
  let text = reader.text();
  let failures = 0;
  while (!writeOne(metrics)) {
    failures++;
    text += reader.text();
    expect(failures).toBeLessThan(10);
  }
  return { text: text + reader.text(), failures };
}

describe('files', () => {
  test('given no file, when a line is written, then the file is made with mode 0600', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = open();
    metrics.init(path);
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect(writeMany(metrics, 1)).toBe(0);
    expect(exits(linesIn(path))).toEqual([1]);
  });

  test('given a file of mode 0640, when lines are written, then it keeps its mode', () => {
    const path = `${temporaryFolder()}/lines`;
    writeFileSync(path, '');
    chmodSync(path, 0o640);
    const metrics = open();
    metrics.init(path);
    writeMany(metrics, 2);
    expect(statSync(path).mode & 0o7777).toBe(0o640);
  });

  test('given a file that is longer than the lines to come, when they are written, then they are appended', () => {
    const path = `${temporaryFolder()}/lines`;
    const before = '{"vcpu":{"exit_io_in":0}}\n'.repeat(10_000);
    writeFileSync(path, before);
    const metrics = open();
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
  ])('given a file that ends in half a line, $how, when lines are written, then one newline goes first', ({ destination }) => {
    const path = `${temporaryFolder()}/lines`;
    writeFileSync(path, '{"half":');
    const metrics = open();
    metrics.init(destination(path));
    writeMany(metrics, 2);
    const [half, ...rest] = readFileSync(path, 'utf8').split('\n');
    expect(half).toBe('{"half":');
    expect(exits(linesOf(rest.join('\n')))).toEqual([1, 1]);
  });

  test('given a file that ends in half a line, when it is emptied before the first line, then the line is at its beginning', () => {
    const path = `${temporaryFolder()}/lines`;
    writeFileSync(path, '{"half":');
    const metrics = open();
    metrics.init(path);
    writeFileSync(path, '');
    writeMany(metrics, 2);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a file that is renamed between two lines, when the second is written, then it is in a new file', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = open();
    metrics.init(path);
    writeMany(metrics, 2);
    renameSync(path, `${path}.1`);
    metrics.app.vcpu.exit_io_in.add(5);
    writeMany(metrics, 2);
    expect(exits(linesIn(`${path}.1`))).toEqual([1, 1]);
    expect(exits(linesIn(path))).toEqual([6, 1]);
    expect(statSync(path).mode & 0o7777).toBe(0o600);
  });

  test('given a file that is renamed and made anew by somebody, when a line is written, then it is in the new file', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = open();
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
    const metrics = open();
    metrics.init(path);
    writeMany(metrics, 1);
    rmSync(path);
    writeMany(metrics, 2);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a file that is emptied in place, when lines are written, then they start at its beginning', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = open();
    metrics.init(path);
    writeMany(metrics, 2);
    writeFileSync(path, '');
    writeMany(metrics, 2);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a folder that is removed, when lines are written, then they fail, and the first one after it is back has all deltas', () => {
    const folder = `${temporaryFolder()}/folder`;
    mkdirSync(folder);
    const metrics = open();
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

  test('given a folder that a file replaces, when a line is written, then it fails, since nobody could read it', () => {
    const folder = `${temporaryFolder()}/folder`;
    mkdirSync(folder);
    const metrics = open();
    metrics.init(`${folder}/lines`);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('ENOTDIR', 'open'));
  });

  test.each([
    { next: 'rotated', kept: '.old' },
    { next: 'emptied', kept: '' },
  ])('given a file at the limit on file sizes, when it is $next, then no delta is lost and the process has lived on', async ({
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
  ])('given a limit of %i blocks on file sizes, when a store gets many devices, then it has them', async (blocks) => {
    const { report } = await runSinkChild('devices', '/dev/null', { wrap: `ulimit -f ${blocks}; exec "$@"` });
    expect(report).toMatchObject({ devices: 100, failures: 0, signals: [] });
  });
});

describe('symlinks', () => {
  test('given a symlink to a file, when lines are written, then they are in the file and the symlink stays', () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/file`, '');
    symlinkSync('file', `${folder}/link`);
    const metrics = open();
    metrics.init(`${folder}/link`);
    writeMany(metrics, 2);
    expect(lstatSync(`${folder}/link`).isSymbolicLink()).toBe(true);
    expect(exits(linesIn(`${folder}/file`))).toEqual([1, 1]);
  });

  test('given a symlink to nothing, when a line is written, then the file is made', () => {
    const folder = temporaryFolder();
    symlinkSync('file', `${folder}/link`);
    const metrics = open();
    metrics.init(`${folder}/link`);
    writeMany(metrics, 1);
    expect(exits(linesIn(`${folder}/file`))).toEqual([1]);
  });

  test('given a symlink that is pointed elsewhere, a full device included, when lines are written, then they follow it', () => {
    const folder = temporaryFolder();
    const point = (target: string) => {
      symlinkSync(target, `${folder}/new`);
      renameSync(`${folder}/new`, `${folder}/link`);
    };
    point('first');
    const metrics = open();
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
  ])('given /dev/stdout, when it is $what, then it has the lines', async ({ wrap, before = [] }) => {
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
  ])('given it $how, when written, then each write fails and is counted, and nothing is lost', ({ destination }) => {
    const metrics = open();
    metrics.init(destination());
    for (let i = 1; i <= 3; i++) {
      metrics.app.vcpu.exit_io_in.inc();
      expect(failureOf(() => metrics.write())).toEqual(writeFailure('ENOSPC'));
      expect(metrics.app.vcpu.exit_io_in.fetchDiff()).toBe(BigInt(i));
      expect(metrics.app.logger.missed_metrics_count.count()).toBe(BigInt(i));
    }
  });
});

describe('named pipes', () => {
  test('given a pipe that nobody reads, when a reader comes after many lines, then all that it reads is whole and exact', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = open();
    metrics.init(path);
    const failed = writeMany(metrics, 200);
    expect(failed).toBeGreaterThan(100);
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EAGAIN'));
    const { text, failures } = drained(reading(path), metrics);
    expectExact(text, metrics, failed + 1 + failures);
    // What fitted is there: the pipe takes 64 KiB, less what its pages do not use.
    expect(text.length).toBeGreaterThan(50_000);
  });

  test('given a slow reader, when lines are written all the while, then all that it reads is whole and exact', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = open();
    metrics.init(path);
    const reader = reading(path);
    let failed = 0;
    let text = '';
    for (let i = 0; i < 500; i++) {
      failed += writeMany(metrics, 1);
      text += reader.text(1000 + ((i * 977) % 4000));
    }
    expect(failed).toBeGreaterThan(10);
    const last = drained(reader, metrics);
    expectExact(text + last.text, metrics, failed + last.failures);
  });

  test('given a reader that goes in the middle of a line and comes back, when lines are written meanwhile, then nothing is torn', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = open();
    metrics.init(path);
    let failed = writeMany(metrics, 3);
    const first = new Reader(path);
    let text = first.text(100);
    first.close();
    failed += writeMany(metrics, 100);
    const last = drained(reading(path), metrics);
    text += last.text;
    expectExact(text, metrics, failed + last.failures);
  });

  test('given a pipe that another one replaces while a line is half in it, when written, then the new pipe has the line anew', () => {
    const folder = temporaryFolder();
    const path = makeFifo(`${folder}/fifo`);
    const metrics = open();
    metrics.init(path);
    const old = reading(path);
    const failed = writeMany(metrics, 200);
    makeFifo(`${folder}/new`);
    renameSync(`${folder}/new`, path);
    const { text, failures } = drained(reading(path), metrics);
    const whole = linesOf(old.text());
    const lines = linesOf(text);
    expect(sumOf([...whole, ...lines], 'vcpu.exit_io_in')).toBe(metrics.app.vcpu.exit_io_in.count());
    expect(misses(lines)).toBe(BigInt(failed + failures));
  });

  test('given a pipe with a reader, when the store is closed, then the reader has the last line and comes to the end', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = open();
    metrics.init(path);
    const reader = reading(path);
    metrics.app.vcpu.exit_io_in.inc();
    metrics.close();
    expect(exits(linesOf(reader.text()))).toEqual([1]);
    expect(reader.atEnd()).toBe(true);
  });
});

describe('descriptors', () => {
  test('given a descriptor of a file, when the caller closes it after init, then lines go on', () => {
    const path = `${temporaryFolder()}/lines`;
    const fd = descriptor(path, 'w');
    const metrics = open();
    metrics.init(fd);
    writeMany(metrics, 1);
    closeSync(fd);
    expect(writeMany(metrics, 1)).toBe(0);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a descriptor, when the store is closed, then the caller still has it', () => {
    const path = `${temporaryFolder()}/lines`;
    const fd = descriptor(path, 'a');
    const metrics = open();
    metrics.init(fd);
    metrics.close();
    appendFileSync(fd, '{}\n');
    expect(linesIn(path)).toHaveLength(2);
  });

  test('given a descriptor of a blocking pipe that fills, when written, then no write blocks, and the descriptor is as it was', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const reader = reading(path);
    const fd = descriptor(path, constants.O_WRONLY);
    const before = flagsOf(fd);
    const metrics = open();
    metrics.init(fd);
    const failed = writeMany(metrics, 100);
    expect(failed).toBeGreaterThan(50);
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EAGAIN'));
    const last = drained(reader, metrics);
    expectExact(last.text, metrics, failed + 1 + last.failures);
    expect(before & constants.O_NONBLOCK).toBe(0);
    expect(flagsOf(fd)).toBe(before);
  });

  /** Nobody reads before the child has seen its writes fail: one that waited for a reader would wait for ever. */
  const readLater = (path: string) => ({
    wrap: `FULL='${path}.full' "$@" | { until [ -e '${path}.full' ]; do sleep 0.02; done; cat >'${path}'; }`,
  });

  // Through the child's shell, so that the pipe is one without a name.
  test('given an anonymous pipe that fills, when written, then no write blocks, and the descriptor is as it was', async () => {
    const path = `${temporaryFolder()}/lines`;
    const { report } = await runSinkChild('fill', 1, readLater(path));
    expectFilled(report, readFileSync(path, 'utf8'));
  });

  test('given a pipe that somebody makes blocking after init, when it fills, then no write blocks', async () => {
    const path = `${temporaryFolder()}/lines`;
    const { report } = await runSinkChild('blocking-later', 1, readLater(path));
    expect(Number.parseInt(report['flags'] as string, 8) & constants.O_NONBLOCK).toBe(0);
    expectFilled(report, readFileSync(path, 'utf8'));
  });

  test('given a socket that fills, when written, then no write blocks, and the descriptor is as it was', async () => {
    const parts: Buffer[] = [];
    const full = `${temporaryFolder()}/full`;
    const { report } = await runSinkChild('fill', 3, {
      wrap: `FULL='${full}' exec "$@"`,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      started: (child) => {
        const socket = child.stdio[3] as Socket;
        socket.on('data', (part: Buffer) => parts.push(part));
        socket.once('data', () => {
          socket.pause();
          const waiting = setInterval(() => {
            if (!existsSync(full)) return;
            clearInterval(waiting);
            socket.resume();
          }, 10);
        });
      },
    });
    expectFilled(report, Buffer.concat(parts).toString());
  });

  function expectFilled(report: Record<string, unknown>, text: string): void {
    const { failures, lastCode, flags, count } = report;
    expect(lastCode).toBe('EAGAIN');
    if (Array.isArray(flags)) expect(flags[1]).toBe(flags[0]);
    expect(text.endsWith('\n')).toBe(true);
    const lines = linesOf(text);
    expect(sumOf(lines, 'vcpu.exit_io_in')).toBe(BigInt(count as string));
    // The child's last act was a line that got out, and all misses came before it.
    expect(misses(lines)).toBe(BigInt(failures as number));
  }

  test('given a pipe whose reader has gone, when written, then EPIPE, and neither death nor signal', async () => {
    const signals: string[] = [];
    const listener = (signal: string) => signals.push(signal);
    process.on('SIGPIPE', listener);
    onTestFinished(() => void process.off('SIGPIPE', listener));
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const reader = new Reader(path);
    const metrics = open();
    metrics.init(descriptor(path, constants.O_WRONLY));
    expect(writeMany(metrics, 1)).toBe(0);
    reader.close();
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EPIPE'));
    expect(writeMany(metrics, 1)).toBe(1);
    await sleep(50);
    expect(signals).toEqual([]);
    // With a new reader it goes on.
    const next = reading(path);
    expect(writeMany(metrics, 1)).toBe(0);
    const lines = linesOf(next.text());
    expect(exits(lines)).toEqual([1, 2]);
    expect(misses(lines)).toBe(2n);
  });

  test('given a pipe whose reader went before init, when written, then EPIPE', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const reader = new Reader(path);
    const fd = descriptor(path, constants.O_WRONLY);
    reader.close();
    const metrics = open();
    metrics.init(fd);
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EPIPE'));
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

  test.each(cases)('given $what, when init, then an error with its cause, and init succeeds afterwards', ({ destination, cause }) => {
    const folder = prepared();
    const metrics = open();
    metrics.app.vcpu.exit_io_in.inc();
    const bad = destination(folder);
    expect(failureOf(() => metrics.init(bad))).toMatchObject({ name: 'MetricsError', code: 'ERR_METRICS_OPEN', cause });
    expect(metrics.write()).toBe(false);
    metrics.init(`${folder}/lines`);
    expect(writeMany(metrics, 1)).toBe(0);
    expect(exits(linesIn(`${folder}/lines`))).toEqual([2]);
  });

  test('given the path of a socket, when init, then an error with its cause', async () => {
    const path = `${temporaryFolder()}/socket`;
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    onTestFinished(() => void server.close());
    expect(failureOf(() => open().init(path))).toMatchObject({ code: 'ERR_METRICS_OPEN', cause: 'ENXIO', syscall: 'open' });
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
  ])('given $destination, when init, then $error.name, and init succeeds afterwards', ({ destination, error }) => {
    const metrics = open();
    expect(() => metrics.init(destination as string)).toThrow(error);
    const path = `${temporaryFolder()}/lines`;
    metrics.init(path);
    expect(metrics.write()).toBe(true);
  });

  test('given a failed init, then nothing was made', () => {
    const folder = temporaryFolder();
    expect(failureOf(() => open().init(`${folder}/none/lines`))).toBeDefined();
    expect(existsSync(`${folder}/none`)).toBe(false);
  });
});

describe('periodic flush', () => {
  const sleepHard = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

  /** While the event loop is blocked. */
  const awaitLines = (path: string, count: number) => {
    for (let waitedMs = 0; waitedMs < HANG_MS && linesIn(path).length < count; waitedMs += 5) sleepHard(5);
    expect(linesIn(path).length).toBeGreaterThanOrEqual(count);
  };

  test('given an interval of 10 ms, when the event loop is blocked, then lines come, and none too soon', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = open();
    metrics.init(path);
    metrics.app.vcpu.exit_io_in.add(7);
    const begin = performance.now();
    metrics.startPeriodicFlush({ intervalMs: 10 });
    awaitLines(path, 15);
    const lines = linesIn(path);
    expect(lines.length).toBeLessThanOrEqual((performance.now() - begin) / 10);
    expect(sumOf(lines, 'vcpu.exit_io_in')).toBe(7n);
    const times = lines.map((line) => Number(line['utc_timestamp_ms']));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('given no init, when time passes, then nothing is missed, and after init lines come', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = open();
    metrics.startPeriodicFlush({ intervalMs: 5 });
    sleepHard(50);
    metrics.init(path);
    awaitLines(path, 4);
    const lines = linesIn(path);
    expect(misses(lines)).toBe(0n);
  });

  test('given a long interval, when it is started again with a short one, then lines come at the short one', () => {
    const path = `${temporaryFolder()}/lines`;
    const metrics = open();
    metrics.init(path);
    metrics.startPeriodicFlush({ intervalMs: 3_600_000 });
    sleepHard(30); // the thread waits by now
    metrics.startPeriodicFlush({ intervalMs: 10 });
    awaitLines(path, 4);
    metrics.startPeriodicFlush({ intervalMs: 3_600_000 });
    const before = linesIn(path).length;
    sleepHard(100);
    expect(linesIn(path).length - before).toBeLessThanOrEqual(1);
  });

  test('given a pipe that is full, when time passes and a reader comes, then each miss is counted and nothing is lost', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = open();
    metrics.init(path);
    metrics.app.vcpu.exit_io_in.add(7);
    metrics.startPeriodicFlush({ intervalMs: 2 });
    const missesSoFar = () => Number(metrics.app.logger.missed_metrics_count.count());
    for (let waitedMs = 0; waitedMs < HANG_MS && missesSoFar() <= 3; waitedMs += 5) sleepHard(5);
    metrics.startPeriodicFlush({ intervalMs: 3_600_000 });
    // One flush may still be under way.
    for (let missed = -1; missed !== missesSoFar(); sleepHard(50)) missed = missesSoFar();
    const missed = missesSoFar();
    expect(missed).toBeGreaterThan(3);
    const { text, failures } = drained(reading(path), metrics);
    expectExact(text, metrics, missed + failures);
  });

  test('given a process that does nothing more, when its periodic flush runs, then the process ends by itself', async () => {
    const path = `${temporaryFolder()}/lines`;
    const { code, signal } = await runSinkChild('periodic', path);
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(linesIn(path).length).toBeGreaterThan(2);
  });
});
