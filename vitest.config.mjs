import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Tests take the package as a user does: built, from `dist`, loaded by Node itself. Only then do a test, its workers
// and its child processes run the same code.
const dist = (file) => fileURLToPath(new URL(`./dist/lib/${file}`, import.meta.url));

const withoutDiskHints = '--disable-warning=METRICS_REGION_ON_DISK';

export default defineConfig({
  resolve: {
    alias: [
      { find: /^vmm-metrics$/, replacement: dist('index.js') },
      { find: /^vmm-metrics\/(\w+)$/, replacement: dist('$1.js') },
    ],
  },
  test: {
    // If the temporary folder is on a disk, each region file would cause a warning. This turns the warning off for this
    // process, and for those that it starts.
    execArgv: [withoutDiskHints],
    env: { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${withoutDiskHints}` },
    include: ['test/*.test.ts'],
    pool: 'forks',
    // Crash and timing tests share two cores with the rest.
    maxWorkers: 2,
    // Far more time than a test takes on a busy machine. No test measures time, and only a test that hangs meets this
    // limit. See test/helpers/limits.ts.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    server: { deps: { external: [/\/dist\//] } },
    typecheck: { enabled: true, tsconfig: './tsconfig.test.json', include: ['test/**/*.test-d.ts'] },
  },
});
