// Runs every fenced block of the README as printed, in order, in a folder that contains only the packed package.
// Indented blocks are for a checkout of the repository; other tests run them.

import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';

import { compile } from '../helpers/compiler.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly isKilled: boolean;
}

const folder = mkdtempSync(join(tmpdir(), 'vmm-metrics-readme-'));
/** Replaces /dev/shm/ in the blocks, since others may try the README at the same time. */
const memory = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/vmm-metrics-readme-') : folder;
const printed = (text: string) => text.replaceAll('/dev/shm/', `${memory}/`);
const firstLineOf = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8').split('\n')[0]!);

beforeAll(() => copyFileSync(inject('tarball'), join(folder, 'vmm-metrics-0.1.0.tgz')));
afterAll(() => {
  for (const made of [folder, memory]) rmSync(made, { recursive: true, force: true });
});

/** Runs a shell command in the folder. Rejects unless the command succeeds or is killed by SIGKILL. */
function run(line: string): Promise<Ran> {
  const env = { HOME: process.env['HOME'], PATH: inject('tools'), npm_config_prefer_offline: 'true', npm_config_audit: 'false' };
  return new Promise((done, fail) => {
    execFile('/bin/sh', ['-c', line], { cwd: folder, env }, (error, stdout, stderr) => {
      const isKilled = error !== null && (error.signal === 'SIGKILL' || error.code === 137);
      if (error !== null && !isKilled) fail(new Error(`${line}\n${stdout}${stderr}`, { cause: error }));
      else done({ stdout, stderr, isKilled });
    });
  });
}

/** What each command of the README must do. */
const EXPECTED: Readonly<Record<string, (ran: Ran) => void>> = {
  'npm init -y': () => expect(existsSync(join(folder, 'package.json'))).toBe(true),
  'npm install ./vmm-metrics-0.1.0.tgz': () => expect(existsSync(join(folder, 'node_modules/vmm-metrics'))).toBe(true),
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
  'node firecracker.mjs': () =>
    expect(firstLineOf('firecracker.jsonl')).toMatchObject({
      id: 'vm0',
      properties: { customer: '1234' },
      vcpu: { exit_mmio_read: 1 },
      block_rootfs: { read_count: 1, read_agg: { min_us: 120, max_us: 120, sum_us: 120 } },
      net: { rx_bytes_count: 1500 },
    }),
  'node killed.mjs': ({ isKilled, stderr }) => {
    expect(isKilled).toBe(true);
    expect(stderr).not.toContain('Warning');
  },
  'node read.mjs': ({ stdout }) => {
    const [state, values, line] = stdout.split('\n');
    expect([state, values]).toEqual(['killed', '3n 3n']);
    expect(JSON.parse(line!)).toMatchObject({ vcpu: { exit_io_out: 3 } });
  },
  'npx vmm-metrics show /dev/shm/vm0.region': ({ stdout }) => {
    expect(stdout).toMatch(/killed/);
    expect(stdout).toMatch(/exit_io_out +3 +\+3/);
  },
  'npx vmm-metrics flush /dev/shm/vm0.region --to vm0.jsonl': () =>
    expect(firstLineOf('vm0.jsonl')).toMatchObject({ vcpu: { exit_io_out: 3 } }),
  'node profile.mjs': ({ stdout }) => expect(Number(/^\d+/.exec(stdout))).toBeGreaterThan(0),
  'npx vmm-metrics plot profile.tsv -o profile.html': () =>
    expect(readFileSync(join(folder, 'profile.html'), 'utf8')).toContain('block_rootfs.read_bytes'),
};

interface Block {
  readonly language: string;
  readonly text: string;
  /** For a program: its file name, from the text before the block. */
  readonly file: string;
}

const blocks = [...readme.matchAll(/([\s\S]*?)^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, before = '', language = '', text = '']): Block => {
  const file = [...before.matchAll(/`([\w-]+\.mjs)`/g)].at(-1)?.[1] ?? '';
  return { language, text, file };
});

describe('given an empty folder with the packed package and the README', () => {
  for (const { language, text, file } of blocks) {
    if (language === 'js') {
      test(`when the block of ${file} is saved, then it has that name`, () => {
        expect(file).toMatch(/^\w+\.mjs$/);
        expect(readme).toContain(`ave this as \`${file}\`:\n\n\`\`\`js\n${text}`);
        writeFileSync(join(folder, file), printed(text));
      });
    } else if (language === 'sh') {
      for (const line of text.trimEnd().split('\n')) {
        test(`when \`${line}\` runs, then it does what it says`, async () => {
          expect(Object.keys(EXPECTED)).toContain(line);
          EXPECTED[line]!(await run(printed(line)));
        });
      }
    } else if (language === 'cpp') {
      test('when the C++ block is compiled with a generated header, then there is no error', async () => {
        writeFileSync(join(folder, 'schema.mjs'), "export { firecracker as default } from 'vmm-metrics/firecracker';\n");
        await run('npx vmm-metrics codegen schema.mjs -o metrics.gen.h');
        const parameters = 'const vmm_metrics_store& store, const vmm_metrics::Shard& shard';
        writeFileSync(join(folder, 'counts.cc'), `#include "metrics.gen.h"\nvoid Count(${parameters}) {\n${text}}\n`);
        expect(compile('c++', '-std=c++17', '-fsyntax-only', join(folder, 'counts.cc'))).toEqual({ code: 0, said: '' });
      });
    } else {
      test('when the line for binding.gyp is used, then it finds the header', async () => {
        expect(language).toBe('python');
        const [, command] = /<!\((.*)\)"/.exec(text) ?? [];
        const { stdout } = await run(command!.replaceAll('\\"', '"'));
        expect(existsSync(join(stdout.trim(), 'vmm_metrics.h'))).toBe(true);
      });
    }
  }

  test('when the quick start is saved as TypeScript, then it compiles', () => {
    copyFileSync(join(folder, 'quickstart.mjs'), join(folder, 'quickstart.mts'));
    const types = dirname(join(root, 'node_modules/@types/node'));
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2024,esnext.disposable'];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const command = [tsc, ...options, '--typeRoots', types, '--types', 'node', 'quickstart.mts'];
    expect(() => execFileSync(process.execPath, command, { cwd: folder, encoding: 'utf8' })).not.toThrow();
  });

  test('when its commands are compared with the ones that are checked here, then none is missing', () => {
    const lines = blocks.filter(({ language }) => language === 'sh').flatMap(({ text }) => text.trimEnd().split('\n'));
    expect(lines).toEqual(Object.keys(EXPECTED));
  });
});
