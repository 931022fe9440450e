// The processes that benchmarks start beside trials. They are in bench/children.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { environmentOf, type Tree } from './tree.ts';

export const childPath = (name: string) => fileURLToPath(new URL(`./children/${name}.js`, import.meta.url));

/** Starts the child, and waits for its first message. The child ends by itself when it is disconnected. */
export async function startChild(
  tree: Tree,
  name: string,
  ...words: readonly string[]
): Promise<{ child: ChildProcess; message: unknown }> {
  const child = fork(childPath(name), words, { env: environmentOf(tree) });
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${name} ended with ${signal ?? `exit code ${code}`}`);
  });
  ended.catch(() => {}); // after the first message, the child may end
  const [message] = await Promise.race([once(child, 'message'), ended]);
  return { child, message };
}

export async function endChild(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.disconnect();
  child.kill('SIGCONT');
  await exit;
}
