// Processes that use one region file and one sink, one after the other. Each is killed while it counts. Together, their
// lines must contain every count.

import { existsSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { acknowledgedIn, startKillable } from './killable.ts';
import { HeldPipe, makeFifo } from './sinks.ts';
import { type Line, linesOf, sumOf, temporaryFolder } from './workplace.ts';

const WORKERS = 2;

/** The sink. The second of three lives finds a pipe that nobody reads, or a full disk. */
export type SinkKind = 'file' | 'pipe' | 'unread pipe' | 'full disk';

/** When a life ends: milliseconds after its start, or after all its threads have begun to count. */
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
  #pipe: HeldPipe | undefined;
  #text = '';
  #lives = 0;
  /**
   * Whether a line was in flight to a pipe when its writer was killed. Nobody can tell then whether the line is out,
   * and it may be written twice.
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
      this.#pipe = new HeldPipe(makeFifo(this.#sink));
    }
  }

  /** Runs a life that is killed, or a last life that only writes the lines of the others. */
  async live(end: Moment | 'quiet'): Promise<void> {
    const isObstructed = ++this.#lives === 2;
    if (this.#kind === 'full disk') {
      unlinkSync(this.#sink);
      symlinkSync(isObstructed ? '/dev/full' : 'disk', this.#sink);
    }
    const plan = { file: this.file, sink: this.#sink, ledger: this.#ledger, workers: WORKERS, quiet: end === 'quiet' };
    const { child, died, ready } = startKillable(plan);
    const drains = this.#pipe !== undefined && !(isObstructed && this.#kind === 'unread pipe');
    const draining = drains ? setInterval(() => this.#drain(), 1) : undefined;
    if (end !== 'quiet') {
      if (end.from === 'ready') await ready;
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
   * Checks the invariant: every acknowledged increment is in the lines once. Each life may have been killed between an
   * add and its acknowledgement.
   */
  async check(): Promise<void> {
    const lines = this.#lines();
    for (const [slot, acknowledged] of acknowledgedIn(this.#ledger, WORKERS).entries()) {
      const said = Number(sumOf(lines, `load.w${slot}`));
      const what = `worker ${slot}: ${said} in ${lines.length} lines, ${acknowledged} acknowledged`;
      expect(said, what).toBeGreaterThanOrEqual(acknowledged);
      if (!this.#mayDouble) expect(said, what).toBeLessThanOrEqual(acknowledged + this.#lives);
    }
    // Nothing is pending, so no old file is left.
    expect(this.#regions().filter((name) => /\.\d+$/.test(name))).toEqual([]);
    for (const name of this.#regions()) expect(await readRegion(`${this.folder}/${name}`)).toMatchObject({ hasPending: false });
  }

  #regions(): string[] {
    return readdirSync(this.folder).filter((name) => /^r(\.previous(\.\d+)?)?$/.test(name));
  }

  #lines(): Line[] {
    const path = this.#kind === 'full disk' ? `${this.folder}/disk` : this.#sink;
    let text = this.#pipe === undefined && existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (this.#pipe !== undefined) {
      this.#drain();
      this.#pipe.close();
      this.#pipe = undefined;
      text = this.#text;
    }
    // A line that was cut is ended by a newline, and written again whole.
    const whole = text.split('\n').slice(0, -1).filter(isWhole);
    return linesOf(whole.map((line) => `${line}\n`).join(''));
  }

  #drain(): void {
    this.#text += this.#pipe!.text();
  }
}

/**
 * Whether the line is whole. If not, it must be the first part of one line, whose writer was killed, and not two fused
 * lines.
 */
function isWhole(line: string): boolean {
  if (line.endsWith('}')) return true;
  expect(line.indexOf('{"utc_timestamp_ms"', 1), `two lines are fused: ${line}`).toBe(-1);
  return false;
}
