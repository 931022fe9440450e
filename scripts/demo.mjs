// npm run demo: builds what is out of date, and runs the demo with the arguments given. The compilers are silent unless
// one fails. If everything is up to date, make runs twice and tsc once, and they only compare file times. The bundler,
// which is quick, runs once in any case.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const tool = (name) => join(root, 'node_modules', '.bin', name);

/** What make or tsc prints when it has something to do. */
const WORK = /CXX\(|SOLINK|is out of date/;
let isAnnounced = false;

// The demo's addon is built after the package's, so that node-gyp fetches Node's headers only once.
const outputs = [...(await Promise.all([typescript(), addon(root)])), await addon(join(root, 'examples', 'kvm-vmm'))];

const failures = outputs.filter((output) => output !== undefined);
if (failures.length > 0) {
  process.stderr.write(failures.join('\n'));
  process.exitCode = 1;
} else {
  // The demo gets its own process, because it reports how long its process took to start.
  const main = join(root, 'dist', 'examples', 'kvm-vmm', 'main.js');
  const demo = spawn(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.on('SIGTERM', () => demo.kill('SIGTERM'));
  process.on('SIGINT', () => {}); // Ctrl-C reaches the demo too, which then ends by itself
  const [code, signal] = await new Promise((done) => demo.on('exit', (...how) => done(how)));
  process.exitCode = signal === null ? code : 128 + constants.signals[signal];
}

/** The types and the demo, and the package's JavaScript: what `npm run compile:ts` does. */
async function typescript() {
  const failure = await run(tool('tsc'), '--build', '--verbose', join(root, 'tsconfig.json'));
  return failure ?? run(process.execPath, join(root, 'scripts', 'bundle.mjs'));
}

/** Once node-gyp has configured the folder, make itself follows changes of binding.gyp, sources and headers. */
function addon(folder) {
  const isConfigured = existsSync(join(folder, 'build', 'Makefile'));
  if (!isConfigured) announce();
  return run(tool('node-gyp'), ...(isConfigured ? [] : ['configure']), 'build', '--release', '--loglevel=warn', '-C', folder);
}

/** The first build takes a minute, so a line says that it has begun. */
function announce() {
  if (!isAnnounced) process.stderr.write('Building what has changed; the first time this takes a minute.\n');
  isAnnounced = true;
}

/** Runs a command. If it fails, returns everything that it printed. */
async function run(command, ...args) {
  const env = { JOBS: `${availableParallelism()}`, ...process.env };
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more) => {
      text += more;
      if (WORK.test(text)) announce();
    });
  }
  const [code, signal] = await new Promise((done, fail) => child.on('error', fail).on('close', (...how) => done(how)));
  return code === 0 ? undefined : `$ ${[command, ...args].join(' ')}\n${text}It ended with ${signal ?? `exit code ${code}`}.\n`;
}
