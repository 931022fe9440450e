// Named pipes and descriptors as sinks: no write blocks, and readers get whole and exact lines.

import { appendFileSync, closeSync, constants, existsSync, readFileSync, renameSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';

import { failureOf, writeFailure } from './helpers/errors.ts';
import { drained, exits, expectAllOut, misses, openStore, writeMany } from './helpers/exits.ts';
import { descriptor, flagsOf, makeFifo, Reader, reading, runSinkChild } from './helpers/sinks.ts';
import { linesIn, linesOf, sumOf, temporaryFolder } from './helpers/workplace.ts';

describe('named pipes', () => {
  test('given a pipe that nobody reads, when a reader opens it after many lines, then everything it reads is whole and exact', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = openStore();
    metrics.init(path);
    const failed = writeMany(metrics, 200);
    expect(failed).toBeGreaterThan(100);
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EAGAIN'));
    const { text, failures } = drained(reading(path), metrics);
    expectAllOut(text, metrics, failed + 1 + failures);
    // The pipe was full: it takes 64 KiB, less the unused rest of its pages.
    expect(text.length).toBeGreaterThan(50_000);
  });

  test('given a slow reader, when lines are written all the time, then everything it reads is whole and exact', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = openStore();
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
    expectAllOut(text + last.text, metrics, failed + last.failures);
  });

  test('given a reader that leaves in the middle of a line and comes back, when lines are written meanwhile, then no line is torn', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = openStore();
    metrics.init(path);
    let failed = writeMany(metrics, 3);
    const first = new Reader(path);
    let text = first.text(100);
    first.close();
    failed += writeMany(metrics, 100);
    const last = drained(reading(path), metrics);
    text += last.text;
    expectAllOut(text, metrics, failed + last.failures);
  });

  test('given half a line in a pipe that another pipe replaces, when write() is called, then the new pipe gets a whole line', () => {
    const folder = temporaryFolder();
    const path = makeFifo(`${folder}/fifo`);
    const metrics = openStore();
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

  test('given a pipe with a reader, when the store is closed, then the reader gets the last line and then the end of the file', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const metrics = openStore();
    metrics.init(path);
    const reader = reading(path);
    metrics.app.vcpu.exit_io_in.inc();
    metrics.close();
    expect(exits(linesOf(reader.text()))).toEqual([1]);
    expect(reader.atEnd()).toBe(true);
  });
});

describe('descriptors', () => {
  test('given a descriptor of a file, when the caller closes it after init(), then lines are still written', () => {
    const path = `${temporaryFolder()}/lines`;
    const fd = descriptor(path, 'w');
    const metrics = openStore();
    metrics.init(fd);
    writeMany(metrics, 1);
    closeSync(fd);
    expect(writeMany(metrics, 1)).toBe(0);
    expect(exits(linesIn(path))).toEqual([1, 1]);
  });

  test('given a descriptor, when the store is closed, then the descriptor of the caller stays open', () => {
    const path = `${temporaryFolder()}/lines`;
    const fd = descriptor(path, 'a');
    const metrics = openStore();
    metrics.init(fd);
    metrics.close();
    appendFileSync(fd, '{}\n');
    expect(linesIn(path)).toHaveLength(2);
  });

  test('given a descriptor of a blocking pipe that fills, when lines are written, then no write blocks, and the descriptor keeps its flags', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const reader = reading(path);
    const fd = descriptor(path, constants.O_WRONLY);
    const before = flagsOf(fd);
    const metrics = openStore();
    metrics.init(fd);
    const failed = writeMany(metrics, 100);
    expect(failed).toBeGreaterThan(50);
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EAGAIN'));
    const last = drained(reader, metrics);
    expectAllOut(last.text, metrics, failed + 1 + last.failures);
    expect(before & constants.O_NONBLOCK).toBe(0);
    expect(flagsOf(fd)).toBe(before);
  });

  /** Nobody reads until the child has seen its writes fail, so a write that waited for a reader would wait for ever. */
  const readLater = (path: string) => ({
    wrap: `FULL='${path}.full' "$@" | { until [ -e '${path}.full' ]; do sleep 0.02; done; cat >'${path}'; }`,
  });

  // The shell of the child makes the pipe, so that the pipe has no name.
  test('given an anonymous pipe that fills, when lines are written, then no write blocks, and the descriptor keeps its flags', async () => {
    const path = `${temporaryFolder()}/lines`;
    const { report } = await runSinkChild('fill', 1, readLater(path));
    expectFilled(report, readFileSync(path, 'utf8'));
  });

  test('given a pipe that other code makes blocking after init(), when it fills, then no write blocks', async () => {
    const path = `${temporaryFolder()}/lines`;
    const { report } = await runSinkChild('blocking-later', 1, readLater(path));
    expect(Number.parseInt(report['flags'] as string, 8) & constants.O_NONBLOCK).toBe(0);
    expectFilled(report, readFileSync(path, 'utf8'));
  });

  test('given a socket that fills, when lines are written, then no write blocks, and the descriptor keeps its flags', async () => {
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
    // The child's last line was written, and all misses came before it.
    expect(misses(lines)).toBe(BigInt(failures as number));
  }

  test('given a pipe whose reader has gone, when write() is called, then it throws EPIPE, and no SIGPIPE is seen', async () => {
    const signals: string[] = [];
    const listener = (signal: string) => signals.push(signal);
    process.on('SIGPIPE', listener);
    onTestFinished(() => void process.off('SIGPIPE', listener));
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const reader = new Reader(path);
    const metrics = openStore();
    metrics.init(descriptor(path, constants.O_WRONLY));
    expect(writeMany(metrics, 1)).toBe(0);
    reader.close();
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EPIPE'));
    expect(writeMany(metrics, 1)).toBe(1);
    await sleep(50);
    expect(signals).toEqual([]);
    // With a new reader, lines are written again.
    const next = reading(path);
    expect(writeMany(metrics, 1)).toBe(0);
    const lines = linesOf(next.text());
    expect(exits(lines)).toEqual([1, 2]);
    expect(misses(lines)).toBe(2n);
  });

  test('given a pipe whose reader left before init(), when write() is called, then it throws EPIPE', () => {
    const path = makeFifo(`${temporaryFolder()}/fifo`);
    const reader = new Reader(path);
    const fd = descriptor(path, constants.O_WRONLY);
    reader.close();
    const metrics = openStore();
    metrics.init(fd);
    expect(failureOf(() => metrics.write())).toEqual(writeFailure('EPIPE'));
  });
});
