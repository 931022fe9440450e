// The command `vmm-metrics`, run as a shell does.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { cli, oneLine, program } from './helpers/command.ts';
import { makeFifo } from './helpers/sinks.ts';
import { inTerminal, screenOf } from './helpers/terminal.ts';
import { vcpuRegion, vcpuRegionFile, vcpuShape } from './helpers/vcpu-region.ts';
import { parseLine, temporaryFolder } from './helpers/workplace.ts';

describe('given vmm-metrics', () => {
  test.each([
    { args: ['--help'], says: 'Usage: vmm-metrics COMMAND' },
    { args: ['-h'], says: 'show the metrics in region files' },
    { args: ['show', '--help'], says: 'Usage: vmm-metrics show PATH...' },
    { args: ['watch', '--interval', '-h'], says: 'Usage: vmm-metrics watch PATH...' },
    { args: ['flush', 'x', '--help'], says: 'Usage: vmm-metrics flush FILE --to SINK' },
    { args: ['--version'], says: `${JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version}\n` },
  ])('when it is called with $args, then it prints the right text in at most 80 columns, and the exit code is 0', async ({
    args,
    says,
  }) => {
    const { code, stdout, stderr } = await cli(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(says);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test.each([
    { args: [], says: 'a command is missing' },
    { args: ['sow'], says: "there is no command 'sow'; did you mean 'show'? there are 'show', 'watch'" },
    { args: ['toString'], says: "there is no command 'toString'" },
    { args: ['--verbose'], says: "there is no command '--verbose'" },
    { args: ['--version', 'x'], says: "unexpected argument 'x' after --version" },
    { args: ['show'], says: 'show: PATH is missing' },
    {
      args: ['flush', 'a', 'b\u001b\n', '--to', 'x'],
      says: "flush: unexpected argument 'b\\u001b\\u000a' after FILE; see vmm-metrics flush --help",
    },
    { args: ['show', '--jsn', 'a'], says: "show: Unknown option '--jsn'; did you mean '--json'? there are '--all', '--json', " },
    { args: ['serve', '-x', 'a'], says: "serve: Unknown option '-x'; there are '--listen', " },
    { args: ['completions', 'csh'], says: "completions: SHELL must be 'bash', 'zsh' or 'fish'; got 'csh'" },
    { args: ['show', '--json=yes', 'a'], says: "show: Option '--json' does not take an argument" },
    { args: ['show', '--json', '--line', 'a'], says: 'show: --json and --line cannot be used together' },
    { args: ['show', '--all', '--line', 'a'], says: 'show: --all is only for the table' },
    { args: ['show', ''], says: 'show: PATH must not be empty' },
    { args: ['watch'], says: 'watch: PATH is missing' },
    {
      args: ['watch', '--interval', 'soon', 'a'],
      says: "watch: --interval, in milliseconds, must be a number; got 'soon'",
    },
    { args: ['watch', '--interval', '99', 'a'], says: '--interval, in milliseconds, must be an integer from 100 to 3600000; got 99' },
    { args: ['flush', 'a'], says: 'flush: --to SINK is missing' },
    { args: ['flush', '--to', 'b'], says: 'flush: FILE is missing' },
    { args: ['flush', 'a', '--to', ''], says: 'flush: SINK must not be empty' },
  ])('when it is called wrongly with $args, then one line says what is wrong, and the exit code is 2', async ({ args, says }) => {
    const { code, stdout, stderr } = await cli(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(says);
  });

  test.each([
    { args: ['show', '/nowhere'], says: "Region file '/nowhere': ENOENT" },
    { args: ['show', program], says: 'it is not a region file (bad magic)' },
    { args: ['watch', '/nowhere'], says: 'watch needs a terminal' },
    { args: ['flush', '/nowhere', '--to', '-'], says: "Region file '/nowhere': ENOENT" },
  ])('when $args fails, then one line says why, and the exit code is 1', async ({ args, says }) => {
    const { code, stdout, stderr } = await cli(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(says);
  });

  test('when nobody reads its output, then it ends without a message', async () => {
    const end = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
      const child = spawn('/bin/sh', [
        '-c',
        `exec 3>&1; { "$@"; echo "code $?" >&2; } | exec true`,
        'sh',
        node,
        program,
        'show',
        '--all',
        vcpuRegionFile(),
      ]);
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      child.on('close', (code) => resolve({ code, stderr }));
    });
    expect(end).toEqual({ code: 0, stderr: 'code 0\n' });
  });
});

describe('vmm-metrics show', () => {
  test('when a region is shown, then its process and all values but zeros are printed, without terminal control characters', async () => {
    const path = vcpuRegionFile({ name: 'vm\u0007' });
    const { code, stdout, stderr } = await cli('show', path);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(`${path}
vm\\u0007, process 4242, was killed; started 2023-11-14T22:13:20.123Z, before this boot; 1 line flushed
NOT FLUSHED: the pending values. This command writes them: vmm-metrics flush ${path} --to SINK

METRIC                        TOTAL  PENDING
vcpu
  exits  18,446,744,073,709,551,613       +7                                 KVM exits
  level                       4,096           bytes                          A level
  time                        1,512   +1,512  us     sum; min 12, max 1,500  Time of an exit
disk a\\u001b[31m
  ops                             3       +3                                 Requests
disk, all devices
  ops                             3       +3                                 Requests

1 metric is zero; use --all to show it
`);
    expect((await cli('show', '--all', path)).stdout).toContain('  idle ');
  });

  test.each([
    { columns: 200, lines: 1 },
    { columns: 120, lines: 2 },
    { columns: 50, lines: 4 },
  ])('when the terminal has $columns columns, then the command that flushes has $lines lines, and a shell takes it as it is', async ({
    columns,
    lines,
  }) => {
    const path = vcpuRegion(join(temporaryFolder(), "it's $a"));
    const { last } = await inTerminal(columns, 24, [], 'show', path);
    const note = /NOT FLUSHED.*?(?=\n\n)/s.exec(screenOf(last))![0];
    expect(note.split('\n')).toHaveLength(lines);
    for (const line of note.split('\n')) if (!line.includes(path.split('/')[1]!)) expect(line.length).toBeLessThanOrEqual(columns);
    const command = note.slice(note.indexOf('vmm-metrics flush'));
    const { stdout } = spawnSync('sh', ['-c', command.replace('vmm-metrics', "printf '%s\\n'")], { encoding: 'utf8' });
    expect(stdout).toBe(`flush\n${path}\n--to\nSINK\n`);
  });

  test('when its process crashed and memory was lost, then the first lines say so', async () => {
    const crash = { signal: 7, code: 2, address: 0xabcn, threadId: 99, ns: 1_700_000_001_456_000_000n };
    const { stdout } = await cli('show', vcpuRegionFile({ state: 3, crash, degraded: true }));
    expect(stdout.split('\n')[1]).toBe(
      'vm0, process 4242, crashed by SIGBUS (code 2, address 0xabc) at 2023-11-14T22:13:21.456Z in thread 99; started 2023-11-14T22:13:20.123Z, before this boot; 1 line flushed; DEGRADED: part of its memory was lost, with the values in it',
    );
  });

  test('when JSON is requested, then one document holds everything, with exact integers', async () => {
    const path = vcpuRegionFile();
    const { stdout } = await cli('show', '--json', path);
    expect(stdout.endsWith('}\n')).toBe(true);
    const document = parseLine(stdout.trimEnd().replaceAll('-', '')) as Record<string, Record<string, Record<string, unknown>>>;
    expect(document['values']!['vcpu']!['exits']).toBe(2n ** 64n - 3n);
    expect(document['pending']!['vcpu']!['exits']).toBe(7n);
    expect(document['values']!['disk']!['devices']).toEqual({ 'a\u001b[31m': { ops: 3n } });
    const plain = JSON.parse(stdout) as Record<string, unknown>;
    expect(plain).toMatchObject({ file: path, state: 'killed', pid: 4242, startedAt: '2023-11-14T22:13:20.123Z', linesFlushed: 1 });
    expect(plain['schema']).toEqual(JSON.parse(JSON.stringify(vcpuShape)));
  });

  test('when the line is requested, then only the line is printed', async () => {
    const path = vcpuRegionFile();
    const { stdout } = await cli('show', '--line', path);
    expect(stdout).toBe((await readRegion(path)).line());
  });

  test('when a folder is shown, then all its regions are shown, damaged regions are reported, and the exit code is 1', async () => {
    const folder = temporaryFolder();
    vcpuRegion(join(folder, 'b'), { name: 'second' });
    vcpuRegion(join(folder, 'a'), { name: 'first' });
    vcpuRegion(join(folder, 'b.previous'), { name: 'third' });
    vcpuRegion(join(folder, '.c.12-3.tmp'), { name: 'unborn' });
    writeFileSync(join(folder, 'lines'), '{}\n');
    writeFileSync(join(folder, 'empty'), '');
    mkdirSync(join(folder, 'folder'));
    makeFifo(join(folder, 'pipe'));
    const well = await cli('show', '--json', folder);
    expect({ code: well.code, stderr: well.stderr }).toEqual({ code: 0, stderr: '' });
    const lines = well.stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(['first', 'second', 'third']);
    truncateSync(vcpuRegion(join(folder, 'aa')), 3000);
    const { code, stdout, stderr } = await cli('show', folder);
    expect(code).toBe(1);
    expect(stdout.match(/^(first|second|third|vm0), process/gm)).toHaveLength(3);
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(`Region file '${join(folder, 'aa')}': it is cut short`);
  });

  test('when files, folders and patterns are shown, then each file once, and those that are missing are reported', async () => {
    const folder = temporaryFolder();
    for (const name of ['vm0', 'vm1', 'other']) {
      mkdirSync(join(folder, name));
      vcpuRegion(join(folder, name, 'r'), { name });
    }
    const args = [join(folder, 'other/r'), join(folder, 'none'), join(folder, 'vm*'), join(folder, 'x*'), folder];
    const { code, stdout, stderr } = await cli('show', '--json', ...args);
    const names = stdout.trimEnd().split('\n');
    expect(names.map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(['other', 'vm0', 'vm1']);
    expect(code).toBe(1);
    expect(stderr.split('\n')).toEqual([
      `vmm-metrics: No region file matches '${join(folder, 'x*')}'`,
      expect.stringContaining(`Region file '${join(folder, 'none')}': ENOENT`),
      '',
    ]);
  });

  test('when a folder contains no region, then the command fails', async () => {
    const folder = temporaryFolder();
    expect(await cli('show', folder)).toEqual({ code: 1, stdout: '', stderr: `vmm-metrics: There is no region file in '${folder}'\n` });
  });
});
