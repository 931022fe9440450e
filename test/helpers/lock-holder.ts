// A process that holds the lock of a region file, as a living writer does.

import { spawn } from 'node:child_process';

/** Takes the lock with flock(1). Returns a function that ends the process, which releases the lock. */
export async function holdLock(path: string): Promise<() => Promise<void>> {
  const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  return () =>
    new Promise((resolve) => {
      holder.once('close', () => resolve());
      holder.stdin.end();
    });
}
