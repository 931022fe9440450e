// The agent of a host, `vmm-metrics serve`, as a process of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { environmentOf, type Tree } from './tree.ts';

const WITHOUT_NATIVE = fileURLToPath(new URL('./children/without-native-text.js', import.meta.url));

/** Starts `vmm-metrics serve` of the tree, and waits until it listens. */
export async function startAgent(tree: Tree, pattern: string, isNative: boolean): Promise<{ agent: ChildProcess; port: number }> {
  const command = join(tree.folder, 'dist/lib/cli/main.js');
  const agent = spawn(
    process.execPath,
    [...(isNative ? [] : ['--import', WITHOUT_NATIVE]), command, 'serve', pattern, '--listen', '127.0.0.1:0'],
    {
      env: environmentOf(tree),
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let text = '';
  const port = await new Promise<number>((resolve, reject) => {
    agent.stderr!.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const [, found] = /:(\d+); region files/.exec(text) ?? [];
      if (found !== undefined) resolve(Number(found));
    });
    agent.once('exit', (code) => reject(new Error(`the agent ended with exit code ${code}: ${text}`)));
  });
  return { agent, port };
}
