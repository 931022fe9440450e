// The package as npm makes it from a git dependency: npm clones the repository, runs the script `prepare` and packs the
// result.

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

// A source archive has no repository to clone.
const isCheckout = existsSync(join(root, '.git'));

let clone: string;
beforeAll(async () => {
  clone = mkdtempSync(join(tmpdir(), 'vmm-metrics-git-'));
  if (!isCheckout) return;
  await run('git', ['clone', '--quiet', root, clone]);
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
});
afterAll(() => rmSync(clone, { recursive: true, force: true }));

const prepare = (env: NodeJS.ProcessEnv) => run('npm', ['run', '--silent', 'prepare'], { cwd: clone, env: { ...process.env, ...env } });

test.runIf(isCheckout)('given a checkout, when npm installs its dependencies, then prepare builds nothing', async () => {
  await prepare({});
  expect(existsSync(join(clone, 'dist'))).toBe(false);
  expect(existsSync(join(clone, 'build'))).toBe(false);
});

test.runIf(isCheckout)(
  'given a clone that npm makes for a git dependency, when it is packed, then it has dist, the addon and its sources',
  async () => {
    await prepare({ _PACOTE_NO_PREPARE_: '' });
    const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: clone });
    const [{ files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['dist/lib/index.js', 'dist/lib/index.d.ts', 'source/binding.gyp', 'include/vmm_metrics.h']),
    );
    expect(paths).toContainEqual(expect.stringMatching(/^prebuilds\/linux-\w+\/vmm-metrics\.(glibc|musl)\.node$/));
  },
);
