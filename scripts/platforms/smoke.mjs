// What CI runs of the prebuilt addons, in about a minute: the addon for x86_64 and glibc is built as npm run prebuild
// builds it, checked as a file, and run by this Node; and every room without Node-API is compiled for arm64 and musl,
// the platform that differs most from this one. Whatever is newer than glibc 2.28, or is on x86_64 or in glibc alone,
// fails here.

import { cpSync, existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { checkCore } from '../../test/everywhere/check.mjs';
import { faultsOf, inspect } from '../prebuild/inspect.mjs';
import { TARGETS } from '../prebuild/targets.mjs';
import { CACHE, compile, compileSources, installZig, sourcesOf } from '../prebuild/zig.mjs';
import { symbolsOfGlibc } from './symbols.mjs';

const root = resolve(import.meta.dirname, '../..');
const TARGET = TARGETS.find(({ file }) => file === 'linux-x64/vmm-metrics.glibc.node');
const FARTHEST = 'aarch64-linux-musl';

export async function smoke() {
  console.log('\n== smoke: the addon for x86_64 and glibc, and the sources for arm64 and musl');
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const missing = missingHere();
  if (missing !== undefined) {
    console.log(`  skipped  the smoke: ${missing}`);
    return { skipped: 1 };
  }
  const zig = installZig();
  const work = join(root, 'build/platforms/smoke');
  const packed = join(work, 'package');
  const addon = join(packed, 'prebuilds', TARGET.file);
  const attempt = async (what, faultsIn) => {
    const began = performance.now();
    const faults = await faultsIn().catch((error) => [error.message]);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    counts[faults.length === 0 ? 'passed' : 'failed']++;
    console.log(`  ${faults.length === 0 ? 'passed ' : 'failed '}  ${[`${what}, ${seconds} s`, ...faults].join('\n    ')}`);
  };
  rmSync(work, { recursive: true, force: true });
  await attempt('the addon is built', async () => {
    await compile({ zig, folder: root, work: join(work, 'addon'), out: addon, triple: TARGET.triple, cache: CACHE });
    return [];
  });
  await attempt(`the sources are compiled for ${FARTHEST}`, async () => {
    const sources = sourcesOf(root).filter((source) => !source.startsWith('native/node/'));
    await compileSources({ zig, folder: root, work: join(work, FARTHEST), sources, triple: FARTHEST, cache: CACHE });
    return [];
  });
  if (!existsSync(addon)) return counts;
  await attempt('the file is as it must be', async () => faultsOf(TARGET, inspect(addon)));
  for (const part of ['package.json', 'dist/lib']) cpSync(join(root, part), join(packed, part), { recursive: true });
  const testAddon = join(root, 'test/addon/build/Release/vmm_test.node');
  const results = [
    symbolsOfGlibc({ packed, targets: [TARGET] }),
    await checkCore({
      title: `Node ${process.version}, the addon`,
      command: [process.execPath],
      packageFolder: packed,
      testAddon: existsSync(testAddon) ? testAddon : undefined,
    }),
  ];
  for (const kind of Object.keys(counts)) for (const result of results) counts[kind] += result[kind] ?? 0;
  return counts;
}

/** Why the smoke cannot be run here, or `undefined`. */
function missingHere() {
  if (process.arch !== 'x64') return 'zig is installed on x86_64 only';
  if (process.report.getReport().header.glibcVersionRuntime === undefined) return 'this Node does not use glibc';
  if (!existsSync(join(root, 'dist/lib/index.js'))) return 'npm run compile has not been run';
  // Without a network, npm would try for more than a minute.
  process.env.npm_config_fetch_retries ??= '1';
  try {
    installZig();
  } catch (error) {
    return error.message;
  }
}
