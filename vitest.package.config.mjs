import { defineConfig } from 'vitest/config';

// The packed package, apart from the other tests: packing writes to `dist`, which they use.
export default defineConfig({
  test: {
    globalSetup: 'test/package/packed.ts',
    include: ['test/package/*.test.ts'],
    pool: 'forks',
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
