import { type SpawnOptions, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { HANG_MS } from './limits.ts';

export interface ChildDeath {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ChildOptions {
  /** Options for Node itself. */
  readonly execArgv?: readonly string[];
  /** Shell code that runs before the child replaces the shell. */
  readonly before?: string;
  /** A command that runs Node, with its own arguments first. */
  readonly prefix?: readonly string[];
  readonly timeoutMs?: number;
  /** Gets the output of the child at once. */
  readonly hears?: (text: string) => void;
}

/** The Node to test: VMM_METRICS_NODE, or the one that runs the tests. */
export const node = process.env['VMM_METRICS_NODE'] ?? process.execPath;

/** Runs test/fixtures/<name> in its own process, without core dumps, and returns how it ended. */
export function runChild(name: string, args: readonly string[] = [], options: ChildOptions = {}): Promise<ChildDeath> {
  const file = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
  const { execArgv = [], before = ':', prefix = [], timeoutMs = HANG_MS, hears } = options;
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', `ulimit -c 0; ${before}; exec "$@"`, 'sh', ...prefix, node, ...execArgv, file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      hears?.(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (late) reject(new Error(`${name} ${args.join(' ')} was still alive after ${timeoutMs} ms\n${stderr}`));
      else resolve({ code, signal, stdout, stderr });
    });
  });
}

/** Runs a program without a shell, and returns how it ended. */
export function runProgram(file: string, args: readonly string[], options: SpawnOptions = {}): Promise<ChildDeath> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
