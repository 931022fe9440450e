// Random crashes: a seed chooses signal, thread, phase and load. VMM_METRICS_SOAK_CRASHES sets how many crashes there
// are, VMM_METRICS_SOAK_SEED the seed.

import { describe, test } from 'vitest';

import type { ChildDeath } from './helpers/children.ts';
import { type Case, checkFault, type Plan, stockDeath, type Where } from './helpers/faults.ts';
import { randomFrom } from './helpers/random.ts';
import { soakSeed as seed, soakNumber } from './helpers/soak.ts';

const crashes = soakNumber('CRASHES', 12);

const ENDS = {
  SIGSEGV: { sigsegv: 1n },
  SIGBUS: { sigbus: 1n },
  SIGILL: { sigill: 1n },
  SIGFPE: {},
  SIGSYS: { num_faults: 1n },
  SIGABRT: { panic_count: 1n },
  SIGTRAP: {},
  SIGTERM: {},
  SIGINT: {},
  SIGHUP: { sighup: 1n },
  SIGXCPU: { sigxcpu: 1n },
} as const satisfies { [signal in NodeJS.Signals]?: Case['marks'] };
type Signal = keyof typeof ENDS;

/** The signal that each fault ends with. */
const FAULTS: readonly (readonly [how: string, ends: Signal])[] = [
  ['null', 'SIGSEGV'],
  ['overflow', 'SIGSEGV'],
  ['truncated', 'SIGBUS'],
  ['illegal', 'SIGILL'],
  ['divide', 'SIGFPE'],
  ['seccomp', 'SIGSYS'],
  ['abort', 'SIGABRT'],
  ['terminate', 'SIGABRT'],
  ['double-free', 'SIGABRT'],
];
const WHERES: readonly Where[] = ['main', 'worker', 'thread', 'pool', 'attached'];

function randomCase(random: () => number): Case {
  const below = (n: number) => Math.floor(random() * n);
  const pick = <T>(of: readonly T[]): T => of[below(of.length)]!;
  const workers = 1 + below(2);
  const threads = 1 + below(2);
  const load = {
    workers,
    threads,
    shared: random() < 0.3,
    flushMs: pick([1, 2, 5, 20]),
    ms: below(40),
    delayUs: below(8000),
    stops: random() < 0.5,
  };
  if (random() < 0.4) {
    const signal = pick(Object.keys(ENDS) as Signal[]);
    const plan: Plan = { how: 'shot', signal, load: { ...load, target: below(1 + workers + threads) } };
    return { plan, ends: signal, marks: ENDS[signal] };
  }
  const [how, ends] = pick(FAULTS);
  const where = pick(WHERES);
  const isLineless = how === 'overflow' && (where === 'thread' || where === 'pool');
  return { plan: { how, where, load }, ends, marks: isLineless ? null : ENDS[ends] };
}

describe(`given ${crashes} crashes at random, seed ${seed}`, () => {
  test(
    'when a process dies while it counts and flushes, then it dies as without capture, with one last line, and no count is lost or repeated',
    { timeout: 600_000 + crashes * 10_000 },
    async () => {
      console.log(`VMM_METRICS_SOAK_SEED=${seed} VMM_METRICS_SOAK_CRASHES=${crashes}`);
      const random = randomFrom(seed);
      const tally = new Map<string, number>();
      // The death without capture is always the same.
      const stock = new Map<string, Promise<ChildDeath>>();
      const failures: string[] = [];
      for (let i = 0; i < crashes; i++) {
        if (i > 0 && i % 100 === 0) console.log(`${i} crashes, ${failures.length} failures`);
        const one = randomCase(random);
        const { how, where, signal } = one.plan;
        const kind = [how, where ?? signal].join(' ');
        if (!stock.has(kind)) stock.set(kind, stockDeath(one));
        tally.set(kind, (tally.get(kind) ?? 0) + 1);
        try {
          await checkFault(one, stock.get(kind));
        } catch (error) {
          failures.push(`crash ${i}, ${JSON.stringify(one.plan)}: ${(error as Error).message}`);
        }
      }
      console.log(
        [...tally]
          .map(([kind, times]) => `${kind} ${times}`)
          .sort()
          .join(', '),
      );
      if (failures.length > 0) throw new Error(`${failures.length} of ${crashes} crashes\n${failures.join('\n')}`);
    },
  );
});
