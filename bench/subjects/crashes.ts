// How long does a crash take, from just before the fault until a reader that waits in a blocking read has the whole
// line? The floor is measured with a process that does nothing but die: the time until its pipe ends. Each crash has a
// process of its own. Both ends read CLOCK_MONOTONIC in native code, so that no event loop is in between.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { addon, BARE_CRASH } from '../addon.ts';
import { childPath } from '../children.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Sample, Subject } from '../subject.ts';
import { environmentOf, type Tree } from '../tree.ts';

const FLOOR = 'a bare child dies: fault to the end of its pipe';
const BARE_NODE = 'a bare Node dies: fault to the end of its pipe';
const MEDIAN = 'fault to the line in a reader';
const P99 = 'fault to the line in a reader, 99th percentile';

const folder = folderInMemory();
const [fifo, fault] = [join(folder, 'fifo'), join(folder, 'fault')];

/**
 * Microseconds of one crash. If `what` is 'end', no other process can write to the pipe; this one does so through its
 * descriptor 3.
 */
async function crashUs(command: readonly string[], what: 'line' | 'end', tree: Tree): Promise<number> {
  writeFileSync(fault, Buffer.alloc(8));
  const writer = openSync(fifo, 'r+'); // so that the reader waits from the start
  const arrival = addon.arrivalTime(fifo, what);
  const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...command], {
    env: environmentOf(tree),
    stdio: ['ignore', 'ignore', 'inherit', what === 'end' ? writer : 'ignore'],
  });
  if (what === 'end') closeSync(writer);
  const [code, signal] = await once(child, 'exit');
  if (what === 'line') closeSync(writer); // if the child died without a line, the reader must not wait for ever
  const arrivalNs = await arrival;
  if (signal !== 'SIGSEGV' || arrivalNs === 0n)
    throw new Error(`a crash ended with ${signal ?? `exit code ${code}`}, and its line arrived at ${arrivalNs}`);
  return Number(arrivalNs - readFileSync(fault).readBigInt64LE()) / 1000;
}

let isFirst = true;

export const subject: Subject = {
  name: 'crashes',
  rows: [
    { name: FLOOR, unit: 'us', once: true },
    { name: BARE_NODE, unit: 'us', once: true },
    { name: MEDIAN, unit: 'us', bound: { atMost: 1.25, of: FLOOR } },
    { name: P99, unit: 'us', quantile: 0.99, bound: { atMost: 5000 } },
  ],
  async measure(trees, { turns }) {
    if (isFirst) execFileSync('mkfifo', [fifo]);
    isFirst = false;
    const floor: Sample[] = [];
    const bareNode: Sample[] = [];
    const ours: Sample[][] = trees.map(() => []);
    const crasher = [process.execPath, childPath('crasher'), fault];
    for (let i = 0; i < 4 * turns; i++) {
      const where = i % 2 === 0 ? 'main' : 'thread';
      floor.push({ value: await crashUs([BARE_CRASH, fault], 'end', trees[0]!) });
      bareNode.push({ value: await crashUs([...crasher, where], 'end', trees[0]!) });
      for (const [tree, samples] of ours.entries()) {
        samples.push({ value: await crashUs([...crasher, where, fifo], 'line', trees[tree]!) });
      }
    }
    const measurements: Measurement[] = [
      { row: FLOOR, tree: 0, samples: floor },
      { row: BARE_NODE, tree: 0, samples: bareNode },
    ];
    for (const [tree, samples] of ours.entries()) measurements.push({ row: MEDIAN, tree, samples }, { row: P99, tree, samples });
    return measurements;
  },
};
