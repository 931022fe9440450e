// How long does it take to show a folder of a thousand regions, with 35 devices each?

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { addon } from '../addon.ts';
import { endChild, startChild } from '../children.ts';
import { copyRegion } from '../region-copies.ts';
import { folderInMemory } from '../store.ts';
import type { Measurement, Subject } from '../subject.ts';
import type { Tree } from '../tree.ts';

const FILES = 1000;
const CLOCK = `vmm-metrics show of ${FILES} files: by a clock`;
const PROCESSOR = `vmm-metrics show of ${FILES} files: processor time`;

/** A folder of regions of killed processes. */
async function folderOfRegions(tree: Tree): Promise<string> {
  const folder = folderInMemory();
  const original = join(folder, 'region');
  const { child } = await startChild(tree, 'region-holder', original);
  await endChild(child);
  const copies = join(folder, 'copies');
  mkdirSync(copies);
  copyRegion(
    original,
    Array.from({ length: FILES }, (_, i) => join(copies, `vm${i}`)),
  );
  return copies;
}

async function shown({ folder: root }: Tree, folder: string): Promise<{ clockMs: number; processorMs: number }> {
  const began = performance.now();
  const beganNs = addon.childrenCpuNs();
  const child = spawn(process.execPath, [join(root, 'dist/lib/cli/main.js'), 'show', folder], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`vmm-metrics show ended with exit code ${code}`);
  return { clockMs: performance.now() - began, processorMs: (addon.childrenCpuNs() - beganNs) / 1e6 };
}

const folders = new Map<Tree, string>();

export const subject: Subject = {
  name: 'show',
  rows: [CLOCK, PROCESSOR].map((name) => ({ name, unit: 'ms', bound: { atMost: 1000 } })),
  async measure(trees) {
    const measurements: Measurement[] = [];
    for (const [i, tree] of trees.entries()) {
      if (!folders.has(tree)) folders.set(tree, await folderOfRegions(tree));
      const { clockMs, processorMs } = await shown(tree, folders.get(tree)!);
      measurements.push({ row: CLOCK, tree: i, samples: [{ value: clockMs }] });
      measurements.push({ row: PROCESSOR, tree: i, samples: [{ value: processorMs }] });
    }
    return measurements;
  },
};
