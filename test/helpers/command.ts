// The command `vmm-metrics`, run as a shell runs it.

import { execFile, type SpawnSyncOptions, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { node } from './children.ts';
import { HANG_MS } from './limits.ts';

export const program = fileURLToPath(new URL('../../dist/lib/cli/main.js', import.meta.url));

export interface End {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function cli(...args: string[]): Promise<End> {
  return new Promise((resolve) => {
    execFile(node, [program, ...args], { timeout: HANG_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}

/** The same, while this thread waits. */
export function cliSync(args: readonly string[], options: SpawnSyncOptions = {}): SpawnSyncReturns<string> {
  return spawnSync(node, [program, ...args], { timeout: HANG_MS, maxBuffer: 2 ** 28, ...options, encoding: 'utf8' });
}

/** The form of every message on standard error. */
export const oneLine = /^vmm-metrics: [^\n]+\n$/;
