// Lives of one region file and one sink, each of them killed while it counts; and what all of them together must have
// said.

import { spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { node } from './children.ts';
import { makeFifo } from './sinks.ts';
import { type Line, linesOf, temporaryFolder } from './workplace.ts';

const WORKERS = 2;
const fixture = fileURLToPath(new URL('../fixtures/kill.mjs', import.meta.url));

/** Where lines go. The second of three lives finds a pipe that nobody reads, or a disk that is full. */
export type SinkKind = 'file' | 'pipe' | 'unread pipe' | 'full disk';

/** When a life ends: milliseconds from its start, or from the moment when all of it counts. */
export interface Moment {
  readonly ms: number;
  readonly from: 'start' | 'ready';
}

export class Lives {
  readonly folder = temporaryFolder();
  readonly file = `${this.folder}/r`;
  readonly #kind: SinkKind;
  readonly #sink = `${this.folder}/lines`;
  readonly #ledger = `${this.folder}/ledger`;
  #pipe: number | undefined;
  #text = '';
  #lives = 0;
  /**
   * Whether a line was on its way into a pipe when its writer was killed: nobody can tell then, and it may be said
   * twice.
   */
  #mayDouble = false;

  constructor(kind: SinkKind) {
    this.#kind = kind;
    writeFileSync(this.#ledger, '');
    if (kind === 'file') writeFileSync(this.#sink, '');
    if (kind === 'full disk') {
      writeFileSync(`${this.folder}/disk`, '');
      symlinkSync('disk', this.#sink);
    }
    if (kind === 'pipe' || kind === 'unread pipe') {
      makeFifo(this.#sink);
      this.#pipe = openSync(this.#sink, constants.O_RDWR | constants.O_NONBLOCK);
    }
  }

  /** One life, killed; or a last one, that only says what others have not. */
  async live(end: Moment | 'quiet'): Promise<void> {
    const isObstructed = ++this.#lives === 2;
    if (this.#kind === 'full disk') {
      unlinkSync(this.#sink);
      symlinkSync(isObstructed ? '/dev/full' : 'disk', this.#sink);
    }
    const plan = { file: this.file, sink: this.#sink, ledger: this.#ledger, workers: WORKERS, quiet: end === 'quiet' };
    const child = spawn(node, [fixture, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const died = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
    const drains = this.#pipe !== undefined && !(isObstructed && this.#kind === 'unread pipe');
    const draining = drains ? setInterval(() => this.#drain(), 1) : undefined;
    if (end !== 'quiet') {
      if (end.from === 'ready') await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), died]);
      setTimeout(() => child.kill('SIGKILL'), end.ms);
    }
    expect(await died).toBe(end === 'quiet' ? null : 'SIGKILL');
    clearInterval(draining);
    for (const name of this.#regions()) {
      const { lineInFlight, sinkPath } = await readRegion(`${this.folder}/${name}`);
      if (lineInFlight === 'unknown' && this.#pipe !== undefined && sinkPath !== undefined) this.#mayDouble = true;
    }
  }

  /**
   * The invariant: what was acknowledged is in the lines, once. Each life may have been killed between an add and its
   * acknowledgement.
   */
  async check(): Promise<void> {
    const lines = this.#lines();
    const words = readFileSync(this.#ledger);
    for (let slot = 0; slot < WORKERS; slot++) {
      const acknowledged = words.length === 0 ? 0 : words.readUInt32LE((slot + 1) * 64);
      const said = Number(lines.reduce((sum, line) => sum + (line['load'] as Record<string, bigint>)[`w${slot}`]!, 0n));
      const what = `worker ${slot}: ${said} in ${lines.length} lines, ${acknowledged} acknowledged`;
      expect(said, what).toBeGreaterThanOrEqual(acknowledged);
      if (!this.#mayDouble) expect(said, what).toBeLessThanOrEqual(acknowledged + this.#lives);
    }
    // Nothing is left to be said, and so no old file.
    expect(this.#regions().filter((name) => /\.\d+$/.test(name))).toEqual([]);
    for (const name of this.#regions()) expect(await readRegion(`${this.folder}/${name}`)).toMatchObject({ hasPending: false });
  }

  #regions(): string[] {
    return readdirSync(this.folder).filter((name) => /^r(\.previous(\.\d+)?)?$/.test(name));
  }

  #lines(): Line[] {
    if (this.#pipe !== undefined) {
      this.#drain();
      closeSync(this.#pipe);
      this.#pipe = undefined;
      // Where a line was cut, it is ended by a newline, and said again whole.
      return linesOf(
        this.#text
          .split('\n')
          .slice(0, -1)
          .filter(isWhole)
          .map((line) => `${line}\n`)
          .join(''),
      );
    }
    const path = this.#kind === 'full disk' ? `${this.folder}/disk` : this.#sink;
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    return linesOf(
      text
        .split('\n')
        .slice(0, -1)
        .filter(isWhole)
        .map((line) => `${line}\n`)
        .join(''),
    );
  }

  #drain(): void {
    const buffer = Buffer.alloc(1 << 16);
    try {
      for (let count = 1; count > 0; ) this.#text += buffer.toString('latin1', 0, (count = readSync(this.#pipe!, buffer)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** Whether it is a whole line; else it is the first part of one, whose writer was killed: never two that are fused. */
function isWhole(line: string): boolean {
  if (line.endsWith('}')) return true;
  expect(line.indexOf('{"utc_timestamp_ms"', 1), `two lines are fused: ${line}`).toBe(-1);
  return false;
}
