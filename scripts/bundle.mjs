// Bundles lib/ into the files of JavaScript that are published: bundle.mjs. Node spends a millisecond on each file that
// it imports, so a program that loads the package as 36 files starts 25 ms later. tsc makes the types of lib/, and none
// of its JavaScript.

import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const out = join(root, 'dist', 'lib');
const COMMAND = 'cli/main';

/** A schema of the package takes its tools from the package: each of them exists once in a process. */
const schemaFromIndex = {
  name: 'schema from index',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/schema\.ts$/ }, () => ({ path: './index.js', external: true }));
  },
};

// No name is minified: stack traces, and the profile's page that takes functions as text, show them as they are. There
// is no import() either, and no chunk: a user's bundler must be able to put everything into one file.
await Promise.all([bundle('index'), bundle('firecracker', [schemaFromIndex]), bundle(COMMAND)]);
chmodSync(join(out, `${COMMAND}.js`), 0o755);
for (const file of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
  const made = ['index', 'firecracker', COMMAND].flatMap((name) => [`${name}.js`, `${name}.js.map`]);
  if (/\.js(\.map)?$/.test(file) && !made.includes(file)) rmSync(join(out, file)); // of a build before
}

function bundle(name, plugins = []) {
  return build({
    absWorkingDir: root,
    entryPoints: [join('lib', `${name}.ts`)],
    outfile: join(out, `${name}.js`),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: 'linked',
    legalComments: 'none',
    logLevel: 'warning',
    plugins,
  });
}
