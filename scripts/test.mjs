// Runs the parts of the tests, goes on when one fails, and lists at the end everything that failed: test.mjs [part]...
//
// Parts: lint, types, compile, vitest, native, package, tsan, asan, soak, soak-native. Default: compile, vitest, native
// and package. The native tests run beside vitest, since both wait more than they compute; all other parts run in the
// given order. If the compilation fails, the parts that need the addon are listed as not run.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const reports = resolve(root, 'build/test-reports');
const env = { JOBS: `${availableParallelism()}`, ...process.env };
env.PATH = `${resolve(root, 'node_modules/.bin')}${delimiter}${env.PATH}`;

// What each part runs. A part returns sentences that say what failed, or an empty list.
const PARTS = {
  lint: () => command('npm run --silent lint', { shows: 'always' }),
  types: () => command('tsc -p tsconfig.test.json'),
  async compile() {
    const compiled = (...parts) => Promise.all(parts.map((part) => command(`npm run --silent compile:${part}`)));
    // The addon comes first, because its build fetches Node's headers, which the demo and the test addons need too.
    return [...(await compiled('native', 'ts')), ...(await compiled('demo', 'test'))].flat();
  },
  vitest: () => vitest('vitest', 'vitest run'),
  native: () => native('test:native'),
  package: () => vitest('package', 'vitest run --config vitest.package.config.mjs'),
  tsan: () => native('test:tsan'),
  asan: () => native('test:asan'),
  // Tests with random input. The variables VMM_METRICS_SOAK_... say for how long they run.
  soak: () => vitest('soak', `vitest run ${SOAKS.map((name) => `test/${name}.test.ts`).join(' ')}`),
  async 'soak-native'() {
    // Under ThreadSanitizer an add is another instruction than without it.
    const soaks = [
      ['test:native', 'ONLY=writer_storm_test'],
      ['test:tsan', 'ONLY=writer_storm_test'],
      ['test:native', 'ONLY=thread_shards_test'],
      ['test:tsan', 'ONLY=thread_shards_test'],
      ['test:tsan', 'ONLY=soak_test'],
    ];
    const found = [];
    for (const soak of soaks) found.push(...(await native(...soak)));
    return found;
  },
};
const SOAKS = [
  'churn',
  'fault-matrix-restarts',
  'histogram-scheme',
  'histogram-value',
  'histograms',
  'lifecycle',
  'properties',
  'region-kill',
  'region-properties',
  'region-reader',
  'soak',
  'turnover',
  'writer-storm',
];
const NEED_COMPILE = ['vitest', 'package', 'soak'];

const wanted = process.argv.length > 2 ? process.argv.slice(2) : ['compile', 'vitest', 'native', 'package'];
for (const part of wanted) {
  if (!Object.hasOwn(PARTS, part)) throw new Error(`there is no part '${part}'; the parts are ${Object.keys(PARTS).join(', ')}`);
}

const failed = new Map();
const isNativeBeside = wanted.includes('native') && wanted.includes('vitest');
for (const part of wanted) {
  if (isNativeBeside && part === 'native') continue;
  await Promise.all([run(part), ...(isNativeBeside && part === 'vitest' ? [run('native')] : [])]);
}

if (failed.size === 0) console.log(`\nAll passed: ${wanted.join(', ')}.`);
else {
  console.log('\nFailed:');
  for (const [part, sentences] of failed) for (const sentence of sentences) console.log(`  ${part}: ${sentence}`);
  process.exitCode = 1;
}

async function run(part) {
  const began = performance.now();
  const sentences = failed.has('compile') && NEED_COMPILE.includes(part) ? ['not run, since compile failed'] : await PARTS[part]();
  if (sentences.length > 0) failed.set(part, sentences);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`== ${part}: ${sentences.length === 0 ? 'passed' : 'FAILED'} after ${seconds} s`);
}

/**
 * Runs a command line. `shows` says when its output is printed: `'failure'`, at the end if the command failed;
 * `'always'`, at the end in any case; `'live'`, at once. Output that is printed at the end does not mix with that of
 * other parts.
 */
async function command(line, { shows = 'failure', finds = () => [] } = {}) {
  const stdio = shows === 'live' ? 'inherit' : ['ignore', 'pipe', 'pipe'];
  const child = spawn('/bin/sh', ['-c', `exec ${line}`], { cwd: root, env, stdio });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (more) => {
      text += more;
    });
  }
  const [code, signal] = await new Promise((done) => child.on('close', (...how) => done(how)));
  if (shows === 'always' || (shows === 'failure' && code !== 0)) console.log(`\n$ ${line}\n${text.trimEnd()}`);
  if (code === 0) return [];
  const found = finds(text);
  return found.length > 0 ? found : [`${line} ended with ${signal ?? `exit code ${code}`}`];
}

function native(script, ...more) {
  // The Makefile prints a list of the failed tests at the end, each after two spaces.
  const finds = (text) => [...text.matchAll(/^ {2}(\w+_test: .*)$/gm)].map(([, sentence]) => sentence);
  return command(`npm run --silent ${[script, ...(more.length > 0 ? ['--'] : []), ...more].join(' ')}`, { finds });
}

async function vitest(name, line) {
  mkdirSync(reports, { recursive: true });
  const report = resolve(reports, `${name}.json`);
  rmSync(report, { force: true });
  const files = () => JSON.parse(readFileSync(report, 'utf8')).testResults;
  const finds = () => {
    const found = [];
    for (const { name: path, status, assertionResults } of files()) {
      const tests = assertionResults.filter((test) => test.status === 'failed').map((test) => ` > ${test.fullName}`);
      if (tests.length === 0 && status === 'failed') tests.push('');
      found.push(...tests.map((test) => relative(root, path) + test));
    }
    return found;
  };
  const sentences = await command(`${line} --reporter=default --reporter=json --outputFile.json=${relative(root, report)}`, {
    shows: 'live',
    finds: () => {
      try {
        return finds();
      } catch {
        return []; // it ended before there was a report
      }
    },
  });
  try {
    const times = files().map(({ name: path, startTime, endTime }) => ({ path, seconds: (endTime - startTime) / 1000 }));
    const slowest = times.sort((a, b) => b.seconds - a.seconds).slice(0, 8);
    console.log(`Slowest: ${slowest.map(({ path, seconds }) => `${relative(root, path)} ${seconds.toFixed(0)} s`).join(', ')}`);
  } catch {
    // As above.
  }
  return sentences;
}
