// Checks the format of the C and C++ sources, or fixes it with --write. Debian's package clang-format-14 contains the
// formatter. If it is missing, the script says so and exits with 0, so that tests do not fail for lack of a formatter.

import { spawnSync } from 'node:child_process';

const files = spawnSync('git', ['ls-files', '*.cc', '*.h', '*.c'], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '-Werror'];
const { status, error } = spawnSync('clang-format-14', [...mode, ...files], { stdio: 'inherit' });
if (error) console.log('clang-format-14 is not installed: the format of the native sources was not checked');
process.exitCode = error ? 0 : status;
