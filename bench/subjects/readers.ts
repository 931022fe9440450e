// What does it cost another process to read a region, once or again and again? The owner of the region is idle
// meanwhile. A read waits for nothing but may use several threads, so the processor time of the whole process counts.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

import type { KeptRegion as Region } from '../../lib/region/kept-region.ts';
import type { KeptRegions as Regions } from '../../lib/region/kept-regions.ts';
import { startChild } from '../children.ts';
import { copyRegion } from '../region-copies.ts';
import { folderInMemory } from '../store.ts';
import { Absent } from '../subject.ts';
import { measuredTree, underTest } from '../tree.ts';
import { type Trial, trialSubject } from '../trial.ts';

/** The region of a process that lives as long as this one. */
async function livingRegion(): Promise<string> {
  const file = join(folderInMemory(), 'region');
  const { child } = await startChild(measuredTree(), 'region-holder', file);
  process.on('exit', () => child.kill('SIGKILL'));
  child.unref();
  child.channel?.unref();
  return file;
}

async function reading() {
  const file = await livingRegion();
  const { readRegion } = await underTest();
  return async (times: number) => {
    for (let i = 0; i < times; i++) await readRegion(file);
  };
}

/** The kept readers are inside the package, so they are bundled here as scripts/bundle.mjs does it. */
async function keptReader<T>(name: string): Promise<T> {
  const { folder } = measuredTree();
  const source = join(folder, `lib/region/${name}.ts`);
  if (!existsSync(source)) throw new Absent('there is no kept reader');
  const outfile = join(folderInMemory(), `${name}.mjs`);
  await build({ entryPoints: [source], outfile, bundle: true, format: 'esm', platform: 'node' });
  process.env['VMM_METRICS_ADDON'] = join(folder, 'build/Release/vmm_metrics.node');
  return (await import(outfile)) as T;
}

async function readingAgain() {
  const { KeptRegion } = await keptReader<{ KeptRegion: typeof Region }>('kept-region');
  const region = new KeptRegion(await livingRegion(), { native: false });
  return (times: number) => {
    for (let i = 0; i < times; i++) region.read();
  };
}

const FILES = 100;

/** Regions of killed processes, all read by one call. */
async function readingMany() {
  const { KeptRegions } = await keptReader<{ KeptRegions: typeof Regions }>('kept-regions');
  const file = await livingRegion();
  const paths = Array.from({ length: FILES }, (_, i) => `${file}${i}`);
  copyRegion(file, paths);
  const regions = new KeptRegions();
  let rest = 0;
  return (times: number) => {
    for (rest += times; rest >= FILES; rest -= FILES) {
      for (const { error } of regions.readAll(paths)) if (error !== undefined) throw error;
    }
  };
}

/** The bytes on the heap, and in buffers that the heap refers to. */
function allocatedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const trials: Trial[] = [
  { name: 'readRegion(), 35 devices', counts: 'process', prepare: reading },
  { name: 'a kept reader, 35 devices, in JavaScript', counts: 'process', bound: { atMost: 25_000 }, prepare: readingAgain },
  { name: 'the same by native code, a call for 100 files', counts: 'process', bound: { atMost: 8000 }, prepare: readingMany },
  memoryOf('a readRegion()', 20, reading),
  memoryOf('a reading of a kept reader in JavaScript', 1000, readingAgain),
  memoryOf('the same by native code', 1000, readingMany),
];

function memoryOf(what: string, times: number, prepare: () => Promise<(times: number) => unknown>): Trial {
  return {
    name: `memory allocated by ${what}`,
    unit: 'bytes',
    times,
    execArgv: ['--min-semi-space-size=128', '--max-semi-space-size=128'], // so that nothing is collected meanwhile
    prepare: async () => {
      const read = await prepare();
      return async (count) => {
        const before = allocatedBytes();
        await read(count);
        return Math.max(0, allocatedBytes() - before) / count;
      };
    },
  };
}

export const subject = trialSubject('readers', import.meta.url, trials);
