// What does it cost another process to read a region? The owner of the region is idle meanwhile. A read waits for
// nothing but may use several threads, so the processor time of the whole process counts.

import { join } from 'node:path';

import { startChild } from '../children.ts';
import { folderInMemory } from '../store.ts';
import { Absent } from '../subject.ts';
import { measuredTree, underTest } from '../tree.ts';
import { type Trial, trialSubject } from '../trial.ts';

async function reading() {
  const file = join(folderInMemory(), 'region');
  const { child } = await startChild(measuredTree(), 'region-holder', file);
  process.on('exit', () => child.kill('SIGKILL'));
  child.unref();
  child.channel?.unref();
  const { readRegion } = await underTest();
  return async (times: number) => {
    for (let i = 0; i < times; i++) await readRegion(file);
  };
}

/** The bytes on the heap, and in buffers that the heap refers to. */
function allocatedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const trials: Trial[] = [
  { name: 'readRegion(), 35 devices, again and again', counts: 'process', bound: { atMost: 25_000 }, prepare: reading },
  {
    name: 'native reader, one call for many files',
    counts: 'process',
    bound: { atMost: 8000 },
    prepare: () => {
      throw new Absent('there is no native reader');
    },
  },
  {
    name: 'memory allocated by a readRegion()',
    unit: 'bytes',
    times: 20,
    execArgv: ['--min-semi-space-size=128', '--max-semi-space-size=128'], // so that nothing is collected meanwhile
    prepare: async () => {
      const read = await reading();
      return async (times) => {
        const before = allocatedBytes();
        await read(times);
        return Math.max(0, allocatedBytes() - before) / times;
      };
    },
  },
];

export const subject = trialSubject('readers', import.meta.url, trials);
