// What the README shows is what runs.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as surface from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { at, parseLine, temporaryFolder } from './helpers/workplace.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');

describe('README', () => {
  test('when its quick start is compared with examples/quickstart.ts, then they are the same', () => {
    const [, shown] = /```ts\n([\s\S]*?)```/.exec(read('README.md')) ?? [];
    expect(shown).toBe(read('examples/quickstart.ts'));
  });

  test('when the quick start runs, then it counts, and its line is out', () => {
    const output = execFileSync(node, [`${root}dist/examples/quickstart.js`], { cwd: temporaryFolder(), encoding: 'utf8' });
    const [first, line] = output.split('\n');
    expect(first).toBe('1n { read_bytes: 4096n }');
    expect(at(parseLine(line!), 'block_rootfs.read_bytes')).toBe(4096n);
  });

  test('when its two commands are read, then .ci/run runs the one for the tests', () => {
    const commands = [...read('README.md').matchAll(/^ {4}(npm ci && .*)$/gm)].map(([, command]) => command);
    expect(commands).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
    expect(read('.ci/run')).toContain(commands[1]);
  });

  test('when documents name files and scripts, then those are there', () => {
    const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
    const documents = ['README.md', 'CONTRIBUTING.md', ...readdirSync(`${root}docs`).map((name) => `docs/${name}`)];
    for (const document of documents) {
      const text = read(document);
      for (const [, script] of text.matchAll(/npm run ([a-z:]+)/g)) expect(scripts, document).toContain(script);
      for (const [, path] of text.matchAll(/\]\(([^)#:]+)\)/g))
        expect(() => readFileSync(new URL(path!, new URL(document, `file://${root}`))), `${document}: ${path}`).not.toThrow(/ENOENT/);
      for (const [, path] of text.matchAll(/`((?:lib|native|include|test|bench|examples|docs|scripts)\/[\w./-]+\.\w+)`/g)) {
        expect(() => read(path!), `${document}: ${path}`).not.toThrow();
      }
    }
  });
});

test('the public surface', () => {
  expect(Object.keys(surface).sort()).toEqual([
    'ErrorCode',
    'Metrics',
    'MetricsError',
    'defineSchema',
    'group',
    'inc',
    'latency',
    'perDevice',
    'readRegion',
    'store',
    'unitOf',
    'utcTimestampMs',
  ]);
});
