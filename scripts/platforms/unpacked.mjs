// The package as it is packed, in a folder of its own: its JavaScript and the prebuilt addons, and no local build.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** Builds the addons if their sources have changed. */
export function unpackedPackage() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/prebuild.mjs')], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the addons could not be built');
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-packed-'));
  for (const part of ['package.json', 'dist/lib', 'prebuilds']) cpSync(join(root, part), join(folder, part), { recursive: true });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
