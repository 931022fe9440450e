// The examples at the edges of the package: a route for HTTP, a container image, and a jail.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { linesIn, temporaryFolder } from './helpers/workplace.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');

/** Starts a program, and waits for its first line of output. */
async function started(...args: string[]) {
  const child = spawn(node, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [first] = (await Promise.race([once(child.stdout.setEncoding('utf8'), 'data'), ended])) as [unknown];
  if (typeof first !== 'string') throw new Error(`it ended early: ${errors}`);
  return { child, ended, first: first.trim() };
}

test('given the route for HTTP, when it is asked, then it serves the counts of the program, and the program ends by SIGTERM', async () => {
  const { child, ended, first: url } = await started('examples/http-route/main.mjs', '0');
  for (let i = 0; i < 3; i++) expect(await (await fetch(url.replace('/metrics', '/'))).text()).toBe('Hello\n');
  const response = await fetch(url, { headers: { connection: 'close' } });
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  expect(text).toContain('vmm_http_requests_total{service="hello"} 3\n');
  expect(text).toContain('# TYPE vmm_http_time_agg_seconds histogram\n');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

describe('given the image of a VMM', () => {
  const text = read('examples/container/Dockerfile');

  test('when a linter reads it, then it finds nothing', () => {
    const { validate } = createRequire(import.meta.url)('dockerfile-utils') as {
      validate(content: string, settings: object): { message: string }[];
    };
    expect(validate(text, {}).map(({ message }) => message)).toEqual([]);
    expect(validate('FROM a\nRUNS b\n', {})).not.toEqual([]);
  });

  test('when its facts are compared with the package, then they fit', () => {
    const nodes = [...text.matchAll(/^FROM node:(\d+)-(\S+)/gm)].map(([, major, variant]) => ({ major: Number(major), variant }));
    expect(nodes).toHaveLength(2);
    // The Nodes that `npm run test:nodes` tests.
    for (const { major } of nodes) expect(read('scripts/test-nodes.mjs')).toMatch(new RegExp(`\\b${major}\\b`));
    expect(text).not.toMatch(/apt-get|apk add|g\+\+|python/);
    expect(text).toMatch(/^USER node$/m);
    expect(text.indexOf('USER node')).toBeLessThan(text.indexOf('ENTRYPOINT ["node"'));
  });
});

describe('given the jail of a VMM', () => {
  const unit = read('examples/jailed-vmm/vmm-jailed@.service');
  const settings = (key: string) => [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value!);

  test('when the VMM runs with the permissions of the unit and crashes, then its last line and its region tell of it', async () => {
    const [, ...args] = settings('ExecStart')[0]!.split(' ');
    const folder = temporaryFolder();
    for (const part of ['run/web', 'log/web']) mkdirSync(`${folder}/${part}`, { recursive: true });
    const [major] = process.versions.node.split('.').map(Number);
    const adapted = args.map((arg) =>
      arg
        .replace(/^--permission$/, major! < 24 ? '--experimental-permission' : '--permission')
        .replace('/opt/vmm/main.mjs', `${root}examples/jailed-vmm/main.mjs`)
        .replace('/opt/vmm', root.slice(0, -1))
        .replace('%i', 'web'),
    );
    const { child, ended, first } = await started(...adapted, `${folder}/run`, `${folder}/log`);
    expect(first).toBe('running');
    child.kill('SIGSEGV');
    expect(await ended).toEqual([null, 'SIGSEGV']);
    const [line] = linesIn(`${folder}/log/web/lines.jsonl`).slice(-1);
    expect(line).toMatchObject({ id: 'web', signals: { sigsegv: 1n } });
    expect(await readRegion(`${folder}/run/web/metrics.region`)).toMatchObject({ state: 'crashed' });
  });

  test('when its settings are read, then nothing in it stops a last line', () => {
    expect(settings('SystemCallErrorNumber')).toEqual(['EPERM']); // killing would call no handler
    expect(settings('SystemCallFilter')[0]).toBe('@system-service');
    expect(settings('RuntimeDirectoryPreserve')).toEqual(['yes']);
    expect(settings('RuntimeDirectoryMode')).toEqual(['0700']);
    // The same files as in main.mjs.
    expect(settings('ExecStopPost')[0]).toContain('/run/vmm/%i/metrics.region --to /var/log/vmm/%i/lines.jsonl');
    expect(read('examples/jailed-vmm/main.mjs')).toMatch(/run = '\/run\/vmm', log = '\/var\/log\/vmm'/);
  });
});
