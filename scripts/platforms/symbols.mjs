// Links the packed addons for glibc with the symbols of glibc 2.28 and of Node-API, and with nothing else. The linker
// names every symbol that a system with that glibc would miss, as the loader of such a system would. zig has the lists
// of symbols of each version of glibc, and makes the libraries from them.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { GLIBC_MAX, TARGETS } from '../prebuild/targets.mjs';
import { environment, installZig } from '../prebuild/zig.mjs';
import { definitions } from './napi-host.mjs';

const FOR_GLIBC = TARGETS.filter(({ triple }) => triple.includes('gnu'));

export function symbolsOfGlibc({ packed, targets = FOR_GLIBC }) {
  console.log(`\n== symbols of glibc ${GLIBC_MAX}`);
  const zig = installZig();
  const counts = { passed: 0, failed: 0 };
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-symbols-'));
  const env = environment();
  writeFileSync(join(folder, 'host.c'), `${definitions()}int main(void) { return 0; }\n`);
  const missingWith = (triple, addon) => {
    const args = [
      'cc',
      '-target',
      triple,
      '-w',
      '-fno-sanitize=undefined',
      '-rdynamic',
      join(folder, 'host.c'),
      addon,
      '-o',
      join(folder, 'host'),
    ];
    const needs = ['-lm', '-lpthread', '-ldl', '-Wl,--no-allow-shlib-undefined', '-Wl,--no-as-needed'];
    const { status, stderr } = spawnSync(zig.path, [...args, ...needs], { env, encoding: 'utf8' });
    return status === 0 ? [] : stderr.split('\n').filter((line) => /undefined|error/.test(line));
  };
  for (const { file, triple } of targets) {
    const addon = join(folder, 'addon.so'); // zig goes by the name
    copyFileSync(join(packed, 'prebuilds', file), addon);
    const missing = missingWith(triple, addon);
    // An older glibc must miss some, or this link would show nothing.
    const missingBefore = missingWith(triple.replace(GLIBC_MAX, '2.17'), addon);
    const ok = missing.length === 0 && missingBefore.length > 0;
    counts[ok ? 'passed' : 'failed']++;
    console.log(
      `  ${ok ? 'passed' : 'failed'}   ${file}${ok ? '' : `\n    ${[...missing, ...missingBefore].slice(0, 10).join('\n    ')}`}`,
    );
  }
  rmSync(folder, { recursive: true, force: true });
  return counts;
}
