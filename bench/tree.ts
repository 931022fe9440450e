// The built trees that a run measures: this one, and the one of --against. Each process measures one tree; a variable
// of its environment names the tree's folder.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import type { firecracker } from 'vmm-metrics/firecracker';

const VARIABLE = 'VMM_METRICS_BENCH_TREE';

export interface Tree {
  readonly folder: string;
}

/** This tree, without the folder `dist` that this file runs in. */
export const HERE = fileURLToPath(new URL('../../', import.meta.url));

export function treeAt(folder: string): Tree {
  const root = resolve(folder);
  if (!existsSync(join(root, 'dist/lib/index.js'))) throw new Error(`${root} has no dist/lib/index.js: run npm run compile there`);
  return { folder: root };
}

/** The environment of a process that measures the tree. */
export function environmentOf({ folder }: Tree): NodeJS.ProcessEnv {
  return { ...process.env, [VARIABLE]: folder };
}

/** The tree that this process measures. */
export function measuredTree(): Tree {
  return { folder: process.env[VARIABLE] ?? HERE };
}

/** `vmm-metrics/kvm` in the tree that this process measures; undefined if the tree is older. */
export async function kvmUnderTest(): Promise<typeof import('vmm-metrics/kvm') | undefined> {
  const file = join(measuredTree().folder, 'dist/lib/kvm.js');
  return existsSync(file) ? import(pathToFileURL(file).href) : undefined;
}

export async function prometheusUnderTest(): Promise<typeof import('vmm-metrics/prometheus') | undefined> {
  const file = join(measuredTree().folder, 'dist/lib/prometheus.js');
  return existsSync(file) ? import(pathToFileURL(file).href) : undefined;
}

type Package = typeof import('vmm-metrics') & {
  readonly firecracker: typeof firecracker;
  /** Only in later versions. */
  readonly firecrackerSchema?: (options: { histograms: 'groups' | 'all' }) => typeof firecracker;
};

/** The package in the tree that this process measures. */
export async function underTest(): Promise<Package> {
  const [index, schemas] = await Promise.all(
    ['index', 'firecracker'].map(
      (name) => import(pathToFileURL(join(measuredTree().folder, `dist/lib/${name}.js`)).href) as Promise<Package>,
    ),
  );
  return { ...schemas!, ...index! };
}

/** The commit that the tree has checked out, with a `+` where files were changed since. */
export function commitOf({ folder }: Tree): string {
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', folder, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}
