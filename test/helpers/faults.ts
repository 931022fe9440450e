// One fault in its own process, with and without capture. Capture must change nothing but the lines.

import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';

import { type ChildDeath, type ChildOptions, runChild } from './children.ts';
import { expectExact, type Load, makeLedger, WRITERS } from './ledger.ts';
import { at, type Line, linesOf, sumOf, temporaryFolder } from './workplace.ts';

/**
 * The thread that has the fault. `thread` is a thread of the addon, and `pool` is a thread of libuv. `attached` is a
 * thread that has claimed a shard, and `claimed-twice` is a thread that has claimed two shards and given one back.
 */
export type Where = 'main' | 'worker' | 'thread' | 'pool' | 'attached' | 'claimed-twice';

/** The plan of test/fixtures/fault.mjs. */
export interface Plan {
  /**
   * A way that the fixture or test/addon/deaths.cc has; `shot`: a signal is sent to one thread under load.
   */
  readonly how: string;
  readonly where?: Where;
  /** The signal of `kill` and `shot`, and of a handler that is installed before or after capture. */
  readonly signal?: NodeJS.Signals;
  readonly before?: 'reporter' | 'mender' | 'ignored' | 'default' | 'listener';
  readonly after?: 'reporter';
  /**
   * The next line stays half written for `ms` milliseconds, and the fault comes meanwhile: a signal on the same thread,
   * or `how`.
   */
  readonly writing?: { readonly ms: number; readonly signal?: NodeJS.Signals };
  readonly load?: Load;
  readonly [option: string]: unknown;
}

export interface Case {
  /** Goes on "when ..."; left out: the thread, and whether under load. */
  readonly name?: string;
  readonly plan: Plan;
  readonly run?: ChildOptions;
  /** The signal or exit code that the process ends with. */
  readonly ends: NodeJS.Signals | number;
  /** The marks of the end in the last line; null: there is no line. */
  readonly marks: Record<string, bigint> | null;
  /** The number of lines, if it is known; 1 if left out. */
  readonly lines?: number;
  readonly said?: string | RegExp;
  /** Whether stock Node behaves differently by design. */
  readonly incomparable?: true;
}

/** The numbers of a line that show how the process ended. */
export function marksOf(line: Line): Record<string, bigint> {
  const all = {
    ...(line['signals'] as Record<string, bigint>),
    panic_count: at(line, 'vmm.panic_count') as bigint,
    num_faults: at(line, 'seccomp.num_faults') as bigint,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0n));
}

export const runFault = (plan: Plan, options?: ChildOptions): Promise<ChildDeath> => runChild('fault.mjs', [JSON.stringify(plan)], options);

/** The death without capture. Load does not change it. */
export function stockDeath({ plan, run }: Case): Promise<ChildDeath> {
  const { load, ...rest } = plan;
  const how = plan.how === 'shot' ? 'kill' : plan.how;
  return runFault({ ...rest, how, sink: `${temporaryFolder()}/lines`, noCapture: true }, run);
}

/** The death without the addresses and heap sizes of a fatal error's report, which differ from run to run. */
export function outlineOf({ code, signal, stdout, stderr }: ChildDeath) {
  const outlined = stderr.replace(/<--- Last few GCs --->[\s\S]*?(?=<--- JS stacktrace|FATAL)/, '').replace(/0x[0-9a-f]+/g, '0x');
  return { code, signal, stdout: stdout.replace(/^alive .*\n/gm, ''), stderr: outlined };
}

/** Lets the fault happen, and checks death and lines. `stock`: the death without capture, when it is known already. */
export async function checkFault(one: Case, stock: Promise<ChildDeath> = stockDeath(one)): Promise<void> {
  const { plan, ends, marks, run } = one;
  const sink = `${temporaryFolder()}/lines`;
  const load = plan.load && { ...plan.load, ledger: `${sink}.ledger`, writers: WRITERS };
  if (load) makeLedger(load.ledger, load);
  const [death, expected] = await Promise.all([runFault({ ...plan, sink, ...(load && { load }) }, run), one.incomparable ? null : stock]);

  expect(death).toMatchObject(typeof ends === 'number' ? { code: ends, signal: null } : { code: null, signal: ends });
  if (expected && load) expect({ code: death.code, signal: death.signal }).toEqual({ code: expected.code, signal: expected.signal });
  else if (expected) expect(outlineOf(death)).toEqual(outlineOf(expected));
  if (one.said !== undefined) expect(death.stdout).toMatch(one.said);

  const text = existsSync(sink) ? readFileSync(sink, 'utf8') : '';
  // If no handler runs, the kernel ends the writing thread in the middle of its write, as SIGKILL does.
  if (marks !== null) expect(text === '' || text.endsWith('}\n'), 'no line is torn').toBe(true);
  const lines = linesOf(text);
  if (load) expectExact(lines, load.ledger, load, marks !== null);
  else expectAll(lines, plan, marks);
  if (marks === null) {
    expect(lines.flatMap((line) => Object.keys(marksOf(line)))).toEqual([]);
    if (!load) expect(lines).toHaveLength(one.lines ?? 0);
    return;
  }
  // Other lines may follow a line that stays half written for long enough.
  if (plan.writing) expect(lines.length).toBeGreaterThan(1);
  else if (!load) expect(lines).toHaveLength(one.lines ?? 1);
  expect(marksOf(lines.at(-1)!)).toEqual(marks);
  // A line in flight may have the mark already. Earlier lines have no mark.
  const marked = lines.map((line) => Object.keys(marksOf(line)).length > 0);
  expect(marked, 'a mark, once set, stays').toEqual(marked.toSorted());
}

/** The counts of the fixture without load. */
function expectAll(lines: readonly Line[], plan: Plan, marks: Case['marks']): void {
  if (marks === null) return;
  expect(sumOf(lines, 'vcpu.exit_io_out')).toBe(plan.writing && plan.writing.signal === undefined ? 10n : 7n);
  expect(sumOf(lines, 'vcpu.exit_io_in')).toBe(plan.where === 'worker' ? 5n : 0n);
}

/** All threads count while lines are written, and the fault occurs meanwhile. */
export const someLoad: Load = { workers: 1, threads: 1, shared: false, flushMs: 2, ms: 20, delayUs: 0, stops: true };
