// The virtual machines of a host, for benchmarks of the agent: Firecracker's schema with 35 devices each, in region
// files of processes that live or were killed.

import type { ChildProcess } from 'node:child_process';

import { startChild } from './children.ts';
import type { Tree } from './tree.ts';

/** A process has at most 64 region files. */
const IN_A_PROCESS = 50;

/**
 * Starts `count` virtual machines in FOLDER/vmN/metrics.region, from number `first` on. A process ends by itself when
 * it is disconnected.
 */
export async function startMachines(tree: Tree, folder: string, first: number, count: number): Promise<ChildProcess[]> {
  const begins = Array.from({ length: count / IN_A_PROCESS }, (_, i) => first + i * IN_A_PROCESS);
  const started = begins.map((begin) => startChild(tree, 'fleet', folder, `${begin}`, `${IN_A_PROCESS}`));
  return (await Promise.all(started)).map(({ child }) => child);
}

/**
 * Starts `living` virtual machines, and `dead` more, which are killed. The living ones last until this process ends.
 */
export async function startHost(tree: Tree, folder: string, living: number, dead: number): Promise<ChildProcess[]> {
  for (const child of await startMachines(tree, folder, living, dead)) child.kill('SIGKILL');
  const children = await startMachines(tree, folder, 0, living);
  for (const child of children) {
    child.unref();
    child.channel?.unref();
  }
  return children;
}
