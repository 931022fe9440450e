// npm runs this after an install in this folder. It builds the package where somebody installs it from git, since git
// has no `dist` and no addon. In a checkout it does nothing: there `npm test` and `npm run compile` build, and a
// production install has no compiler.

import { execSync } from 'node:child_process';

// npm says so to itself, in the temporary clone that it packs. Other package managers prepare git dependencies only
// with this script.
const isGitDependency = process.env['_PACOTE_NO_PREPARE_'] !== undefined || !/^npm\//.test(process.env['npm_config_user_agent'] ?? 'npm/');

if (isGitDependency) {
  // On standard error: what is on standard output belongs to whoever packs.
  execSync('npm run --silent build:package', { stdio: ['ignore', process.stderr, process.stderr] });
}
