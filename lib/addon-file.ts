// Where the native addon is, and how it is loaded. Nothing runs at import: a bundled program can import this package,
// and gets a clear error later. Only dlopen() opens the addon, so loading it needs no permission to read files (Node's
// permission model).

import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ErrorCode, MetricsError } from './errors.ts';
import { VERSION } from './version.ts';

/** The environment variable that names the addon's file. */
const VARIABLE = 'VMM_METRICS_ADDON';
const BUILT = 'vmm_metrics.node';
const prebuiltFor = (libc: LibC) => `vmm-metrics.${libc}.node`;

/** A C library that prebuilt addons exist for. */
type LibC = 'glibc' | 'musl';

/** The loaders of musl, by `process.arch`. */
const MUSL_LOADERS: Readonly<Record<string, string>> = { x64: '/lib/ld-musl-x86_64.so.1', arm64: '/lib/ld-musl-aarch64.so.1' };

/** The C library that this process uses. */
function libc(): LibC {
  try {
    return isPlainGlibc() ? 'glibc' : libcOf(readFileSync('/proc/self/maps', 'latin1'));
  } catch {
    return 'glibc'; // there is no /proc here, or Node's permission model does not allow to read it
  }
}

/**
 * Whether this machine has no musl, and the program names the loader of glibc, which it does in its first bytes. This
 * takes a tenth of the time of reading the maps. A program for glibc may also run on musl, by a link from the one
 * loader to the other, and only the maps show that.
 */
function isPlainGlibc(): boolean {
  const musl = MUSL_LOADERS[process.arch];
  if (musl === undefined || existsSync(musl)) return false;
  const program = openSync('/proc/self/exe', 'r');
  try {
    const head = Buffer.alloc(4096);
    return head.subarray(0, readSync(program, head)).includes('/ld-linux-');
  } finally {
    closeSync(program);
  }
}

/** The C library that a process uses, by the text of its /proc/self/maps. */
function libcOf(maps: string): LibC {
  // The loader of musl is musl itself. The file is ld-musl-<arch>.so.1, or this name is a link to libc.so, as on Void
  // and Debian. With glibc no file of these names is mapped: its libc.so is a text for the linker.
  return /\/(?:ld-musl-[^/\n]+|libc\.so)$/m.test(maps) ? 'musl' : 'glibc';
}

/**
 * The names of the prebuilt addons, the one for this process's C library first. The other one follows, in case the
 * guess is wrong: an addon for another C library usually fails to load. It may also load and then misbehave, so the
 * order matters.
 */
function prebuiltNames(): string[] {
  return libc() === 'glibc' ? [prebuiltFor('glibc'), prebuiltFor('musl')] : [prebuiltFor('musl'), prebuiltFor('glibc')];
}

/** The exports of an addon, as far as this file knows them. */
interface Versioned {
  readonly version: string;
}

export interface LoadedAddon<T> {
  readonly path: string;
  readonly exports: T;
}

/**
 * Loads the addon: the file `wanted`, or else the file that VMM_METRICS_ADDON names. If neither is given, loads the
 * first of these that can be loaded: a local build, a prebuilt addon for this platform, an addon built from the packed
 * sources, an addon beside this program's bundle.
 * @throws MetricsError `ERR_METRICS_NATIVE`. The message says what was tried.
 */
export function loadAddon<T extends Versioned>(wanted: string | undefined): LoadedAddon<T> {
  const named = wanted ?? (process.env[VARIABLE] || undefined);
  const names = named === undefined ? prebuiltNames() : [];
  const tried = new Set<string>();
  const problems: string[] = [];
  let cause: unknown;
  for (const path of named === undefined ? candidates(names) : [resolve(named)]) {
    if (tried.has(path)) continue;
    tried.add(path);
    const module = { exports: {} as Partial<T> };
    try {
      process.dlopen(module, path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ERR_DLOPEN_DISABLED') {
        throw nativeError(`Node does not allow addons here: ${message} Run Node with --allow-addons, or without --no-addons.`, error);
      }
      if (named === undefined && isMissing(path, message)) continue;
      problems.push(`${path} cannot be loaded: ${message}`);
      cause ??= error;
      continue;
    }
    const { version } = module.exports;
    if (version !== VERSION) {
      const theirs = version === undefined ? 'has no version' : `belongs to vmm-metrics ${version}`;
      const mend = 'Build or install both from the same version.';
      throw nativeError(`The native addon ${path} ${theirs}, and this JavaScript belongs to vmm-metrics ${VERSION}. ${mend}`);
    }
    return { path, exports: module.exports as T };
  }
  const platform = `${process.platform}-${process.arch}, Node ${process.version}`;
  if (named !== undefined) {
    const by = wanted === undefined ? `the environment variable ${VARIABLE}` : "the option 'addon'";
    throw nativeError(`Cannot use the native addon that ${by} names, on ${platform}: ${problems[0]}`, cause);
  }
  const listed = (part: (path: string) => string) => [...new Set([...tried].map(part))].join(', ');
  const looked = `looked in ${listed(dirname)} for ${listed((path) => basename(path))}`;
  const found = problems.length === 0 ? '' : `; ${problems.join('; ')}`;
  throw nativeError(`There is no native addon for ${platform}; ${looked}${found}. ${whatToDo(names[0]!)}`, cause);
}

/**
 * Every file that may be the addon, the most likely first. Asks Node where the package is only if no earlier file could
 * be loaded.
 */
function* candidates(names: readonly string[]): Generator<string> {
  const homes = homesOfThisCode();
  for (const root of homes.flatMap(packageOf)) yield* inPackage(root, names);
  for (const root of homes.flatMap(packageByName)) yield* inPackage(root, names);
  for (const home of homes) yield* [...[BUILT, ...names].map((name) => join(home, name)), ...prebuilt(home, names)];
}

function inPackage(root: string, names: readonly string[]): string[] {
  return [join(root, 'build', 'Release', BUILT), ...prebuilt(root, names), join(root, 'source', 'build', 'Release', BUILT)];
}

function prebuilt(folder: string, names: readonly string[]): string[] {
  return names.map((name) => join(folder, 'prebuilds', `${process.platform}-${process.arch}`, name));
}

/**
 * The folders of this file, or of the bundle that contains it. A bundler may leave `import.meta.url`, `__dirname`, both
 * or neither.
 */
function homesOfThisCode(): string[] {
  const homes: string[] = [];
  const url: unknown = import.meta.url;
  if (typeof url === 'string' && url.startsWith('file:')) homes.push(dirname(fileURLToPath(url)));
  if (typeof __dirname === 'string') homes.push(resolve(__dirname));
  return homes;
}

/** The package's root, if this code is in the package: in `dist/lib`, in the command's `dist/lib/cli`, or in `lib`. */
function packageOf(home: string): string[] {
  const lib = basename(home) === 'cli' ? dirname(home) : home;
  if (basename(lib) !== 'lib') return [];
  const parent = dirname(lib);
  return [basename(parent) === 'dist' ? dirname(parent) : parent];
}

/** The package's root as Node finds it by its name, from the folder `home`. */
function packageByName(home: string): string[] {
  try {
    return [dirname(createRequire(join(home, 'any.js')).resolve('vmm-metrics/package.json'))];
  } catch {
    return [];
  }
}

/** Whether the file itself is missing, and not a library that it needs. musl says both in nearly the same words. */
function isMissing(path: string, message: string): boolean {
  return message.includes(`${path}: `) && message.includes('No such file or directory');
}

function whatToDo(name: string): string {
  const source = homesOfThisCode()
    .flatMap(packageOf)
    .map((root) => join(root, 'source'))
    .find((folder) => isThere(folder));
  const build = source === undefined ? '' : `Build one with: npm install node-addon-api && npx --yes node-gyp rebuild -C ${source}. `;
  const file = `node_modules/vmm-metrics/prebuilds/${process.platform}-${process.arch}/${name}`;
  return (
    `${build}In a bundled program, mark 'vmm-metrics' as external, or copy the addon (${file}) next to the bundle, or give its path in the ` +
    `environment variable ${VARIABLE} or in Metrics.open(schema, { addon: path })`
  );
}

function isThere(path: string): boolean {
  try {
    return existsSync(path);
  } catch {
    return false; // not allowed to look
  }
}

function nativeError(message: string, cause?: unknown): MetricsError {
  return new MetricsError(ErrorCode.NATIVE, message, cause === undefined ? undefined : { cause });
}
