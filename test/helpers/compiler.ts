// The compilers of C and C++, on code that uses the public header.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { HANG_MS } from './limits.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Where node_api.h is: node-gyp wrote that down when it built the addon. */
export const nodeHeaders = () => {
  const config = readFileSync(join(root, 'build/config.gypi'), 'utf8').replace(/^#.*$/gm, '');
  return join((JSON.parse(config) as { variables: { nodedir: string } }).variables.nodedir, 'include/node');
};

/** All warnings that the public header promises to be free of. */
export const STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow'];

export interface Compiled {
  readonly code: number | null;
  /** Errors and warnings. */
  readonly said: string;
}

/** Runs the compiler of the language in the root of the project. */
export function compile(language: 'c' | 'c++', ...args: string[]): Compiled {
  const { CC, CXX } = process.env;
  const [command, ...more] = (language === 'c' ? CC || 'cc' : CXX || 'c++').split(' ');
  const all = [...more, ...args, '-Iinclude', '-isystem', nodeHeaders()];
  const { status, stderr, error } = spawnSync(command!, all, { cwd: root, encoding: 'utf8', timeout: HANG_MS });
  if (error !== undefined) throw error;
  return { code: status, said: stderr };
}

/** The instructions of each function of an object file, by the name of the function. */
export function instructionsOf(object: string): ReadonlyMap<string, readonly string[]> {
  const { stdout, status } = spawnSync('objdump', ['-d', '--no-show-raw-insn', object], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`objdump ended with ${status}`);
  const functions = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of stdout.split('\n')) {
    const [, name] = /^[0-9a-f]+ <(.+)>:$/.exec(line) ?? [];
    if (name !== undefined) functions.set(name, (current = []));
    const [, instruction] = /^\s+[0-9a-f]+:\s+(.+?)\s*$/.exec(line) ?? [];
    if (instruction !== undefined) current.push(instruction.replace(/\s+/g, ' '));
  }
  return functions;
}
