// How long something waits for what does not come: a dying process for a pipe that stays full, and the stop of a
// profile for one that nobody reads. Both are to give up within a second. The tests only check that they end, since a
// busy machine is late.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { defineSchema, group, inc, Metrics } from 'vmm-metrics';

const crasher = fileURLToPath(new URL('./crasher.js', import.meta.url));

/** A pipe without room, in a folder of its own, while `run` runs. */
async function withFullPipe<T>(run: (pipe: string, folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const end = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(end, Buffer.alloc(4096));
  } catch {
    return await run(pipe, folder); // it is full
  } finally {
    closeSync(end);
    rmSync(folder, { recursive: true });
  }
}

/** Milliseconds from a fault until the process is gone, for so many processes, lowest first. */
export async function deathTimesMs(times: number): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) {
    await withFullPipe(async (pipe, folder) => {
      const fault = join(folder, 'fault');
      writeFileSync(fault, Buffer.alloc(8));
      const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, crasher, pipe, fault, 'main']);
      const [code, signal] = await once(child, 'exit');
      const endNs = process.hrtime.bigint(); // CLOCK_MONOTONIC, as is the time of the fault
      if (signal !== 'SIGSEGV') throw new Error(`a crash ended with ${code ?? signal}`);
      all.push(Number(endNs - readFileSync(fault).readBigInt64LE()) / 1e6);
    });
  }
  return all.sort((a, b) => a - b);
}

/** Milliseconds of `stop()`, of so many profiles, lowest first. */
export async function stopTimesMs(times: number): Promise<number[]> {
  const metrics = Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: 'waits' });
  const all: number[] = [];
  for (let i = 0; i < times; i++) {
    await withFullPipe(async (pipe) => {
      const profile = metrics.startProfiling({ metrics: 'g.n', output: pipe, intervalUs: 100 });
      const begin = performance.now();
      await profile.stop().catch(() => {}); // EAGAIN: rows are lost
      all.push(performance.now() - begin);
    });
  }
  metrics.close();
  return all.sort((a, b) => a - b);
}
