// npm runs this script after an install in this folder. If somebody installs the package from git, the script builds
// the package, since git has no `dist` and no addon. In a checkout, the script does nothing: `npm run compile` and `npm
// test` build, and a production install has no compiler.

import { execSync } from 'node:child_process';

// npm sets this variable in the temporary clone of a git dependency. Other package managers have only this script to
// prepare a git dependency, so the script always builds for them.
const isGitDependency = process.env['_PACOTE_NO_PREPARE_'] !== undefined || !/^npm\//.test(process.env['npm_config_user_agent'] ?? 'npm/');

if (isGitDependency) {
  // Only the addon for this machine, with this machine's compiler. The output goes to standard error, because the
  // caller of `npm pack` reads standard output.
  const env = { VMM_METRICS_PREBUILD: 'own', ...process.env };
  execSync('npm run --silent build:package', { env, stdio: ['ignore', process.stderr, process.stderr] });
}
