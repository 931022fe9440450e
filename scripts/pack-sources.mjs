// Puts the native sources into `source/` of the packed package, for platforms without a prebuilt addon. They are in a
// subfolder because npm runs node-gyp by itself for a package with a binding.gyp at its root. `npm pack` runs this
// script before packing, and with --remove afterwards.

import { cpSync, rmSync } from 'node:fs';

rmSync('source', { recursive: true, force: true });
if (!process.argv.includes('--remove')) {
  for (const part of ['binding.gyp', 'native', 'include']) cpSync(part, `source/${part}`, { recursive: true });
}
