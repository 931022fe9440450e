// The package as users get it: packed, and installed into an empty project on a machine without a compiler.

import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const tarball = inject('tarball');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);

let folder: string;
let project: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-package-'));
  env = { HOME: process.env['HOME'], PATH: inject('tools') };
  project = join(folder, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "user", "private": true, "type": "module" }');
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: project, env });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every file in a folder and in the folders below it. */
function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, name))
    .filter((file) => statSync(file).isFile());
}

/** Runs a program of the project. The result includes how the program ended. */
async function program(name: string, text: string, ...args: string[]) {
  writeFileSync(join(project, name), text);
  try {
    const { stdout } = await run('sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', 'node', name, ...args], { cwd: project, env });
    return { stdout, signal: null };
  } catch (error) {
    const { stdout, stderr, signal } = error as { stdout: string; stderr: string; signal: string | null };
    if (signal === null) throw new Error(stderr, { cause: error });
    return { stdout, signal };
  }
}

describe('given the packed package in an empty project without a compiler', () => {
  test('when it is installed, then it has the files that it lists, and no binding.gyp that npm would run', () => {
    const installed = join(project, 'node_modules', 'vmm-metrics');
    expect(readdirSync(installed).sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'contrib',
      'dist',
      'docs',
      'include',
      'package.json',
      'prebuilds',
      'source',
    ]);
    expect(readdirSync(join(installed, 'source')).sort()).toEqual(['README.md', 'binding.gyp', 'include', 'native']);
  });

  test('when its files of JavaScript are read, then no source map is there, and none is named', () => {
    const files = filesIn(join(project, 'node_modules', 'vmm-metrics', 'dist'));
    expect(files.filter((file) => file.endsWith('.map'))).toEqual([]);
    for (const file of files.filter((name) => name.endsWith('.js'))) {
      expect(readFileSync(file, 'utf8').includes('sourceMappingURL'), file).toBe(false);
    }
  });

  test('when its types are followed from file to file, then each file is there', () => {
    const files = filesIn(join(project, 'node_modules', 'vmm-metrics', 'dist')).filter((file) => file.endsWith('.d.ts'));
    const imports = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?['"](\.[^'"]+)['"]/g)].map(([, path]) => join(dirname(file), path!)),
    );
    expect(imports.length).toBeGreaterThan(50);
    expect(imports.map((path) => path.replace(/\.[jt]s$/, '.d.ts')).filter((path) => !files.includes(path))).toEqual([]);
  });

  test('when it is packed, then it has at most 500 kB besides its addons', () => {
    const prebuilds = join(project, 'node_modules', 'vmm-metrics', 'prebuilds');
    const addons = filesIn(prebuilds).filter((file) => file.endsWith('.node'));
    const bytes = addons.map((file) => gzipSync(readFileSync(file), { level: 9 }).length);
    expect(bytes.reduce((sum, some) => sum - some, statSync(tarball).size)).toBeLessThan(500_000);
  });

  test('when a program imports it, then it loads, counts and flushes', async () => {
    const { stdout } = await program(
      'use.js',
      `import { Metrics } from 'vmm-metrics';
       import { firecracker } from 'vmm-metrics/firecracker';
       const metrics = Metrics.open(firecracker, { name: 'vm0' });
       metrics.init('lines');
       metrics.app.vcpu.exit_io_out.add(3);
       metrics.app.block.alloc('rootfs').read_count.inc();
       console.log(metrics.write(), metrics.app.vcpu.exit_io_out.count());
       metrics.close();`,
    );
    expect(stdout).toBe('true 3n\n');
    const [line] = readFileSync(join(project, 'lines'), 'utf8').split('\n');
    expect(JSON.parse(line!)).toMatchObject({ vcpu: { exit_io_out: 3 }, block_rootfs: { read_count: 1 }, block: { read_count: 1 } });
  });

  test('when a program imports vmm-metrics/kvm, then it loads, and asks the kernel', async () => {
    const { stdout } = await program(
      'kvm.js',
      `import { kvmFields } from 'vmm-metrics/kvm';
       const fields = kvmFields();
       console.log(fields === undefined || Object.keys(fields.vcpu).includes('exits'));`,
    );
    expect(stdout).toBe('true\n');
  });

  test('when another addon looks for the header, then it is found', async () => {
    const { stdout } = await program('header.cjs', `console.log(require.resolve('vmm-metrics/include/vmm_metrics.h'));`);
    expect(readFileSync(stdout.trim(), 'utf8')).toContain('VMM_METRICS_ABI_VERSION');
  });

  test('when it is required from CommonJS, then it loads', async () => {
    const { stdout } = await program(
      'use.cjs',
      `console.log(typeof require('vmm-metrics').Metrics.open, require('vmm-metrics/package.json').name);`,
    );
    expect(stdout).toBe('function vmm-metrics\n');
  });

  test('when a process is killed, then the command shows its region, and makes a page of its profile', async () => {
    const { signal } = await program(
      'killed.js',
      `import { Metrics } from 'vmm-metrics';
       import { firecracker } from 'vmm-metrics/firecracker';
       const metrics = Metrics.open(firecracker, { name: 'vm0', file: 'vm0.region' });
       metrics.app.vcpu.exit_io_out.add(3);
       const profile = metrics.startProfiling({ metrics: 'vcpu.exit_io_out', output: 'p.tsv' });
       await new Promise((resolve) => setTimeout(resolve, 20));
       await profile.stop();
       process.kill(process.pid, 'SIGKILL');`,
    );
    expect(signal).toBe('SIGKILL');
    const command = (...args: string[]) => run(join('node_modules', '.bin', 'vmm-metrics'), args, { cwd: project, env });
    expect((await command('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { stdout } = await command('show', 'vm0.region');
    expect(stdout).toMatch(/was killed/);
    expect(stdout).toMatch(/exit_io_out +3 +\+3/);
    await command('plot', 'p.tsv', '-o', 'p.html');
    expect(readFileSync(join(project, 'p.html'), 'utf8')).toContain('<!doctype html>');
  });

  test('when the process dies, then the crash is captured', async () => {
    const { signal } = await program(
      'die.js',
      `import { Metrics } from 'vmm-metrics';
       import { firecracker } from 'vmm-metrics/firecracker';
       const metrics = Metrics.open(firecracker);
       metrics.init('last');
       metrics.captureSignals();
       metrics.app.vcpu.exit_io_out.add(3);
       process.abort();`,
    );
    expect(signal).toBe('SIGABRT');
    const lines = readFileSync(join(project, 'last'), 'utf8').split('\n');
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[0]!)).toMatchObject({ vcpu: { exit_io_out: 3 }, vmm: { panic_count: 1 } });
  });

  test('when there is no addon for the platform, then the error names what was tried', async () => {
    const bare = join(project, 'node_modules', 'bare');
    cpSync(join(project, 'node_modules', 'vmm-metrics'), bare, { recursive: true });
    rmSync(join(bare, 'prebuilds'), { recursive: true });
    const { stdout } = await program(
      'bare.js',
      `import { Metrics } from './node_modules/bare/dist/lib/index.js';
       import { firecracker } from './node_modules/bare/dist/lib/firecracker.js';
       try { Metrics.open(firecracker); } catch (error) { console.log(error.code, error.message); }`,
    );
    expect(stdout).toMatch(/^ERR_METRICS_NATIVE There is no native addon for linux-.*; looked in .*bare\/prebuilds.*node-gyp rebuild/);
  });

  test('when the packed sources are built by hand, then they give the addon', async () => {
    const installed = join(project, 'node_modules', 'vmm-metrics');
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', 'node-addon-api'], { cwd: project });
    await run(bin('node-gyp'), ['rebuild', '-C', join(installed, 'source')], { cwd: project });
    rmSync(join(installed, 'prebuilds'), { recursive: true });
    const { stdout } = await program(
      'built.js',
      `import { Metrics } from 'vmm-metrics';
       import { firecracker } from 'vmm-metrics/firecracker';
       console.log(Metrics.open(firecracker).app.vcpu.failures.count());`,
    );
    expect(stdout).toBe('0n\n');
  });
});

describe('given the checkers of packages', () => {
  test('when publint checks the package, then it finds nothing wrong', async () => {
    await run(bin('publint'), ['run', tarball, '--strict'], { cwd: root });
  });

  test('when are-the-types-wrong checks the types, then it finds nothing wrong', async () => {
    // The header is not a module.
    await run(bin('attw'), [tarball, '--profile', 'esm-only', '--exclude-entrypoints', './include/vmm_metrics.h'], { cwd: root });
  });
});
