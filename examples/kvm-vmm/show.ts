// Shows a region file with the command that a user would run.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

/** Prints the command and its output, as wide as the terminal. Returns the error message if the command fails. */
export function showRegion(region: string): string | undefined {
  process.stdout.write(`\n$ vmm-metrics show ${region}\n`);
  const { status, stderr } = spawnSync(process.execPath, [COMMAND, 'show', region], {
    encoding: 'utf8',
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  return status === 0 ? undefined : `vmm-metrics failed: ${stderr.trim()}`;
}
