// A process that counts at full speed until it is killed: test/fixtures/kill.mjs.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { node } from './children.ts';

const fixture = fileURLToPath(new URL('../fixtures/kill.mjs', import.meta.url));

/**
 * Starts a process. `plan` is the plan of the fixture. `ready` resolves when all threads of the process count, or when
 * the process dies.
 */
export function startKillable(plan: object, env: NodeJS.ProcessEnv = process.env) {
  const child = spawn(node, [fixture, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const died = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  const ready = Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), died]);
  return { child, died, ready };
}

/** How many increments each worker has acknowledged, from the ledger that outlives it. */
export function acknowledgedIn(ledger: string, workers: number): number[] {
  const words = readFileSync(ledger);
  return Array.from({ length: workers }, (_, slot) => (words.length === 0 ? 0 : words.readUInt32LE((slot + 1) * 64)));
}
