// Packs the package once for all tests of this folder, and makes a PATH without a compiler. The package has the addon
// for this machine alone, built by this machine's compiler, unless VMM_METRICS_PREBUILD says otherwise: the addons for
// all platforms take minutes, and npm run test:platforms tests them.

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The packed package. */
    readonly tarball: string;
    /** A folder that holds node, npm, npx, mkdir and a shell, for the PATH. */
    readonly tools: string;
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-package-'));
  const root = resolve(import.meta.dirname, '../..');
  const env = { VMM_METRICS_PREBUILD: 'own', ...process.env };
  const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root, env });
  // Scripts may print before the JSON output.
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [{ filename: string }];
  project.provide('tarball', join(folder, packed.filename));

  const tools = join(folder, 'tools');
  mkdirSync(tools);
  const find = (name: string) => execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  for (const name of ['npm', 'npx', 'mkdir']) symlinkSync(find(name), join(tools, name));
  symlinkSync(process.execPath, join(tools, 'node'));
  symlinkSync('/bin/sh', join(tools, 'sh'));
  project.provide('tools', tools);
  return () => rmSync(folder, { recursive: true, force: true });
}
