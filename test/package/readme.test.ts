// Runs every fenced block of the README as printed. Indented blocks are for a checkout of the repository; other tests
// run them.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, inject, test } from 'vitest';

import { shownBlocks } from '../helpers/shown-blocks.ts';
import { documentText, type Expectation, place, root, testsOfDocument } from './printed.ts';

const { version } = JSON.parse(documentText('package.json')) as { version: string };
const TARBALL = `vmm-metrics-${version}.tgz`;

const there = place();
beforeAll(() => copyFileSync(inject('tarball'), there.path(TARBALL)));

/** What each command of the README must do. */
const COMMANDS: Readonly<Record<string, Expectation>> = {
  'npm init -y': () => expect(existsSync(there.path('package.json'))).toBe(true),
  [`npm install ./${TARBALL}`]: () => expect(existsSync(there.path('node_modules/vmm-metrics'))).toBe(true),
  'node quickstart.mjs': ({ stdout, stderr }) => {
    const [first, line] = stdout.split('\n');
    expect(first).toBe('1n { read_bytes: 4096n }');
    expect(JSON.parse(line!)).toMatchObject({
      vcpu: { exit_io_out: 1 },
      balloon: { actual_bytes: 268435456 },
      block: { read_bytes: 4096 },
    });
    expect(stderr).toBe('');
  },
  'node killed.mjs': ({ isKilled, stderr }) => {
    expect(isKilled).toBe(true);
    expect(stderr).not.toContain('Warning');
  },
  'npx vmm-metrics show /dev/shm/vm0.region': ({ stdout }) => {
    expect(stdout).toMatch(/killed/);
    expect(stdout).toMatch(/exit_io_out +3 +\+3/);
  },
  'npx vmm-metrics flush /dev/shm/vm0.region --to vm0.jsonl': () =>
    expect(there.firstLineOf('vm0.jsonl')).toMatchObject({ vcpu: { exit_io_out: 3 } }),
  'node profile.mjs': ({ stdout }) => expect(Number(stdout)).toBeGreaterThan(0),
  'npx vmm-metrics plot profile.tsv -o profile.html': () =>
    expect(readFileSync(there.path('profile.html'), 'utf8')).toContain('vcpu.exit_io_out_agg.sum_us'),
};

describe('given an empty folder with the packed package and the README', () => {
  testsOfDocument('README.md', there, COMMANDS);

  test('when its blocks are read, then each is a program to save or commands to run', () => {
    const others = shownBlocks(documentText('README.md')).filter(({ language, file }) => language !== 'sh' && file === undefined);
    expect(others).toEqual([]);
  });

  test('when the quick start is saved as TypeScript, then it compiles', () => {
    copyFileSync(there.path('quickstart.mjs'), there.path('quickstart.mts'));
    const types = dirname(join(root, 'node_modules/@types/node'));
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2024,esnext.disposable'];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const command = [tsc, ...options, '--typeRoots', types, '--types', 'node', 'quickstart.mts'];
    expect(() => execFileSync(process.execPath, command, { cwd: there.folder, encoding: 'utf8' })).not.toThrow();
  });
});
