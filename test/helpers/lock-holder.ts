// A process that holds the lock of a region file, as a living writer does.

import { spawn } from 'node:child_process';

/** Takes the lock by the tool of util-linux; gives how to end that process, and so to let the lock go. */
export async function holdLock(path: string): Promise<() => Promise<void>> {
  const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  return () =>
    new Promise((resolve) => {
      holder.once('close', () => resolve());
      holder.stdin.end();
    });
}
