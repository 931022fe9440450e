// npm run docs:pictures: makes the pictures of the README in docs/images/ from what the built package really shows: a
// recording of a terminal, a distribution, and, with chromium, the page of a host and the page of a profile.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { chromium, takePicture } from './pictures/page.mjs';
import { svgOf } from './pictures/svg.mjs';
import { record } from './pictures/terminal.mjs';

const root = resolve(import.meta.dirname, '..');
const images = join(root, 'docs/images');
const cli = join(root, 'dist/lib/cli/main.js');
const only = process.argv[2];
const wanted = (name) => only === undefined || only === name;

const folder = mkdtempSync(existsSync('/dev/shm') ? '/dev/shm/vmm-metrics-' : '/tmp/vmm-metrics-');
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

// The commands of the pictures find the package and the command as in a project that has installed them.
mkdirSync(join(folder, 'node_modules'));
symlinkSync(root, join(folder, 'node_modules/vmm-metrics'));
writeFileSync(join(folder, 'vmm.mjs'), readFileSync(join(root, 'scripts/pictures/vmm.mjs')));
mkdirSync(join(folder, 'bin'));
writeFileSync(join(folder, 'bin/vmm-metrics'), `#!/bin/sh\nexec '${process.execPath}' '${cli}' "$@"\n`);
chmodSync(join(folder, 'bin/vmm-metrics'), 0o755);
const env = { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, NODE_OPTIONS: '' };

/** A shell script that types each command before it runs it. */
function typed(lines) {
  const prelude = `type_out() { printf '\\033[32m$\\033[0m '; sleep 0.4; for word in $1; do printf '%s ' "$word"; sleep 0.12; done; sleep 0.3; printf '\\n'; }\n`;
  return `${prelude}${lines.map(([shown, command = shown, pause = 1]) => `${shown ? `type_out '${shown}'\n` : ''}${command}\nsleep ${pause}`).join('\n')}\n`;
}

function vmm(...args) {
  const child = spawn(process.execPath, ['vmm.mjs', ...args], { cwd: folder, stdio: 'ignore' });
  children.add(child);
  return child;
}
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

mkdirSync(images, { recursive: true });

if (wanted('recording')) {
  const [columns, rows] = [100, 26];
  const script = join(folder, 'recording.sh');
  writeFileSync(
    script,
    typed([
      ['node vmm.mjs web &', 'set -m; ulimit -c 0; node vmm.mjs web & sleep 0.6', 0.4],
      ['vmm-metrics watch web.region', 'vmm-metrics watch web.region', 0.5],
      ['kill -SEGV %1; wait %1; echo "status $?"', '{ kill -SEGV %1; wait %1; } 2>/dev/null; echo "status $?"', 1],
      ['tail -n 1 web.jsonl', 'tail -n 1 web.jsonl', 2.5],
      ['vmm-metrics show web.region', 'vmm-metrics show web.region', 1],
    ]),
  );
  const recording = await record({ file: script, cwd: folder, env, columns, rows, keys: [[8500, 'q']] });
  const title = 'A VMM counts, is watched, dies of SIGSEGV, and leaves a last line and its region file';
  writeFileSync(join(images, 'recording.svg'), svgOf(recording, { columns, rows, title }));
}

if (wanted('distribution')) {
  const child = vmm('db');
  await wait(4000);
  const [columns, rows] = [86, 17];
  const script = join(folder, 'distribution.sh');
  writeFileSync(script, typed([['vmm-metrics show db.region --histogram vcpu.exit_agg']]));
  const { screens } = await record({ file: script, cwd: folder, env, columns, rows });
  const still = { screens: screens.slice(-1).map((screen) => ({ ...screen, ms: 0 })), ms: 0 };
  writeFileSync(join(images, 'distribution.svg'), svgOf(still, { columns, rows, title: 'The distribution of the times of exits' }));
  child.kill('SIGKILL');
}

if (chromium === undefined) console.log('There is no chromium: the pictures of pages were not made.');
if (chromium !== undefined && wanted('plot')) {
  const child = vmm('plot');
  await wait(1000);
  const names = 'vcpu.exit_io_out,vcpu.exit_agg.sum_us,memory.used_bytes,block_rootfs.read_bytes';
  execFileSync(cli, ['profile', 'plot.region', '--metrics', names, '-o', 'plot.tsv', '--seconds', '8', '--interval-us', '50000'], {
    cwd: folder,
  });
  execFileSync(cli, ['plot', 'plot.tsv', '-o', 'plot.html', '--title', 'A guest at work'], { cwd: folder });
  child.kill('SIGKILL');
  await takePicture(`file://${join(folder, 'plot.html')}`, join(images, 'plot.png'), { width: 1100, height: 590, waitMs: 2000 });
}

if (chromium !== undefined && wanted('host')) {
  const fleet = ['web-1', 'web-2', 'cache', 'db-1', 'db-2', 'batch'].map((name, i) => vmm(name, `${1 + i}`));
  const lost = [vmm('mail', '2'), vmm('queue', '3'), vmm('build', '2', 'panic')];
  const opened = () => [...fleet, ...lost].every(({ spawnargs: [, , name] }) => existsSync(join(folder, `${name}.jsonl`)));
  while (!opened()) await wait(100);
  await wait(1500);
  lost[0].kill('SIGSEGV');
  lost[1].kill('SIGKILL');
  const agent = spawn(process.execPath, [cli, 'serve', folder, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.add(agent);
  const [said] = await once(agent.stderr.setEncoding('utf8'), 'data');
  const [url] = /http:\/\/\S+\d/.exec(said);
  await wait(1000);
  // The page asks for new values every two seconds, and draws how they change.
  await takePicture(`${url}/`, join(images, 'host.png'), { width: 1100, height: 430, waitMs: 24_000 });
  for (const child of [...fleet, agent]) child.kill('SIGKILL');
}
process.exit();
