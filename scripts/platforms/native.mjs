// The tests of test/native, built by zig for other platforms and run here: for musl on x86_64 without emulation, and
// for arm64 under emulation. What an emulator cannot show is skipped by name, with the reason.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';

import { checksumsOf, sha256 } from '../prebuild/papers.mjs';
import { environment, installZig } from '../prebuild/zig.mjs';
import { launcherFor } from './emulator.mjs';
import { SKIPS } from './skips.mjs';

const root = resolve(import.meta.dirname, '../..');
const tests = join(root, 'test/native');

const PLATFORMS = ['x86_64-linux-musl', 'aarch64-linux-musl', 'aarch64-linux-gnu.2.28'];
/** Far more than a program takes on an emulated processor. */
const LIMIT_S = 900;

export async function nativeTests() {
  const zig = installZig();
  const names = readdirSync(tests).flatMap((file) => (file.endsWith('_test.cc') ? [file.slice(0, -'.cc'.length)] : []));
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const triple of PLATFORMS) {
    console.log(`\n== native tests for ${triple}`);
    const { launch, missing } = launcherFor(triple);
    if (missing !== undefined) {
      console.log(`  skipped: ${missing} is missing`);
      counts.skipped++;
      continue;
    }
    const began = performance.now();
    await build(zig, triple);
    console.log(`  built in ${secondsSince(began)} s`);
    // Most programs wait more than they compute.
    const waiting = [...names];
    const worker = async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await runOne(triple, launch, name, counts);
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
  }
  return counts;
}

const secondsSince = (began) => ((performance.now() - began) / 1000).toFixed(0);

/**
 * Builds all programs, and goes on if one cannot be built. What an earlier run built stays if it is built from the same
 * sources. Programs of which a source changed during their build are not kept: they may be a mixture of both states.
 */
async function build(zig, triple) {
  const folder = join(root, 'build/native-tests', triple);
  const unfinished = join(folder, 'unfinished');
  if (existsSync(unfinished)) rmSync(folder, { recursive: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(unfinished, '');
  const sources = digestOfSources();
  const env = environment({ local: join(folder, 'cache') });
  // clang warns of other things than gcc, which builds these tests with -Werror. With the addons' optimisation and
  // without symbols, the programs share the C++ library with the addons, and are linked in a tenth of the time.
  const flags = `${triple.includes('musl') ? '-static ' : ''}-O2 -g0 -s -w -fno-sanitize=undefined`;
  const variables = [`PLATFORM=${triple}`, `CXX=${zig.path} c++ -target ${triple}`, `PLATFORM_FLAGS=${flags}`];
  const { text } = await ended('make', ['-s', '-k', `-j${availableParallelism()}`, ...variables, 'all'], { cwd: tests, env });
  const errors = text.split('\n').filter((line) => /^\S+:\d+:\d+: (fatal )?error:/.test(line));
  if (errors.length > 0) console.log(`  ${errors.slice(0, 5).join('\n  ')}`);
  if (digestOfSources() !== sources) throw new Error('the sources changed during the build');
  rmSync(unfinished);
}

/** The checksum of everything that the native tests are built from. */
function digestOfSources() {
  const files = ['native', 'include', 'test/native'].flatMap((folder) => {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
    return names.filter((name) => /\.(cc|c|h)$|Makefile$/.test(name));
  });
  return sha256(checksumsOf(files).join('\n'));
}

async function runOne(triple, launch, name, counts) {
  const program = join(root, 'build/native-tests', triple, name);
  if (!existsSync(program)) {
    counts.failed++;
    return console.log(`  failed   ${name}: not built`);
  }
  const isEmulated = launch.length > 0;
  const skips = isEmulated ? SKIPS.filter(({ program: of }) => of === name) : [];
  for (const { part, reason } of skips) {
    if (!sentencesOf(name).includes(part)) throw new Error(`${name} has no test “…${part}…” to skip`);
    counts.skipped++;
    console.log(`  skipped  ${name}, “…${part}…”: ${reason}`);
  }
  const began = performance.now();
  const args = skips.map(({ part }) => `-${part}`);
  const { code, signal, text } = await ended('timeout', ['--kill-after=5', `${LIMIT_S}`, ...launch, program, ...args], { cwd: tests });
  const sentences = text.split('\n').filter((line) => /^ {2}given /.test(line)).length;
  const bad = text.split('\n').filter((line) => line.startsWith('  FAILED: ')).length;
  counts.passed += sentences - bad;
  if (code === 0) return console.log(`  passed   ${name}: ${sentences} tests, ${secondsSince(began)} s`);
  counts.failed += Math.max(1, bad);
  const how = signal ?? `exit code ${code}`;
  console.log(`  failed   ${name}: ${how}\n    ${text.trimEnd().split('\n').slice(-12).join('\n    ')}`);
}

/** The text of a test file, with literals that follow each other joined. */
function sentencesOf(name) {
  return readFileSync(join(tests, `${name}.cc`), 'utf8').replaceAll(/"\s*"/g, '');
}

function ended(program, args, options) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (more) => {
        text += more;
      });
    }
    child.on('error', failed);
    child.on('close', (code, signal) => done({ code, signal, text }));
  });
}
