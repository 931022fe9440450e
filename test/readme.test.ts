// The code and commands that the README shows are the ones that run.

import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as surface from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { at, parseLine, temporaryFolder } from './helpers/workplace.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');

describe('README', () => {
  test('when its quick start is compared with examples/quickstart.ts, then they are the same', () => {
    const [, shown] = /```js\n([\s\S]*?)```/.exec(read('README.md')) ?? [];
    expect(shown).toBe(read('examples/quickstart.ts'));
  });

  test('when the quick start runs, then it counts and writes its line', () => {
    const output = execFileSync(node, [`${root}dist/examples/quickstart.js`], { cwd: temporaryFolder(), encoding: 'utf8' });
    const [first, line] = output.split('\n');
    expect(first).toBe('1n { read_bytes: 4096n }');
    expect(at(parseLine(line!), 'block_rootfs.read_bytes')).toBe(4096n);
  });

  test('when it is measured, then it is a front page: 200 lines, and pictures that are small', () => {
    const lines = read('README.md').trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(200);
    const pictures = [...read('README.md').matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, path]) => path!);
    expect(pictures).toHaveLength(4);
    for (const path of pictures) expect(statSync(`${root}${path}`).size, path).toBeLessThan(150_000);
  });

  test('when its two commands are read, then .ci/run runs the command for the tests', () => {
    const commands = [...read('README.md').matchAll(/^ {4}(npm ci && .*)$/gm)].map(([, command]) => command);
    expect(commands).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
    expect(read('.ci/run')).toContain(commands[1]);
  });
});

test('the public surface', () => {
  expect(Object.keys(surface).sort()).toEqual([
    'ErrorCode',
    'HistogramValue',
    'Metrics',
    'MetricsError',
    'defineSchema',
    'group',
    'histogram',
    'inc',
    'jsonText',
    'latency',
    'perDevice',
    'readRegion',
    'store',
    'unitOf',
    'utcTimestampMs',
  ]);
});
