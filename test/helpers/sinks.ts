// Sinks of tests: named pipes and their contents, descriptors and their flags, children that write.

import { execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import { HANG_MS } from './limits.ts';

/** Makes a named pipe and returns its path. */
export function makeFifo(path: string): string {
  execFileSync('mkfifo', [path]);
  return path;
}

/** Reads everything that a pipe or file has now, and never waits. */
export class Reader {
  readonly fd: number;
  readonly #buffer = Buffer.alloc(0x1_0000);

  constructor(path: string, access = constants.O_RDONLY) {
    this.fd = openSync(path, access | constants.O_NONBLOCK);
  }

  /** Reads at most `limit` bytes, or nothing if there is nothing now. */
  read(limit = Number.POSITIVE_INFINITY): Buffer {
    const parts: Buffer[] = [];
    for (let left = limit; left > 0; ) {
      const count = this.#readOnce(Math.min(left, this.#buffer.length));
      if (count <= 0) break;
      parts.push(Buffer.from(this.#buffer.subarray(0, count)));
      left -= count;
    }
    return Buffer.concat(parts);
  }

  text(limit?: number): string {
    return this.read(limit).toString();
  }

  /** Whether nothing is left to read and there is no writer. */
  atEnd(): boolean {
    return this.#readOnce(1) === 0;
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Returns -1 if there is nothing now. */
  #readOnce(limit: number): number {
    try {
      return readSync(this.fd, this.#buffer, 0, limit, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return -1;
      throw error;
    }
  }
}

/** A named pipe with both ends held by the test: its content stays when other readers and writers leave. */
export class HeldPipe extends Reader {
  constructor(path: string) {
    super(path, constants.O_RDWR);
  }

  /** Fills the pipe with empty lines until there is no room. */
  fill(): void {
    try {
      for (const page = Buffer.alloc(4096, '\n'); ; ) writeSync(this.fd, page);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** A reader that is closed when the test is over. */
export const reading = (path: string) => {
  const reader = new Reader(path);
  onTestFinished(() => reader.close());
  return reader;
};

/** A descriptor that is closed when the test is over, if the test has not closed it. */
export const descriptor = (path: string, flags: string | number) => {
  const fd = openSync(path, flags);
  onTestFinished(() => {
    try {
      closeSync(fd);
    } catch {
      // the test has closed it
    }
  });
  return fd;
};

/** The flags that the kernel has for an open file. */
export function flagsOf(fd: number): number {
  const [, flags] = /^flags:\t(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
  return Number.parseInt(flags!, 8);
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The child's report on stderr: one JSON value. */
  readonly report: Record<string, unknown>;
}

/**
 * Runs `test/fixtures/sink-child.mjs <scenario> <argument>` until it ends by itself. `wrap` is the shell's command
 * line, where `"$@"` stands for the child. Rejects when it is still alive after `limitMs`.
 */
export function runSinkChild(
  scenario: string,
  argument: string | number,
  {
    wrap = 'exec "$@"',
    stdio = ['ignore', 'ignore', 'pipe'],
    limitMs = HANG_MS,
    started = () => {},
  }: {
    wrap?: string;
    stdio?: StdioOptions;
    limitMs?: number;
    started?: (child: ReturnType<typeof spawn>) => void;
  } = {},
): Promise<ChildEnd> {
  const fixture = fileURLToPath(new URL('../fixtures/sink-child.mjs', import.meta.url));
  const command = ['-c', `ulimit -c 0; ${wrap}`, 'sh', process.execPath, fixture, scenario, String(argument)];
  return new Promise((resolve, reject) => {
    // Its own process group, so that the processes of the shell are killed with it.
    const child = spawn('/bin/sh', command, { stdio, detached: true });
    let said = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      process.kill(-child.pid!, 'SIGKILL');
    }, limitMs);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (late) return reject(new Error(`the child '${scenario}' was still alive after ${limitMs} ms; it said: ${said}`));
      try {
        resolve({ code, signal, report: JSON.parse(said) as Record<string, unknown> });
      } catch {
        reject(new Error(`the child '${scenario}' ended with ${code ?? signal} and said: ${said}`));
      }
    });
    started(child);
  });
}
