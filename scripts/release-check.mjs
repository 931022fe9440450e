// npm run release:check [part]...: everything that must hold before a release. It runs every check, goes on when one
// fails, lists what failed, and stops before the publish, which a person does.
//
// The parts take an hour together, most of it in `nodes`, `platforms` and `checksums`.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const read = (path) => readFileSync(resolve(root, path), 'utf8');
const { version, name } = JSON.parse(read('package.json'));

/** Everything that the package may contain. */
const CONTENTS = [
  /^(README|CHANGELOG|SECURITY)\.md$|^LICENSE$|^package\.json$/,
  /^dist\/lib\/.*\.(js|js\.map|d\.ts)$/,
  /^docs\/.*\.md$/,
  /^include\/vmm_metrics\w*\.(h|hpp|c|rs)$/,
  /^contrib\//,
  /^prebuilds\//,
  /^source\/(binding\.gyp$|include\/|native\/)/,
];
/** The addons of a release: one for each platform. */
const ADDONS = ['linux-x64', 'linux-arm64'].flatMap((platform) =>
  ['glibc', 'musl'].map((libc) => `prebuilds/${platform}/vmm-metrics.${libc}.node`),
);

// Each part is a command line, or a function that returns sentences about what is wrong.
const PARTS = {
  tree: () => {
    const changes = execFileSync('git', ['status', '--porcelain'], { cwd: root, encoding: 'utf8' }).trim();
    return changes === '' ? [] : [`the working tree has changes:\n${changes}`];
  },
  changelog: () => {
    const [, unreleased = '', latest = '', body = ''] =
      /\n## \[Unreleased\]\n([\s\S]*?)\n## \[([^\]]+)\][^\n]*\n([\s\S]*?)(?=\n## |$)/.exec(read('CHANGELOG.md')) ?? [];
    return [
      ...(unreleased.trim() === '' ? [] : ['CHANGELOG.md has entries under [Unreleased]']),
      ...(latest === version ? [] : [`the newest section of CHANGELOG.md is '${latest}', and the version is ${version}`]),
      ...(/^- /m.test(body) ? [] : [`the section ${latest} of CHANGELOG.md is empty`]),
    ];
  },
  // Lint, types, all tests, the packed package with publint and are-the-types-wrong, and both sanitizers.
  check: 'npm run --silent check',
  reference: 'npm run --silent docs',
  nodes: 'npm run --silent test:nodes',
  checksums: 'npm run --silent prebuild && npm run --silent prebuild -- --check',
  platforms: 'npm run --silent test:platforms',
  runtimes: 'npm run --silent test:runtimes',
  contents: () => {
    // Packs with all addons, as a publish does.
    const output = execFileSync('npm', ['pack', '--dry-run', '--json'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [{ files }] = JSON.parse(output.slice(output.indexOf('[\n')));
    const paths = files.map(({ path }) => path);
    return [
      ...paths.filter((path) => !CONTENTS.some((pattern) => pattern.test(path))).map((path) => `${path} does not belong into the package`),
      ...ADDONS.filter((path) => !paths.includes(path)).map((path) => `${path} is missing in the package`),
    ];
  },
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
for (const part of wanted) {
  if (!Object.hasOwn(PARTS, part)) throw new Error(`there is no part '${part}'; the parts are ${Object.keys(PARTS).join(', ')}`);
}

const failures = [];
for (const part of wanted) {
  console.log(`== ${part}`);
  const work = PARTS[part];
  const found = typeof work === 'function' ? work() : ran(work);
  for (const sentence of found) console.log(`   ${sentence}`);
  failures.push(...found.map((sentence) => `${part}: ${sentence}`));
}

if (failures.length > 0) {
  console.log(`\nNot ready:\n  ${failures.join('\n  ')}`);
  process.exitCode = 1;
} else if (wanted.length < Object.keys(PARTS).length) {
  console.log(`\nPassed: ${wanted.join(', ')}. A release needs all parts.`);
} else {
  console.log(
    `\n${name} ${version} is ready. What is left to a person:\n\n    git tag v${version} && git push origin v${version}\n    npm publish\n`,
  );
}

function ran(line) {
  const { status, signal } = spawnSync('/bin/sh', ['-c', line], { cwd: root, stdio: 'inherit' });
  return status === 0 ? [] : [`${line} ended with ${signal ?? `exit code ${status}`}`];
}
