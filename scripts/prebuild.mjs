// Builds the addons that are in the package: prebuild.mjs [--check] [--own] [--for-package].
//
// Without an option: the four addons of scripts/prebuild/targets.mjs, on one machine with x86_64, into prebuilds/. Each
// is checked. SHA256SUMS, the licences of what is linked in and a bill of materials are written beside them. Addons
// that are there already, from the same sources and the same compiler, stay as they are.
// --check builds them once more, in another folder and with nothing of an earlier build, and compares the checksums.
// --own builds the addon for this machine alone, with this machine's own compiler, unless all four are there.
// --for-package: --own if the variable VMM_METRICS_PREBUILD is `own`, else the four.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs, styleText } from 'node:util';

import { faultsOf, faultsOfAll, glibcOf, inspect } from './prebuild/inspect.mjs';
import { billOf, licencesOf, sha256, sourcesDigest, sumsOf } from './prebuild/papers.mjs';
import { TARGETS } from './prebuild/targets.mjs';
import { CACHE, compile, installZig, zigVersion } from './prebuild/zig.mjs';

const root = resolve(import.meta.dirname, '..');
const prebuilds = join(root, 'prebuilds');
const SUMS = join(prebuilds, 'SHA256SUMS');

const flag = { type: 'boolean' };
const { values: options } = parseArgs({ options: { check: flag, own: flag, 'for-package': flag } });
if (options.own || (options['for-package'] && process.env.VMM_METRICS_PREBUILD === 'own')) buildOwn();
else if (options.check) await check();
else await buildAll();

/** Removes every addon and paper of an earlier build. */
function clear() {
  mkdirSync(prebuilds, { recursive: true });
  for (const name of readdirSync(prebuilds)) {
    if (name !== 'README.md') rmSync(join(prebuilds, name), { recursive: true });
  }
}

function buildOwn() {
  if (areUpToDate()) return; // all four serve as well
  clear();
  // `npm run --silent` would silence node-gyp too, which then fails without a reason.
  const env = { ...process.env, npm_config_loglevel: 'warn' };
  const { status } = spawnSync('prebuildify', ['--napi', '--strip', '--tag-libc'], { cwd: root, env, stdio: 'inherit' });
  if (status !== 0) throw new Error('the addon did not build; node-gyp says why above');
}

async function buildAll() {
  if (areUpToDate()) return console.log('The prebuilt addons are those of these sources.');
  const zig = installZig();
  const began = performance.now();
  const sources = sourcesDigest(zig.version);
  clear();
  const work = mkdtempSync(join(tmpdir(), 'vmm-metrics-prebuild-'));
  try {
    const files = await build({ zig, folder: root, work, out: prebuilds, cache: CACHE });
    if (sourcesDigest(zig.version) !== sources) throw new Error('the sources changed during the build');
    writeFileSync(join(prebuilds, 'LICENSES.txt'), licencesOf(zig));
    writeFileSync(join(prebuilds, 'sbom.cdx.json'), billOf(files, zig));
    writeFileSync(SUMS, sumsOf(files, zig)); // last: this file says that everything is there
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`Built in ${((performance.now() - began) / 1000).toFixed(0)} s.`);
}

function areUpToDate() {
  if (!existsSync(SUMS)) return false;
  const text = readFileSync(SUMS, 'utf8');
  if (!text.includes(`\n# sources ${sourcesDigest(zigVersion())}\n`)) return false;
  return TARGETS.every(({ file }) => {
    const path = join(prebuilds, file);
    return existsSync(path) && text.includes(`\n${sha256(readFileSync(path))}  ${file}\n`);
  });
}

async function check() {
  if (!existsSync(SUMS)) throw new Error('there are no prebuilt addons to check; npm run prebuild makes them');
  const zig = installZig();
  const work = mkdtempSync(join(tmpdir(), 'vmm-metrics-prebuild-'));
  try {
    const folder = join(work, 'some', 'other', 'folder');
    for (const part of ['binding.gyp', 'native']) cpSync(join(root, part), join(folder, part), { recursive: true });
    const files = await build({ zig, folder, work: join(work, 'objects'), out: join(work, 'addons'), cache: join(work, 'cache') });
    const text = sumsOf(files, zig);
    const stated = readFileSync(SUMS, 'utf8');
    const differing = text.split('\n').filter((line) => !stated.split('\n').includes(line));
    if (differing.length > 0) throw new Error(`prebuilds/SHA256SUMS says something else than this build:\n${differing.join('\n')}`);
    for (const { file, sum } of files) {
      const there = sha256(readFileSync(join(prebuilds, file)));
      if (there !== sum) throw new Error(`prebuilds/${file} has the checksum ${there}, and this build ${sum}`);
    }
    console.log('Built again in another folder, with the same checksums.');
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Builds the addon of each target in `out`, and checks it. Returns the files with their checksums. */
async function build({ zig, folder, work, out, cache }) {
  const files = [];
  const faults = [];
  const all = [];
  const row = (...cells) =>
    console.log(cells.map((cell, i) => `${cell}`[i === 0 ? 'padEnd' : 'padStart']([36, 8, 8, 7, 10][i] ?? 0)).join('  '));
  row('addon', 'bytes', 'packed', 'glibc', 'SHA-256', 'libraries');
  for (const target of TARGETS) {
    const path = join(out, target.file);
    mkdirSync(dirname(path), { recursive: true });
    await compile({ zig, folder, work: join(work, target.triple), out: path, triple: target.triple, cache });
    const facts = inspect(path);
    all.push(facts);
    const sum = sha256(readFileSync(path));
    files.push({ file: target.file, sum });
    faults.push(...faultsOf(target, facts, folder));
    row(target.file, facts.bytes, facts.packedBytes, glibcOf(facts), sum.slice(0, 10), facts.needs.join(' '));
  }
  faults.push(...faultsOfAll(all));
  if (faults.length > 0) {
    for (const fault of faults) console.error(styleText('red', fault));
    throw new Error('a prebuilt addon is not as it must be');
  }
  return files;
}
