// `vmm-metrics flush` that fails: what is in flight afterwards, and what is not.

import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { runChild } from './helpers/children.ts';
import { makeFifo } from './helpers/sinks.ts';
import { linesIn, linesOf, temporaryFolder } from './helpers/workplace.ts';

const command = (...args: string[]) => spawnSync(process.execPath, ['dist/lib/cli/main.js', ...args], { encoding: 'utf8' });
const DOUBT = /nobody can tell/;

async function killed() {
  const folder = temporaryFolder();
  const file = `${folder}/r`;
  expect(await runChild('region.mjs', [JSON.stringify({ file, steps: ['open', 'kill'] })])).toMatchObject({ signal: 'SIGKILL' });
  return { folder, file };
}

test('given a sink that takes nothing, when a dead region is flushed, then no line is in flight, and all is pending', async () => {
  const { folder, file } = await killed();
  const before = await readRegion(file);
  expect(command('flush', file, '--to', '/dev/full')).toMatchObject({ status: 1, stderr: expect.stringContaining('ENOSPC') });
  const after = await readRegion(file);
  expect(after.lineInFlight).toBeUndefined();
  expect(after.line(0)).toBe(before.line(0));
  expect(after.sinkPath).toBe(before.sinkPath);
  expect(command('show', file).stdout).not.toMatch(DOUBT);
  expect(command('flush', file, '--to', `${folder}/lines`)).toMatchObject({ status: 0 });
  expect(linesIn(`${folder}/lines`)).toHaveLength(1);
});

test('given a pipe with half a line in it, when the next flush gets nothing into it, then that half is not forgotten', async () => {
  const { folder, file } = await killed();
  const fifo = makeFifo(`${folder}/lines`);
  const pipe = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  // Leaves room for a part of the line: Firecracker's has some ten thousand bytes.
  const filler = spawnSync('python3', ['-c', `import fcntl,os,sys\nfcntl.fcntl(3,1031,4096)`], {
    stdio: ['ignore', 'inherit', 'inherit', pipe],
  });
  expect(filler.status).toBe(0);
  expect(command('flush', file, '--to', fifo)).toMatchObject({ status: 1, stderr: expect.stringContaining('EAGAIN') });
  expect((await readRegion(file)).lineInFlight).toBe('unknown');
  expect(command('flush', file, '--to', fifo)).toMatchObject({ status: 1 });
  expect((await readRegion(file)).lineInFlight).toBe('unknown');
  expect(command('show', file).stdout).toMatch(DOUBT);
  // Somebody reads at last.
  const half = read(pipe);
  expect(half).not.toContain('\n');
  expect(
    spawnSync('python3', ['-c', `import fcntl\nfcntl.fcntl(3,1031,1048576)`], { stdio: ['ignore', 'inherit', 'inherit', pipe] }).status,
  ).toBe(0);
  expect(command('flush', file, '--to', fifo)).toMatchObject({ status: 0 });
  const [rest, ...lines] = read(pipe).split('\n');
  expect(rest).toBe('');
  expect(linesOf(lines.join('\n'))).toHaveLength(1);
  closeSync(pipe);
});

function read(pipe: number): string {
  const buffer = Buffer.alloc(1 << 20);
  return buffer.toString('utf8', 0, readSync(pipe, buffer));
}
