// `vmm-metrics flush` writes the last line of a dead process whole and once, whatever the sink does.

import { spawn } from 'node:child_process';
import { createReadStream, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { cli, oneLine, program } from './helpers/command.ts';
import { HANG_MS } from './helpers/limits.ts';
import { holdLock } from './helpers/lock-holder.ts';
import { writeRegion } from './helpers/region-writer.ts';
import { HeldPipe, makeFifo } from './helpers/sinks.ts';
import { vcpuCounted, vcpuRegionFile } from './helpers/vcpu-region.ts';
import { temporaryFolder } from './helpers/workplace.ts';

describe('vmm-metrics flush', () => {
  const expectFlushed = async (path: string) => {
    const { hasPending, pending, linesFlushed, values } = await readRegion(path);
    expect({ hasPending, linesFlushed }).toEqual({ hasPending: false, linesFlushed: 2n });
    expect(pending['vcpu']).toMatchObject({ exits: 0n, level: 4096n });
    expect(values['vcpu']).toMatchObject({ exits: 2n ** 64n - 3n });
  };

  test('when a killed process had pending counts, then they are appended to the file once', async () => {
    const path = vcpuRegionFile({ shards: 3 });
    const sink = join(temporaryFolder(), 'lines');
    const line = (await readRegion(path)).line();
    const said = `vmm-metrics: wrote the last line of process 4242 to '${sink}' (${line.length} bytes)\n`;
    expect(await cli('flush', path, '--to', sink)).toEqual({ code: 0, stdout: '', stderr: said });
    expect(readFileSync(sink, 'utf8')).toBe(line);
    expect(statSync(sink).mode & 0o777).toBe(0o600);
    await expectFlushed(path);
    const again = await cli('flush', path, '--to', sink);
    expect(again).toEqual({ code: 0, stdout: '', stderr: `vmm-metrics: there is nothing to flush in '${path}'\n` });
    expect(readFileSync(sink, 'utf8')).toBe(line);
  });

  test('when the file ends in half a line, then a newline is written first', async () => {
    const path = vcpuRegionFile();
    const sink = join(temporaryFolder(), 'lines');
    writeFileSync(sink, '{"half":');
    const line = (await readRegion(path)).line();
    expect((await cli('flush', path, '--to', sink)).code).toBe(0);
    expect(readFileSync(sink, 'utf8')).toBe(`{"half":\n${line}`);
    await expectFlushed(path);
  });

  test('when the sink is standard output, then the line is printed', async () => {
    const path = vcpuRegionFile();
    const line = (await readRegion(path)).line();
    expect(await cli('flush', '--to', '-', path)).toEqual({ code: 0, stdout: line, stderr: '' });
    await expectFlushed(path);
  });

  test('when the sink is a region, then the command refuses it, and both files stay unchanged', async () => {
    const paths = [vcpuRegionFile(), vcpuRegionFile()];
    const before = paths.map((path) => readFileSync(path));
    for (const sink of paths) {
      const { code, stderr } = await cli('flush', paths[0]!, '--to', sink);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `vmm-metrics: Cannot open the metrics destination '${sink}': it is the region of a store\n`,
      });
    }
    expect(paths.map((path, i) => readFileSync(path).equals(before[i]!))).toEqual([true, true]);
  });

  test('when the sink is a pipe with a reader, then the reader gets the line', async () => {
    const path = vcpuRegionFile();
    const pipe = makeFifo(join(temporaryFolder(), 'pipe'));
    const line = (await readRegion(path)).line();
    const flushed = cli('flush', path, '--to', pipe); // it waits for the reader
    let read = '';
    for await (const text of createReadStream(pipe, 'utf8')) read += text;
    expect(read).toBe(line);
    expect((await flushed).code).toBe(0);
    await expectFlushed(path);
  });

  test('when nobody reads the pipe, then the command gives up after a while, and everything is still pending', async () => {
    const path = vcpuRegionFile();
    const before = readFileSync(path);
    const pipe = makeFifo(join(temporaryFolder(), 'pipe'));
    const { code, stderr } = await cli('flush', path, '--to', pipe);
    expect(code).toBe(1);
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain('the pipe has no reader');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('when the disk is full, then the line stays pending, and a later flush writes it whole', async () => {
    const path = vcpuRegionFile();
    const { code, stderr } = await cli('flush', path, '--to', '/dev/full');
    expect(code).toBe(1);
    expect(stderr).toContain('ENOSPC');
    expect((await readRegion(path)).pending['vcpu']).toMatchObject({ exits: 7n });
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":7');
    await expectFlushed(path);
  });

  test('when the process is alive, then the command refuses, and the error gives the pid', async () => {
    const path = vcpuRegionFile();
    const release = await holdLock(path);
    const { code, stdout, stderr } = await cli('flush', path, '--to', '-');
    await release();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain('process 4242 is running');
  });

  test('when two commands flush at once, then the line is written once', async () => {
    const path = vcpuRegionFile();
    const sink = join(temporaryFolder(), 'lines');
    const line = (await readRegion(path)).line();
    await Promise.all([1, 2, 3].map(() => cli('flush', path, '--to', sink)));
    expect(readFileSync(sink, 'utf8')).toBe(line);
    await expectFlushed(path);
  });

  test('when the command dies between the line and its commit, then the line still counts as flushed', async () => {
    const path = vcpuRegionFile();
    const sink = join(temporaryFolder(), 'lines');
    const whole = readFileSync(path);
    expect((await cli('flush', path, '--to', sink)).code).toBe(0);
    // Restores the region as it was just before the commit: the old commit word, and the record of the line.
    const flushed = readFileSync(path);
    const commit = flushed.readBigUInt64LE(128);
    flushed.writeBigUInt64LE(whole.readBigUInt64LE(128), 128);
    flushed.writeBigUInt64LE(commit, 184);
    writeFileSync(path, flushed);
    expect((await readRegion(path)).lineInFlight).toBe('out');
    await expectFlushed(path);
    expect((await cli('flush', path, '--to', '-')).stdout).toBe('');
    // Restores the region as it was just before the line itself.
    flushed.copy(whole, 0, 0, flushed.length);
    writeFileSync(path, flushed);
    writeFileSync(sink, '');
    expect((await readRegion(path)).lineInFlight).toBe('pending');
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":7');
    await expectFlushed(path);
  });

  test('when the command is killed while it writes, then the region records a line in flight, and nothing is lost', async () => {
    const path = vcpuRegionFile();
    const pipe = makeFifo(join(temporaryFolder(), 'pipe'));
    const held = new HeldPipe(pipe);
    held.fill();
    const child = spawn(node, [program, 'flush', path, '--to', pipe]);
    const ended = new Promise((resolve) => child.once('close', resolve));
    for (const end = Date.now() + HANG_MS; readFileSync(path).readBigUInt64LE(184) === 0n && Date.now() < end; ) await sleep(10);
    child.kill('SIGKILL');
    await ended;
    held.close();
    const { lineInFlight, pending } = await readRegion(path);
    expect(lineInFlight).toBe('unknown');
    expect(pending['vcpu']).toMatchObject({ exits: 7n });
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":7');
    await expectFlushed(path);
  });

  test('when the line of the dead process was complete, then it stays flushed, even if the next line fails', async () => {
    const sink = join(temporaryFolder(), 'lines');
    const { model, before } = vcpuCounted();
    const picture = model.picture();
    writeFileSync(sink, `${model.line(picture, before).join('')}\n`);
    const { dev, ino } = statSync(sink, { bigint: true });
    model.holders[0]!.bump('exits', 1n);
    const path = join(temporaryFolder(), 'region');
    writeRegion(path, model, before, { line: { picture, device: dev, inode: ino, isRegularFile: true, bytes: 99n }, sinkPath: sink });
    expect((await cli('flush', path, '--to', '/dev/full')).code).toBe(1);
    expect((await readRegion(path)).pending['vcpu']).toMatchObject({ exits: 1n });
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":1,');
  });

  test('when a pipe holds half a line of the dead process, then the next line begins with a newline', async () => {
    const pipe = makeFifo(join(temporaryFolder(), 'pipe'));
    const { dev, ino } = statSync(pipe, { bigint: true });
    const { model, before } = vcpuCounted();
    const line = { picture: model.picture(), device: dev, inode: ino, bytes: 100n, sent: 50n };
    const path = join(temporaryFolder(), 'region');
    writeRegion(path, model, before, { line, sinkPath: pipe });
    const flushed = cli('flush', path, '--to', pipe);
    let read = '';
    for await (const text of createReadStream(pipe, 'utf8')) read += text;
    expect(read).toBe(`\n${(await readRegion(vcpuRegionFile())).line()}`);
    expect((await flushed).code).toBe(0);
  });
});
