// SIGKILL to a process that counts at full speed, and what must hold of what it leaves: what was acknowledged is in the
// region, and what is in the lines and what is pending are together what the region has.

import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type RegionReading, readRegion } from 'vmm-metrics';

import { node } from './children.ts';
import { makeFifo } from './sinks.ts';
import { slowWriteLibrary } from './slow-write.ts';
import { type Line, linesOf, temporaryFolder } from './workplace.ts';

const WORKERS = 4;

const fixture = fileURLToPath(new URL('../fixtures/kill.mjs', import.meta.url));

export interface Killed {
  readonly reading: RegionReading;
  readonly lines: Line[];
  /** By worker. */
  readonly acknowledged: bigint[];
}

/** Lets a process count, and die by SIGKILL: `afterMs` after it has begun, or by its own hand at the write `at`. */
export async function killed(sinkKind: 'file' | 'pipe' | 'none', afterMs: number | undefined, at?: readonly number[]): Promise<Killed> {
  const folder = temporaryFolder();
  const file = `${folder}/region`;
  const ledger = `${folder}/ledger`;
  writeFileSync(ledger, '');
  const sink = sinkKind === 'none' ? undefined : `${folder}/lines`;
  let pipe: number | undefined;
  if (sinkKind === 'pipe') {
    makeFifo(sink!);
    pipe = openSync(sink!, constants.O_RDWR | constants.O_NONBLOCK);
  }
  const plan = { file, ledger, workers: WORKERS, ...(sink && { sink }), ...(at && { at }) };
  const env = at ? { ...process.env, LD_PRELOAD: slowWriteLibrary } : process.env;
  const child = spawn(node, [fixture, JSON.stringify(plan)], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const died = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), died]);

  let text = '';
  const drain = () => {
    const buffer = Buffer.alloc(1 << 16);
    try {
      for (let count = 1; count > 0; ) text += buffer.toString('utf8', 0, (count = readSync(pipe!, buffer)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  };
  const draining = pipe === undefined ? undefined : setInterval(drain, 1);
  if (afterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), afterMs);
  expect(await died).toBe('SIGKILL');
  clearInterval(draining);
  if (pipe !== undefined) {
    drain();
    closeSync(pipe);
  } else if (sink !== undefined) text = readFileSync(sink, 'utf8');

  const words = readFileSync(ledger);
  const acknowledged = Array.from({ length: WORKERS }, (_, slot) => BigInt(words.readUInt32LE((slot + 1) * 64)));
  return { reading: await readRegion(file), lines: linesOf(text), acknowledged };
}

const group = (values: unknown, name: string) => (values as Record<string, Record<string, bigint>>)[name]!;
const sum = (lines: readonly Line[], name: string, metric: string) => lines.reduce((total, line) => total + group(line, name)[metric]!, 0n);

/** The invariant. */
export function checkKilled({ reading, lines, acknowledged }: Killed): void {
  expect(reading.state).toBe('killed');
  expect(reading.degraded).toBe(false);
  acknowledged.forEach((count, slot) => {
    const total = group(reading.values, 'load')[`w${slot}`]!;
    expect(count).toBeGreaterThan(0n);
    expect(total === count || total === count + 1n, `worker ${slot}: ${total} in the region, ${count} acknowledged`).toBe(true);
  });
  if (reading.sinkPath === undefined) {
    expect(reading.pending['load']).toEqual(reading.values['load']);
    return;
  }
  expect(reading.linesFlushed === BigInt(lines.length) || reading.lineInFlight === 'unknown').toBe(true);
  const aggregate = (values: RegionReading['values']) => (values['disk'] as unknown as { aggregate: { n: bigint } }).aggregate.n;
  const said = (from: readonly Line[]) => ({
    w: acknowledged.map((_, slot) => sum(from, 'load', `w${slot}`) + group(reading.pending, 'load')[`w${slot}`]!),
    n: sum(from, 'disk', 'n') + aggregate(reading.pending),
  });
  const total = { w: acknowledged.map((_, slot) => group(reading.values, 'load')[`w${slot}`]!), n: aggregate(reading.values) };
  // Of a pipe nobody can tell, when it was killed between the write and the note of it; the line may then be said
  // twice.
  const isDoubled = reading.lineInFlight === 'unknown' && BigInt(lines.length) > reading.linesFlushed;
  expect(said(isDoubled ? lines.slice(0, -1) : lines)).toEqual(total);
}
