// Kills a process that counts at full speed, and checks the invariant of its files: the region has every acknowledged
// increment, and the lines and the pending deltas add up to the values of the region.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type RegionReading, readRegion } from 'vmm-metrics';

import { acknowledgedIn, startKillable } from './killable.ts';
import { HeldPipe, makeFifo } from './sinks.ts';
import { slowWriteLibrary } from './slow-write.ts';
import { type Line, linesOf, sumOf, temporaryFolder } from './workplace.ts';

const WORKERS = 4;

export interface Killed {
  readonly reading: RegionReading;
  readonly lines: Line[];
  /** The increments that each worker has acknowledged. */
  readonly acknowledged: bigint[];
}

/** What happens during the write of the first line. The fixture explains both. */
export interface Moment {
  readonly at: readonly number[];
  readonly plug?: { readonly remove: readonly string[]; readonly add: readonly string[] };
}

/** Runs a process that counts and dies by SIGKILL: some milliseconds after its start, or by itself at a moment. */
export async function killed(sinkKind: 'file' | 'pipe' | 'none', when: number | Moment): Promise<Killed> {
  const folder = temporaryFolder();
  const file = `${folder}/region`;
  const ledger = `${folder}/ledger`;
  writeFileSync(ledger, '');
  const moment = typeof when === 'number' ? undefined : when;
  const sink = sinkKind === 'none' ? undefined : `${folder}/lines`;
  const pipe = sinkKind === 'pipe' ? new HeldPipe(makeFifo(sink!)) : undefined;
  const plan = { file, ledger, workers: WORKERS, ...(sink && { sink }), ...moment };
  const env = moment ? { ...process.env, LD_PRELOAD: slowWriteLibrary } : process.env;
  const { child, died, ready } = startKillable(plan, env);
  await ready;

  let text = '';
  const drain = () => {
    text += pipe!.text();
  };
  const draining = pipe === undefined ? undefined : setInterval(drain, 1);
  if (typeof when === 'number') setTimeout(() => child.kill('SIGKILL'), when);
  expect(await died).toBe('SIGKILL');
  clearInterval(draining);
  if (pipe !== undefined) {
    drain();
    pipe.close();
  } else if (sink !== undefined) text = readFileSync(sink, 'utf8');

  const acknowledged = acknowledgedIn(ledger, WORKERS).map(BigInt);
  return { reading: await readRegion(file), lines: linesOf(text), acknowledged };
}

const group = (values: unknown, name: string) => (values as Record<string, Record<string, bigint>>)[name]!;

/** Checks the invariant. */
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
    w: acknowledged.map((_, slot) => sumOf(from, `load.w${slot}`) + group(reading.pending, 'load')[`w${slot}`]!),
    n: sumOf(from, 'disk.n') + aggregate(reading.pending),
  });
  const total = { w: acknowledged.map((_, slot) => group(reading.values, 'load')[`w${slot}`]!), n: aggregate(reading.values) };
  // If the process was killed after a write to a pipe, but before it recorded that write, nobody can tell whether the
  // line is out. The line may then be written twice.
  const isDoubled = reading.lineInFlight === 'unknown' && BigInt(lines.length) > reading.linesFlushed;
  expect(said(isDoubled ? lines.slice(0, -1) : lines)).toEqual(total);
}
