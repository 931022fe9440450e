// Runs the commands and programs of the pages in docs/ as printed. A command that no test can run is listed with the
// reason.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { compile, nodeHeaders } from '../helpers/compiler.ts';
import { shownBlocks, shownCommands } from '../helpers/shown-blocks.ts';
import { documentText, type Expectation, installed, place, root, testsOfDocument } from './printed.ts';

describe('given the guide for authors and a folder with the package', () => {
  const there = installed(place());
  testsOfDocument('docs/guides/vmm-author.md', there, {
    'node distribution.mjs': ({ stdout }) => {
      const [, quantile] = /^1000n 500\.5 (\S+)\n$/.exec(stdout) ?? [];
      expect(Math.abs(Number(quantile) - 990)).toBeLessThan(0.05 * 990);
    },
    'npx vmm-metrics show /dev/shm/distribution.region': ({ stdout }) => expect(stdout).toContain('request_bytes'),
    'npx vmm-metrics show /dev/shm/distribution.region --histogram disk.read_us': ({ stdout }) => expect(stdout).toContain('█'),
    'node firecracker.mjs': () =>
      expect(there.firstLineOf('firecracker.jsonl')).toMatchObject({
        id: 'vm0',
        properties: { customer: '1234' },
        vcpu: { exit_mmio_read: 1 },
        block_rootfs: { read_count: 1, read_agg: { min_us: 120, max_us: 120, sum_us: 120 } },
        net: { rx_bytes_count: 1500 },
      }),
    'node killed.mjs': ({ isKilled }) => expect(isKilled).toBe(true),
    'node read.mjs': ({ stdout }) => {
      const [state, values, line] = stdout.split('\n');
      expect([state, values]).toEqual(['killed', '3n 3n']);
      expect(JSON.parse(line!)).toMatchObject({ vcpu: { exit_io_out: 3 } });
    },
    'npx vmm-metrics flush /dev/shm/guide.region --to killed.jsonl': () =>
      expect(there.firstLineOf('killed.jsonl')).toMatchObject({ vcpu: { exit_io_out: 3 } }),
    'npx vmm-metrics lines killed.jsonl': ({ stdout }) => expect(stdout).toMatch(/vcpu\.exit_io_out +3/),
    'node profile.mjs': ({ stdout }) => expect(Number(/^\d+/.exec(stdout))).toBeGreaterThan(0),
    'npx vmm-metrics plot profile.tsv -o profile.html': () =>
      expect(readFileSync(there.path('profile.html'), 'utf8')).toContain('block_rootfs.read_bytes'),
  });
});

describe('given the guide for operators and a folder with the package', () => {
  const there = installed(place());
  const NEEDS_ROOT = 'changes the system, and needs systemd';
  testsOfDocument('docs/guides/operators.md', there, {
    'mkdir -p -m 0700 /run/vmm/web /run/vmm/db /var/log/vmm': ({ stderr }) => expect(stderr).toBe(''),
    'node vmm.mjs web killed': ({ isKilled }) => expect(isKilled).toBe(true),
    'npx vmm-metrics show /run/vmm/web/metrics.region': ({ stdout }) => expect(stdout).toMatch(/killed[\s\S]*exit_io_out +3 +\+3/),
    'node vmm.mjs web': ({ stderr }) => expect(stderr).toBe(''),
    'npx vmm-metrics lines /var/log/vmm/web.jsonl': ({ stdout }) => expect(stdout).toMatch(/vcpu\.exit_io_out +6/),
    'node vmm.mjs db killed': ({ isKilled }) => expect(isKilled).toBe(true),
    'npx vmm-metrics flush /run/vmm/db/metrics.region --to /var/log/vmm/db.jsonl': () =>
      expect(there.firstLineOf('log/db.jsonl')).toMatchObject({ id: 'db', vcpu: { exit_io_out: 3 } }),
    'cp contrib/systemd/vmm@.service contrib/systemd/vmm-metrics-agent.service /etc/systemd/system/': NEEDS_ROOT,
    'systemctl daemon-reload': NEEDS_ROOT,
    'systemctl enable --now vmm@web vmm-metrics-agent': NEEDS_ROOT,
  });
});

describe('given the page about native writers and a folder with the package', () => {
  const document = 'docs/native-writers.md';
  const there = installed(place());
  const schema = () => writeFileSync(there.path('schema.mjs'), readFileSync(join(root, 'examples/native-writers/schema.mjs')));
  test('when the schema of the sample is saved, then the page has the schema that it names', schema);
  testsOfDocument(document, there, {
    'npx vmm-metrics codegen schema.mjs -o metrics.gen.h': () => expect(existsSync(there.path('metrics.gen.h'))).toBe(true),
  });
  const blocks = shownBlocks(documentText(document));

  test('when the C++ block is compiled with the generated header, then there is no error', () => {
    const [text] = blocks.filter(({ language }) => language === 'cpp').map((block) => block.text);
    const [include, ...statements] = text!.split('\n');
    const parameters = 'napi_env env, napi_value external, vmm_metrics_store store, uint64_t ns';
    writeFileSync(there.path('counts.cc'), `#include <string>\n${include}\nvoid Count(${parameters}) {\n${statements.join('\n')}}\n`);
    const include_dirs = ['-I', nodeHeaders(), '-I', join(root, 'include')];
    expect(compile('c++', '-std=c++17', '-fsyntax-only', ...include_dirs, there.path('counts.cc'))).toEqual({ code: 0, said: '' });
  });

  test('when the line for binding.gyp is used, then it finds the header', async () => {
    const [text] = blocks.filter(({ language }) => language === 'python').map((block) => block.text);
    const [, command] = /<!\((.*)\)"/.exec(text!) ?? [];
    const { stdout } = await there.run(command!.replaceAll('\\"', '"'));
    expect(existsSync(join(stdout.trim(), 'vmm_metrics.h'))).toBe(true);
  });
});

/** The pages whose commands other tests run, or no test can run. */
const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, Expectation>>>> = {
  'docs/serve.md': {
    "npx vmm-metrics serve '/run/vmm/*/metrics.region'": 'runs until it is stopped, and needs /run/vmm: test/serve.test.ts runs it',
    'curl http://127.0.0.1:9910/metrics': 'needs a fixed port: test/serve.test.ts asks for /metrics',
  },
};
const RUN_HERE = ['docs/guides/operators.md', 'docs/guides/vmm-author.md', 'docs/native-writers.md'];

test('given all pages, when their commands are collected, then each is run by a test or has a reason', () => {
  const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  const showing = pages.filter((page) => page !== 'README.md' && shownCommands(documentText(page)).length > 0);
  expect(showing.sort()).toEqual([...RUN_HERE, ...Object.keys(ELSEWHERE)].sort());
  for (const [page, commands] of Object.entries(ELSEWHERE)) expect(shownCommands(documentText(page))).toEqual(Object.keys(commands));
});
