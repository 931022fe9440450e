// SIGKILL at random moments, and at the worst ones: what was acknowledged is in the region, and what is in the lines and what is pending are
// together what the region has. VMM_METRICS_SOAK_KILLS says how often, VMM_METRICS_SOAK_SEED which.

import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { type RegionReading, readRegion } from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { type Line, linesOf, temporaryFolder } from './helpers/workplace.ts';

const kills = Number(process.env['VMM_METRICS_SOAK_KILLS'] ?? 6);
const seed = Number(process.env['VMM_METRICS_SOAK_SEED'] ?? Date.now() % 2 ** 31);
const WORKERS = 4;

const fixture = fileURLToPath(new URL('./fixtures/kill.mjs', import.meta.url));
const preload = fileURLToPath(new URL('./addon/build/Release/slow_write.node', import.meta.url));

interface Killed {
  readonly reading: RegionReading;
  readonly lines: Line[];
  /** By worker. */
  readonly acknowledged: bigint[];
}

/** Lets a process count, and die by SIGKILL: `afterMs` after it has begun, or by its own hand at the write `at`. */
async function killed(sinkKind: 'file' | 'pipe' | 'none', afterMs: number | undefined, at?: readonly number[]): Promise<Killed> {
  const folder = temporaryFolder();
  const file = `${folder}/region`;
  const ledger = `${folder}/ledger`;
  writeFileSync(ledger, '');
  const sink = sinkKind === 'none' ? undefined : `${folder}/lines`;
  let pipe: number | undefined;
  if (sinkKind === 'pipe') {
    const { execFileSync } = await import('node:child_process');
    execFileSync('mkfifo', [sink!]);
    pipe = openSync(sink!, constants.O_RDWR | constants.O_NONBLOCK);
  }
  const plan = { file, ledger, workers: WORKERS, ...(sink && { sink }), ...(at && { at }) };
  const env = at ? { ...process.env, LD_PRELOAD: preload } : process.env;
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
function check({ reading, lines, acknowledged }: Killed): void {
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
  // Of a pipe nobody can tell, when it was killed between the write and the note of it; the line may then be said twice.
  const isDoubled = reading.lineInFlight === 'unknown' && BigInt(lines.length) > reading.linesFlushed;
  expect(said(isDoubled ? lines.slice(0, -1) : lines)).toEqual(total);
}

function randomFrom(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const settled = new Map<string, number>();
afterAll(() => console.log(`${kills} kills, seed ${seed}; lines in flight: ${[...settled].map(([how, n]) => `${how} ${n}`).join(', ')}`));

describe('given 4 workers at full speed and a flush each millisecond', () => {
  test(
    `when the process is killed at ${kills} random moments, then every acknowledged increment is in the region, and none is said twice`,
    { timeout: 60_000 + kills * 3000 },
    async () => {
      const random = randomFrom(seed);
      for (let i = 0; i < kills; i++) {
        const sink = (['file', 'file', 'pipe', 'none'] as const)[Math.floor(random() * 4)]!;
        const death = await killed(sink, random() * 80);
        const how = death.reading.lineInFlight ?? 'none';
        settled.set(how, (settled.get(how) ?? 0) + 1);
        check(death);
      }
    },
  );

  test('when it is killed between the last byte of a line and its commit, then the line counts as read, though nobody committed it', async () => {
    const death = await killed('file', undefined, [-1, 9]);
    expect(death.reading.lineInFlight).toBe('out');
    expect(death.lines.length).toBe(1);
    expect(group(death.reading.values, 'load')['w0']).toBeGreaterThan(group(death.reading.pending, 'load')['w0']!);
    check(death);
  });

  test('when it is killed in the midst of a line, then nothing of that line counts as read', async () => {
    const death = await killed('file', undefined, [0, 9]);
    expect(death.reading.lineInFlight).toBe('pending');
    expect(death.lines.length).toBe(0);
    check(death);
  });

  test('when it is killed so with a pipe, then the reader does not claim to know', async () => {
    const whole = await killed('pipe', undefined, [-1, 9]);
    expect(whole.reading.lineInFlight).toBe('unknown');
    expect(whole.lines.length).toBe(1);
    check(whole);
  });
});
