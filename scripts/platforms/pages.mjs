// Tests with granules of 64 KiB, the pages that a kernel for arm64 may have. A preloaded library answers the addon's
// question for the size of a page with 64 KiB, and the kernel's pages stay as they are.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { environment, installZig } from '../prebuild/zig.mjs';

const root = resolve(import.meta.dirname, '../..');
/** The tests of what depends on the size of a page: regions, their readers, devices, and last lines. */
const TESTS = [
  'region',
  'kept-region',
  'devices.test',
  'properties.test',
  'churn.test',
  'fault-matrix',
  'handler.test',
  'signals.test',
].map((name) => `test/${name}`);
/** Prints the size of the rows in the header of a region (docs/format.md). */
const PRINTS_GRANULE = `
  import { readFileSync } from 'node:fs';
  import { defineSchema, group, inc, Metrics } from 'vmm-metrics';
  Metrics.open(defineSchema({ some: group({ metric: inc('counts') }) }), { name: 'pages', file: process.argv[1] });
  console.log(readFileSync(process.argv[1]).readUInt32LE(16));`;

export function largePages() {
  console.log('\n== granules of 64 KiB');
  if (process.arch !== 'x64' || process.report.getReport().header.glibcVersionRuntime === undefined) {
    console.log('  skipped: a Node for x86_64 and glibc is missing');
    return { skipped: 1 };
  }
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-pages-'));
  try {
    const library = join(folder, 'page_size.so');
    const env = environment();
    const source = join(import.meta.dirname, 'page_size.c');
    const options = ['-target', 'x86_64-linux-gnu.2.28', '-shared', '-fPIC', '-O2', '-ldl'];
    const built = spawnSync(installZig().path, ['cc', ...options, source, '-o', library], { env, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`the library could not be built: ${built.stderr}`);
    return runTests(folder, { ...process.env, LD_PRELOAD: library });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runTests(folder, env) {
  const printing = ['--input-type=module', '--eval', PRINTS_GRANULE, join(folder, 'region')];
  const { stdout } = spawnSync(process.execPath, printing, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (stdout !== `${64 * 1024}\n`) {
    console.log(`  failed   the rows of a region have ${stdout.trim()} bytes`);
    return { failed: 1 };
  }
  const report = join(folder, 'report.json');
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json', `--outputFile=${report}`, ...TESTS];
  spawnSync(process.execPath, vitest, { cwd: root, env, stdio: 'ignore' });
  const { success, numPassedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const failed = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const those = assertionResults.filter((test) => test.status === 'failed');
    if (those.length === 0 && status === 'failed') return [`${name}: ${message}`];
    return those.map(
      ({ fullName, failureMessages }) => `${fullName}\n    ${failureMessages.join('\n').split('\n').slice(0, 6).join('\n    ')}`,
    );
  });
  if (!success && failed.length === 0) failed.push('vitest: an error outside of the tests');
  for (const text of failed) console.log(`  failed   ${text}`);
  console.log(`  passed   ${numPassedTests} tests of ${testResults.length} files`);
  return { passed: numPassedTests + 1, failed: failed.length, skipped: numPendingTests };
}
