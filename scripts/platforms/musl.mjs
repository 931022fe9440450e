// Loads the packed addon for musl into a process of musl, and the addon for glibc, which must fail there.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { environment, installZig } from '../prebuild/zig.mjs';
import { definitions, LOADER } from './napi-host.mjs';

const INTERPRETER = '/lib/ld-musl-x86_64.so.1';

export function loadsOnMusl({ packed }) {
  console.log('\n== a process of musl');
  if (process.arch !== 'x64' || !existsSync(INTERPRETER)) {
    console.log(`  skipped  the loading: ${INTERPRETER} is missing (Debian: musl)`);
    return { skipped: 1 };
  }
  const zig = installZig();
  const counts = { passed: 0, failed: 0 };
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-musl-'));
  const env = environment();
  const host = join(folder, 'host');
  writeFileSync(`${host}.c`, definitions() + LOADER);
  const built = spawnSync(
    zig.path,
    ['cc', '-target', 'x86_64-linux-musl', '-dynamic', '-w', '-fno-sanitize=undefined', '-rdynamic', `${host}.c`, '-o', host],
    {
      env,
      encoding: 'utf8',
    },
  );
  if (built.status !== 0) throw new Error(`the program of musl could not be built: ${built.stderr}`);
  for (const { libc, loads } of [
    { libc: 'musl', loads: true },
    { libc: 'glibc', loads: false },
  ]) {
    const { status, stdout, stderr } = spawnSync(host, [join(packed, `prebuilds/linux-x64/vmm-metrics.${libc}.node`)], {
      encoding: 'utf8',
    });
    const ok = loads ? stdout === 'Node-API 8\n' : status === 1 && stderr !== '';
    counts[ok ? 'passed' : 'failed']++;
    console.log(
      `  ${ok ? 'passed' : 'failed'}   the addon for ${libc} ${loads ? 'is loaded' : 'is refused'}${ok ? '' : `: ${stdout}${stderr}`}`,
    );
  }
  rmSync(folder, { recursive: true, force: true });
  return counts;
}
