// How long does a dying process wait for a pipe that nobody reads, and how long does stop() of a profile wait? Both
// must give up within a second. The tests only check that the waits end, since everything is late on a busy machine.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { childPath, startChild } from '../children.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Subject } from '../subject.ts';
import { environmentOf, type Tree } from '../tree.ts';

const DEATH = 'fault to death, the pipe stays full';
const STOP = 'stop() of a profile, the pipe stays full';

const folder = folderInMemory();

/** Calls `run` with a pipe that stays full until `run` ends. */
async function withFullPipe<T>(run: (pipe: string) => Promise<T>): Promise<T> {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const end = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    fill(end);
    return await run(pipe);
  } finally {
    closeSync(end);
    rmSync(pipe);
  }
}

function fill(end: number): void {
  const page = Buffer.alloc(4096);
  try {
    for (;;) writeSync(end, page);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
}

/** Milliseconds from a fault until the process is gone. */
async function deathMs(tree: Tree, pipe: string): Promise<number> {
  const fault = join(folder, 'fault');
  writeFileSync(fault, Buffer.alloc(8));
  const words = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, childPath('crasher'), fault, 'main', pipe];
  const child = spawn('/bin/sh', words, { env: environmentOf(tree), stdio: ['ignore', 'ignore', 'inherit'] });
  const [code, signal] = await once(child, 'exit');
  const endNs = process.hrtime.bigint(); // CLOCK_MONOTONIC, like the time of the fault
  if (signal !== 'SIGSEGV') throw new Error(`a crash ended with ${signal ?? `exit code ${code}`}`);
  return Number(endNs - readFileSync(fault).readBigInt64LE()) / 1e6;
}

export const subject: Subject = {
  name: 'waits',
  rows: [DEATH, STOP].map((name) => ({ name, unit: 'ms', bound: { atMost: 1000 } })),
  async measure(trees) {
    const measurements: Measurement[] = [];
    for (const [i, tree] of trees.entries()) {
      const death = await withFullPipe((pipe) => deathMs(tree, pipe));
      const stop = await withFullPipe((pipe) => startChild(tree, 'profile-stop', pipe));
      measurements.push({ row: DEATH, tree: i, samples: [{ value: death }] });
      measurements.push({ row: STOP, tree: i, samples: [{ value: stop.message as number }] });
    }
    return measurements;
  },
};
