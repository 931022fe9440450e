// Everything at once and at random, in Node: see fixtures/churn.mjs, and test/native/soak_test.cc for the same below
// Node. VMM_METRICS_SOAK_SECONDS says for how long, VMM_METRICS_SOAK_SEED which chance.

import { expect, test } from 'vitest';

import { runChild } from './helpers/children.ts';
import { HANG_MS } from './helpers/limits.ts';
import { soakSeed as seed, soakNumber } from './helpers/soak.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const seconds = soakNumber('SECONDS', 2);

test(
  `given threads that do anything to any store at any time (seed ${seed}), when all have detached, then the lines hold every count`,
  { timeout: 2 * HANG_MS + seconds * 1000 },
  async () => {
    // Memory that was given back is filled: whoever uses it all the same is found out.
    const death = await runChild('churn.mjs', [JSON.stringify({ folder: temporaryFolder(), seed, seconds })], {
      execArgv: ['--no-warnings'],
      before: 'export MALLOC_PERTURB_=170',
      timeoutMs: HANG_MS + seconds * 1000,
    });
    expect(death).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(death.stdout).toMatch(/^[1-9]\d* rounds\n$/);
  },
);
