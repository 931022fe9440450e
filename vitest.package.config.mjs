import { defineConfig } from 'vitest/config';

// The tests of the packed package. They run apart from the other tests, because packing writes to `dist`, which the
// other tests use.
export default defineConfig({
  test: {
    globalSetup: 'test/package/packed.ts',
    include: ['test/package/*.test.ts'],
    pool: 'forks',
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
