import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { node } from './children.ts';
import { program } from './command.ts';
import { HANG_MS } from './limits.ts';

export interface Session {
  readonly code: number | null;
  readonly signal: string | null;
  readonly screens: readonly string[];
  /** The state of the terminal each time that the program was stopped. */
  readonly stopped: readonly { readonly isStopped: boolean; readonly wrote: string; readonly restored: boolean }[];
  readonly last: string;
  readonly restored: boolean;
}

/** The keys to type, or an action. `stop` sends the signal, waits until the program is stopped, and continues it. */
export type Action = string | { resize: [number, number] } | { kill: string } | { stop: string } | { run: string };

const fixture = fileURLToPath(new URL('../fixtures/terminal.py', import.meta.url));

/** A terminal with colours, wherever the tests run: in a run of CI, Node finds no colours in any terminal. */
const TERMINAL = { TERM: 'xterm-256color', CI: undefined, NO_COLOR: undefined, FORCE_COLOR: undefined };

/** The command `vmm-metrics` in a terminal of that size: each step waits until the screen shows something. */
export function inTerminal(
  columns: number,
  rows: number,
  steps: readonly (readonly [shown: string, action: Action])[],
  ...args: string[]
): Promise<Session> {
  return new Promise((resolve, reject) => {
    execFile(
      'python3',
      [fixture, `${columns}`, `${rows}`, JSON.stringify(steps), node, program, ...args],
      { env: { ...process.env, ...TERMINAL }, timeout: HANG_MS, maxBuffer: 1 << 26 },
      (error, stdout) => (error ? reject(error) : resolve(JSON.parse(stdout) as Session)),
    );
  });
}

/** The screen after the last whole drawing, without colours. */
export function screenOf(text: string): string {
  const drawn = text.split('\x1b[H').at(-1)!;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern looks for them.
  return drawn.replace(/\x1b\[[\d;?]*[A-Za-z]/g, '').replaceAll('\r', '');
}

/** Turns wrapping on, shows the cursor, and restores the earlier screen. */
export const LEFT = '\x1b[?7h\x1b[?25h\x1b[?1049l';
