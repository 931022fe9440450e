// Runs the core cases of test/everywhere on Node, Deno and Bun: test-runtimes.mjs [--only deno]... [--bench]. Deno and
// Bun are installed from the registry into .runtimes/, in the versions and with the checksums of
// scripts/toolchain/runtimes/package-lock.json. Needs npm run compile and npm run compile:test first. With --bench, it
// also prints the nanoseconds of an inc().

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { checkCore } from '../test/everywhere/check.mjs';

const root = resolve(import.meta.dirname, '..');
const lock = join(root, 'scripts/toolchain/runtimes');
const home = join(root, '.runtimes');
const modules = join(home, 'node_modules');

const cpu = process.arch === 'arm64' ? { deno: 'arm64', bun: 'aarch64' } : { deno: 'x64', bun: 'x64-baseline' };
const RUNTIMES = {
  node: { command: [process.execPath], differences: {} },
  deno: {
    command: [join(modules, `@deno/linux-${cpu.deno}-glibc/deno`), 'run', '--allow-all'],
    differences: Object.fromEntries(
      ['SIGSEGV', 'SIGBUS'].map((signal) => [
        `last line at a sent ${signal}`,
        {
          leaves: { lines: [{ exits: 3, reads: 1, marked: [signal.toLowerCase()] }], signal: null },
          reason: "the line is out, and the process lives on: V8's handler there takes the signal for a fault that will come again",
        },
      ]),
    ),
  },
  bun: {
    command: [join(modules, `@oven/bun-linux-${cpu.bun}/bin/bun`)],
    differences: {
      'last line at process.abort()': {
        leaves: { lines: [], signal: 'SIGABRT' },
        reason: "Bun restores the signal's default before it raises the signal, in abort() and in process.kill() of its own process",
      },
    },
  },
};

const flag = { type: 'string', multiple: true };
const { values: options } = parseArgs({ options: { only: { ...flag, default: Object.keys(RUNTIMES) }, bench: { type: 'boolean' } } });
for (const name of options.only) {
  if (!Object.hasOwn(RUNTIMES, name))
    throw new Error(`there is no runtime '${name}'; the runtimes are ${Object.keys(RUNTIMES).join(', ')}`);
}
install();
let failed = 0;
for (const name of options.only) {
  const { command, differences } = RUNTIMES[name];
  const [version] = execFileSync(command[0], ['--version'], { encoding: 'utf8' }).split('\n');
  const title = /^\d|^v/.test(version) ? `${name} ${version}` : version;
  const testAddon = join(root, 'test/addon/build/Release/vmm_test.node');
  const counts = await checkCore({ title, command, packageFolder: root, testAddon, differences });
  failed += counts.failed;
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.differed + counts.skipped} skipped`);
  if (options.bench) {
    const [program, ...args] = command;
    const core = join(root, 'test/everywhere/core.mjs');
    const { stdout } = spawnSync(program, [...args, core, 'cost', tmpdir(), root], { encoding: 'utf8' });
    console.log(`an inc() takes ${JSON.parse(stdout).ns.toFixed(2)} ns`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;

function install() {
  const wanted = readFileSync(join(lock, 'package-lock.json'), 'utf8');
  const copy = join(home, 'package-lock.json');
  if (existsSync(modules) && existsSync(copy) && readFileSync(copy, 'utf8') === wanted) return;
  mkdirSync(home, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(lock, file), join(home, file));
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: home, stdio: 'inherit' });
  if (status !== 0) throw new Error('the runtimes could not be installed');
}
