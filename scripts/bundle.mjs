// Bundles lib/ into the files of JavaScript that are published: bundle.mjs [--for-package]. Node spends a millisecond
// on each file that it imports, so a program that loads the package as 36 files starts 25 ms later. tsc makes the types
// of lib/, and none of its JavaScript. With --for-package, no source maps are made.

import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const out = join(root, 'dist', 'lib');
const COMMAND = 'cli/main';
/** What the command loads only when it is used. */
const AGENT = 'serve/agent';
/** The script of the agent's page, for browsers. */
const PAGE = 'serve/page';
/** The other entries of the package. */
const BESIDE_INDEX = ['firecracker', 'kvm', 'opentelemetry', 'prometheus'];

const isForPackage = process.argv.includes('--for-package');

/**
 * The other bundles import schema.ts and errors.ts from the main bundle, so that each function and class of these files
 * exists once in a process. They also take the function binding() from there, so that a thread loads one addon.
 */
const sharedFromIndex = {
  name: 'shared from index',
  setup({ onResolve, onLoad }) {
    const index = () => ({ path: './index.js', external: true, sideEffects: false });
    onResolve({ filter: /^\.{1,2}\/(schema|errors)\.ts$/ }, index);
    onResolve({ filter: /^\.{1,2}\/binding\.ts$/ }, () => ({ path: 'binding', namespace: 'shared', sideEffects: false }));
    onResolve({ filter: /^\.\/index\.js$/, namespace: 'shared' }, index);
    onLoad({ filter: /^binding$/, namespace: 'shared' }, () => ({
      contents: `import { Metrics } from './index.js';\nexport const binding = (file) => Metrics[Symbol.for('vmm-metrics.binding')](file);`,
    }));
  },
};

/** Modules of Node that hardly any process needs: they are loaded by the first call of one of their functions. */
const LATE = new Set(['node:module']);

/**
 * Gets Node's modules without an import statement. For an import statement, Node touches each export of the module, and
 * one export of node:fs loads all of Node's streams.
 */
const builtinsWithoutImport = {
  name: 'builtins without import',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /^node:/, namespace: 'builtin' }, ({ path }) => {
      const get = (name) => (LATE.has(path) ? `(...values) => from('${name}')(...values)` : `/* @__PURE__ */ from('${name}')`);
      const exports = [...namesFrom(path)].map((name) => `export const ${name} = ${get(name)};`);
      return { contents: `const from = (name) => process.getBuiltinModule('${path}')[name];\n${exports.join('\n')}` };
    });
  },
};

// No name is minified: stack traces, and the profile's page that takes functions as text, show them as they are. There
// is no import() in the library either, and no chunk: a user's bundler must be able to put everything into one file.
const builds = await Promise.all([
  bundle('index', [builtinsWithoutImport]),
  ...BESIDE_INDEX.map((name) => bundle(name, [builtinsWithoutImport, sharedFromIndex])),
  // The command is no part of a user's program. What the agent shares with the rest of the command is there once, in
  // a chunk. Code finds files of the package by its own place, so a chunk is as deep as the entries.
  bundle(COMMAND, [], {
    entryPoints: [COMMAND, AGENT].map((name) => join('lib', `${name}.ts`)),
    outfile: undefined,
    outdir: out,
    outbase: join(root, 'lib'),
    splitting: true,
    chunkNames: 'cli/shared',
  }),
  bundle(PAGE, [], {
    entryPoints: ['lib/serve/page/main.ts'],
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    minify: true,
    sourcemap: false,
  }),
]);
chmodSync(join(out, `${COMMAND}.js`), 0o755);
const made = builds.flatMap(({ metafile }) => Object.keys(metafile.outputs)).map((file) => relative(out, join(root, file)));
for (const file of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
  if (/\.js(\.map)?$/.test(file) && !made.includes(file)) rmSync(join(out, file)); // of a build before
}

function bundle(name, plugins = [], options = {}) {
  return build({
    absWorkingDir: root,
    entryPoints: [join('lib', `${name}.ts`)],
    outfile: join(out, `${name}.js`),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // The package has no source maps. They were a quarter of it, and its JavaScript is as readable as its sources, but
    // for the comments.
    sourcemap: isForPackage ? false : 'linked',
    // The names stay. White space is a fifth of the packed JavaScript.
    minifyWhitespace: isForPackage,
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
    plugins,
    ...options,
  });
}

/** The names that files of lib/ import from a module of Node. */
function namesFrom(module) {
  const lib = join(root, 'lib');
  const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const lists = files.flatMap((file) => [...readFileSync(join(lib, file), 'utf8').matchAll(/^import \{([^}]*)\} from '([^']+)';/gm)]);
  const names = lists.filter(([, , from]) => from === module).flatMap(([, list]) => list.split(','));
  return new Set(names.map((name) => name.trim().split(' ')[0]).filter((name) => name !== 'type' && name !== ''));
}
