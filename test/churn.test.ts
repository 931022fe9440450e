// All operations at once and at random, in Node: see fixtures/churn.mjs. test/native/soak_test.cc does the same without
// Node. VMM_METRICS_SOAK_SECONDS sets the duration, VMM_METRICS_SOAK_SEED the seed.

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
    // Freed memory is filled, so that a use of it is found.
    const death = await runChild('churn.mjs', [JSON.stringify({ folder: temporaryFolder(), seed, seconds })], {
      execArgv: ['--no-warnings'],
      before: 'export MALLOC_PERTURB_=170',
      timeoutMs: HANG_MS + seconds * 1000,
    });
    expect(death).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(death.stdout).toMatch(/^[1-9]\d* rounds\n$/);
  },
);
