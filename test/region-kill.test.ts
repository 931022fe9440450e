// SIGKILL at random moments. VMM_METRICS_SOAK_KILLS sets the number of kills, VMM_METRICS_SOAK_SEED the random seed.

import { afterAll, describe, test } from 'vitest';

import { checkKilled, killed } from './helpers/kills.ts';
import { randomFrom } from './helpers/random.ts';
import { soakSeed as seed, soakNumber } from './helpers/soak.ts';

const kills = soakNumber('KILLS', 6);

const settled = new Map<string, number>();
afterAll(() => console.log(`${kills} kills, seed ${seed}; lines in flight: ${[...settled].map(([how, n]) => `${how} ${n}`).join(', ')}`));

describe('given 4 workers at full speed and a flush each millisecond', () => {
  test(
    `when the process is killed at ${kills} random moments, then every acknowledged increment is in the region, and no line repeats one`,
    { timeout: 600_000 + kills * 10_000 },
    async () => {
      const random = randomFrom(seed);
      for (let i = 0; i < kills; i++) {
        const sink = (['file', 'file', 'pipe', 'none'] as const)[Math.floor(random() * 4)]!;
        const death = await killed(sink, random() * 80);
        const how = death.reading.lineInFlight ?? 'none';
        settled.set(how, (settled.get(how) ?? 0) + 1);
        checkKilled(death);
      }
    },
  );
});
