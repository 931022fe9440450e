// The crash handler inside Node allocates nothing, and a jail may forbid all system calls but the documented ones.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import { runChild } from './helpers/children.ts';
import { at, linesIn, temporaryFolder } from './helpers/workplace.ts';

const built = fileURLToPath(new URL('./addon/build/Release/', import.meta.url));

describe('given a jail and a check of what the handler allocates', () => {
  test.each([
    { how: 'null', where: 'main', signal: 'SIGSEGV' },
    { how: 'null', where: 'thread', signal: 'SIGSEGV' },
    { how: 'null', where: 'main', signal: 'SIGSEGV', devices: 20 },
    { how: 'illegal', where: 'thread', signal: 'SIGILL' },
    { how: 'divide', where: 'main', signal: 'SIGFPE' },
    { how: 'abort', where: 'main', signal: 'SIGABRT' },
    { how: 'abort', where: 'thread', signal: 'SIGABRT' },
  ])('when %o, then the handler allocates nothing, makes no other system call, and writes one line', async (plan) => {
    const sink = `${temporaryFolder()}/lines`;
    const before = `export LD_PRELOAD=${built}handler_watch.node`;
    const death = await runChild('confined.mjs', [JSON.stringify({ sink, devices: 0, ...plan })], { before });
    expect(death).toEqual({ code: null, signal: plan.signal, stdout: 'true\n', stderr: '' });
    expect(linesIn(sink).map((line) => [at(line, 'vcpu.exit_io_out'), at(line, 'pmem.activate_fails')])).toEqual([
      [7n, BigInt(plan.devices ?? 0)],
    ]);
  });

  test('when the documented list of system calls is read, then it lists the calls that the jail allows', () => {
    const { crashCalls } = createRequire(import.meta.url)(`${built}vmm_test.node`) as { crashCalls(): string[] };
    const document = readFileSync(new URL('../docs/crash-safety.md', import.meta.url), 'utf8');
    const [, section] = /\n## A jailed host\n([\s\S]*?)\n## /.exec(document)!;
    const rows = section!.split('\n').filter((row) => !row.includes('only with musl')); // this Node has glibc
    const listed = rows
      .flatMap((row) => [...(/^\| (`.*?) \|/.exec(row)?.[1]?.matchAll(/`(\w+)`/g) ?? [])].map(([, name]) => name!))
      .filter((name) => !(process.arch === 'arm64' && name === 'poll'));
    expect(listed.sort()).toEqual(crashCalls().sort());
  });
});
