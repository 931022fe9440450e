// Two copies of the JavaScript, as in two bundles, share the stores of one addon.

import { expect, test } from 'vitest';

import { runChild } from './helpers/children.ts';

test.each([
  'main',
  'worker',
])('given an addon that two copies of the JavaScript load in the %s thread, when both count, then they count into one store', async (where) => {
  expect(await runChild('twice-loaded.mjs', [where])).toMatchObject({ code: 0, signal: null, stdout: '2n 2n\n' });
});
