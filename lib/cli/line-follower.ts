// Follows a file of flushed lines, as `tail -F` does: prints what is new, and opens a file again that was rotated.

import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { LineKinds } from '../lines/kinds.ts';
import { numbersOf } from '../lines/line.ts';
import { digits } from '../text.ts';
import { report } from './command.ts';
import { plain } from './terminal-text.ts';
import { withContext } from './whole-file.ts';

/** How often to look for new lines. */
const LOOK_MS = 200;
const READ_BYTES = 1 << 16;
const NEWLINE = 10;

export class LineFollower {
  readonly #path: string;
  readonly #kinds: LineKinds;
  readonly #isNamed: (path: string) => boolean;
  readonly #gauges = new Map<string, bigint>();
  #file = -1;
  #at = 0;
  #rest: Buffer = Buffer.alloc(0);
  #lastMs: number | undefined;

  constructor(path: string, kinds: LineKinds, isNamed: (path: string) => boolean) {
    this.#path = path;
    this.#kinds = kinds;
    this.#isNamed = isNamed;
  }

  /** Begins at the end of the file, and never returns. */
  async run(): Promise<never> {
    // Look first: to open a pipe is to wait for its writer.
    const isFile = withContext(`Cannot read '${this.#path}'`, () => statSync(this.#path).isFile());
    if (!isFile) throw new Error(`'${this.#path}' is no regular file, so --follow cannot find its new lines`);
    this.#file = withContext(`Cannot read '${this.#path}'`, () => openSync(this.#path, 'r'));
    this.#at = fstatSync(this.#file).size;
    for (;;) {
      this.#readNew();
      if (this.#isReplaced()) {
        this.#readNew(); // what came just before
        this.#reopen();
        continue;
      }
      await sleep(LOOK_MS);
    }
  }

  #readNew(): void {
    const bytes = Buffer.alloc(READ_BYTES);
    if (fstatSync(this.#file).size < this.#at) {
      report(`'${this.#path}' was cut short; reading it from its beginning`);
      this.#at = 0;
      this.#rest = Buffer.alloc(0);
    }
    for (;;) {
      const count = readSync(this.#file, bytes, 0, bytes.length, this.#at);
      if (count === 0) return;
      this.#at += count;
      this.#rest = Buffer.concat([this.#rest, bytes.subarray(0, count)]);
      let from = 0;
      for (let end = this.#rest.indexOf(NEWLINE); end >= 0; end = this.#rest.indexOf(NEWLINE, from)) {
        this.#show(this.#rest.toString('utf8', from, end));
        from = end + 1;
      }
      this.#rest = this.#rest.subarray(from);
    }
  }

  /** Whether the path names another file now. A path that names nothing may name a new file soon. */
  #isReplaced(): boolean {
    const named = statSync(this.#path, { throwIfNoEntry: false });
    const own = fstatSync(this.#file);
    return named !== undefined && (named.ino !== own.ino || named.dev !== own.dev);
  }

  #reopen(): void {
    const file = withContext(`Cannot read '${this.#path}'`, () => openSync(this.#path, 'r'));
    closeSync(this.#file);
    this.#file = file;
    this.#at = 0;
    if (this.#rest.length > 0) report('skipped a torn line at the end of the file that was rotated');
    this.#rest = Buffer.alloc(0);
  }

  #show(text: string): void {
    if (text.trim() === '') return;
    const line = numbersOf(text, this.#kinds.timeKey);
    if (line === undefined) {
      report('skipped a torn line');
      return;
    }
    const { timeMs, numbers } = line;
    const seconds = timeMs === undefined || this.#lastMs === undefined ? 0 : (timeMs - this.#lastMs) / 1000;
    this.#lastMs = timeMs;
    const shown = numbers.flatMap(([path, value]) => (this.#isNamed(path) ? this.#textOf(path, value, seconds) : []));
    const time = timeMs === undefined ? '' : `${new Date(timeMs).toISOString()}  `;
    process.stdout.write(`${time}${shown.length === 0 ? 'no changes' : shown.join('  ')}\n`);
  }

  /** A counter that went up, or a gauge with a new value. */
  #textOf(path: string, value: bigint, seconds: number): string[] {
    if (this.#kinds.of(path).kind === 'store') {
      const before = this.#gauges.get(path) ?? 0n;
      this.#gauges.set(path, value);
      return value === before ? [] : [`${plain(path)} ${digits(value)}`];
    }
    if (value === 0n) return [];
    const rate = seconds > 0 ? ` (${Number((Number(value) / seconds).toPrecision(3))}/s)` : '';
    return [`${plain(path)} +${digits(value)}${rate}`];
  }
}
