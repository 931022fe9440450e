// Row 32 of the fault matrix: three lives on one region path and one sink, each killed by SIGKILL at any moment.
// VMM_METRICS_SOAK_LIVES sets how many lives there are in all, VMM_METRICS_SOAK_SEED the moments.

import { afterAll } from 'vitest';

import { Lives, type Moment, type SinkKind } from './helpers/lives.ts';
import { printTable, row } from './helpers/matrix-table.ts';
import { randomFrom } from './helpers/random.ts';
import { soakSeed as seed, soakNumber } from './helpers/soak.ts';

const KINDS: readonly SinkKind[] = ['file', 'pipe', 'unread pipe', 'full disk'];
const rounds = Math.ceil(soakNumber('LIVES', 8) / KINDS.length);
const random = randomFrom(seed);

/** Half of the kills hit a life that opens and writes the lines of earlier lives; half hit a life that counts. */
const moment = (): Moment => (random() < 0.4 ? { from: 'start', ms: 30 + random() * 200 } : { from: 'ready', ms: random() * 60 });

row(32, 'three SIGKILLs in a row on one region path and one sink', (add) => {
  for (const kind of KINDS) {
    for (let round = 1; round <= rounds; round++) {
      add(`given a ${kind} as the sink, when three lives are killed, round ${round}, then the lines of all add up`, async () => {
        const lives = new Lives(kind);
        for (let life = 0; life < 3; life++) await lives.live(moment());
        await lives.live('quiet');
        await lives.check();
      });
    }
  }
});

afterAll(() => console.log(`seed ${seed}`));
printTable();
