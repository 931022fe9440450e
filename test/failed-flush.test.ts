// A failed `vmm-metrics flush`, and whether a line is in flight afterwards.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { runChild } from './helpers/children.ts';
import { cliSync } from './helpers/command.ts';
import { HeldPipe, makeFifo } from './helpers/sinks.ts';
import { linesIn, linesOf, temporaryFolder } from './helpers/workplace.ts';

const DOUBT = /it is unknown whether the line got out/;

async function killed() {
  const folder = temporaryFolder();
  const file = `${folder}/r`;
  expect(await runChild('region.mjs', [JSON.stringify({ file, steps: ['open', 'kill'] })])).toMatchObject({ signal: 'SIGKILL' });
  return { folder, file };
}

test('given a sink that takes nothing, when a dead region is flushed, then no line is in flight, and everything is still pending', async () => {
  const { folder, file } = await killed();
  const before = await readRegion(file);
  expect(cliSync(['flush', file, '--to', '/dev/full'])).toMatchObject({ status: 1, stderr: expect.stringContaining('ENOSPC') });
  const after = await readRegion(file);
  expect(after.lineInFlight).toBeUndefined();
  expect(after.line(0)).toBe(before.line(0));
  expect(after.sinkPath).toBe(before.sinkPath);
  expect(cliSync(['show', file]).stdout).not.toMatch(DOUBT);
  expect(cliSync(['flush', file, '--to', `${folder}/lines`])).toMatchObject({ status: 0 });
  expect(linesIn(`${folder}/lines`)).toHaveLength(1);
});

test('given a pipe with half a line in it, when the next flush can write nothing, then the region still records the half line', async () => {
  const { folder, file } = await killed();
  const fifo = makeFifo(`${folder}/lines`);
  const pipe = new HeldPipe(fifo);
  // Leaves room for a part of the line: a line of Firecracker has about ten thousand bytes.
  const filler = spawnSync('python3', ['-c', `import fcntl,os,sys\nfcntl.fcntl(3,1031,4096)`], {
    stdio: ['ignore', 'inherit', 'inherit', pipe.fd],
  });
  expect(filler.status).toBe(0);
  expect(cliSync(['flush', file, '--to', fifo])).toMatchObject({ status: 1, stderr: expect.stringContaining('EAGAIN') });
  expect((await readRegion(file)).lineInFlight).toBe('unknown');
  expect(cliSync(['flush', file, '--to', fifo])).toMatchObject({ status: 1 });
  expect((await readRegion(file)).lineInFlight).toBe('unknown');
  expect(cliSync(['show', file]).stdout).toMatch(DOUBT);
  // Now a reader takes the half line.
  const half = pipe.text();
  expect(half).not.toContain('\n');
  expect(
    spawnSync('python3', ['-c', `import fcntl\nfcntl.fcntl(3,1031,1048576)`], { stdio: ['ignore', 'inherit', 'inherit', pipe.fd] }).status,
  ).toBe(0);
  expect(cliSync(['flush', file, '--to', fifo])).toMatchObject({ status: 0 });
  const [rest, ...lines] = pipe.text().split('\n');
  expect(rest).toBe('');
  expect(linesOf(lines.join('\n'))).toHaveLength(1);
  pipe.close();
});
