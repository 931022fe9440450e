// How long a crash takes, from before the fault until the whole line is with a reader that waits in a blocking read.
// Each is one of a process of its own; both ends read CLOCK_MONOTONIC in native code, so that no event loop is in
// between.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { addon } from './addon.ts';

const crasher = fileURLToPath(new URL('./crasher.js', import.meta.url));

/** Microseconds of each of so many crashes, on the main thread and on a native one turn about, lowest first. */
export async function crashTimesUs(times: number): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-'));
  const [fifo, fault] = [join(folder, 'fifo'), join(folder, 'fault')];
  execFileSync('mkfifo', [fifo]);
  const all: number[] = [];
  try {
    for (let i = 0; i < times; i++) {
      writeFileSync(fault, Buffer.alloc(8));
      const writer = openSync(fifo, 'r+'); // so that the reader waits from the start, and no longer than for the child's death
      const line = addon.arrivalTime(fifo, 'line');
      const where = i % 2 === 0 ? 'main' : 'thread';
      const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, crasher, fifo, fault, where], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [code, signal] = await once(child, 'exit');
      closeSync(writer);
      const lineNs = await line;
      if (signal !== 'SIGSEGV' || lineNs === 0n) throw new Error(`a crash ended with ${code ?? signal}, and its line came at ${lineNs}`);
      all.push(Number(lineNs - readFileSync(fault).readBigInt64LE()) / 1000);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return all.sort((a, b) => a - b);
}
