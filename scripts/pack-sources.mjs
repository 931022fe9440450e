// Puts the native sources into `source/` of the packed package, for platforms without a prebuilt addon. They are in a
// subfolder because npm runs node-gyp by itself for a package with a binding.gyp at its root. `npm pack` runs this
// script before packing, and with --remove afterwards.
//
// The comments are left out: they are half of the sources, and an eighth of the packed package without its addons.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const ABOUT = `These are the sources of the addon, without their comments. The repository has the sources with comments, at the tag of
this version. \`npx node-gyp rebuild -C node_modules/vmm-metrics/source\` builds the addon. It needs node-addon-api.
`;

if (resolve(process.argv[1] ?? '') === import.meta.filename) {
  rmSync('source', { recursive: true, force: true });
  if (!process.argv.includes('--remove')) packSources('.', 'source');
}

/** Copies what the addon is built from. The public headers are in the package already, so here are only their names. */
export function packSources(from, to) {
  for (const name of readdirSync(join(from, 'native'), { recursive: true, encoding: 'utf8' })) {
    const target = join(to, 'native', name);
    mkdirSync(dirname(target), { recursive: true });
    if (/\.(cc|h)$/.test(name)) writeFileSync(target, withoutComments(readFileSync(join(from, 'native', name), 'utf8')));
    else if (/\./.test(name)) cpSync(join(from, 'native', name), target);
  }
  mkdirSync(join(to, 'include'));
  for (const name of readdirSync(join(from, 'include')).filter((file) => file.endsWith('.h'))) {
    writeFileSync(join(to, 'include', name), `#include "../../include/${name}"\n`);
  }
  cpSync(join(from, 'binding.gyp'), join(to, 'binding.gyp'));
  writeFileSync(join(to, 'README.md'), ABOUT);
}

/** A text in C++ without its comments, and without the lines that are empty then. A raw string must not be in it. */
export function withoutComments(text) {
  // An apostrophe after a digit separates digits.
  const parts = /"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text
    .replaceAll(parts, (part) => (part.startsWith('/') ? ' ' : part))
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll(/\n{2,}/g, '\n')
    .trimStart();
}
