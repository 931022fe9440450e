// The command `vmm-metrics`, run as a shell does.

import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  createReadStream,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { group, inc, latency, perDevice, readRegion, type SchemaShape, store } from 'vmm-metrics';

import { node } from './helpers/children.ts';
import { HANG_MS } from './helpers/limits.ts';
import { Model, type Picture } from './helpers/model.ts';
import { type RegionOptions, writeRegion } from './helpers/region-writer.ts';
import { inTerminal, LEFT, screenOf } from './helpers/terminal.ts';
import { parseLine, temporaryFolder } from './helpers/workplace.ts';

const program = fileURLToPath(new URL('../dist/lib/cli/main.js', import.meta.url));

interface End {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function cli(...args: string[]): Promise<End> {
  return new Promise((resolve) => {
    execFile(node, [program, ...args], { timeout: HANG_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}

const shape: SchemaShape = {
  vcpu: group({
    exits: inc('KVM exits'),
    level: store('A level', { unit: 'bytes' }),
    time: latency('Time of an exit'),
    idle: inc('Never'),
  }),
  disk: perDevice({ ops: inc('Requests') }),
};

function counted(): { model: Model; before: Picture } {
  const model = new Model(shape, {});
  const [vcpu] = model.holders;
  vcpu!.bump('exits', 2n ** 64n - 10n);
  const before = model.picture();
  vcpu!.bump('exits', 7n);
  vcpu!.bump('level', 4096n);
  vcpu!.bump('time', 12n);
  vcpu!.bump('time', 1500n);
  model.alloc('disk', 'a\u001b[31m')!.bump('ops', 3n);
  return { model, before };
}

function region(path: string, options?: RegionOptions): string {
  const { model, before } = counted();
  writeRegion(path, model, before, options);
  return path;
}
const regionFile = (options?: RegionOptions) => region(join(temporaryFolder(), 'region'), options);

const oneLine = /^vmm-metrics: [^\n]+\n$/;

describe('given vmm-metrics', () => {
  test.each([
    { args: ['--help'], says: 'Usage: vmm-metrics COMMAND' },
    { args: ['-h'], says: 'show the metrics in a region file' },
    { args: ['show', '--help'], says: 'Usage: vmm-metrics show FILE|DIR' },
    { args: ['watch', '--interval', '-h'], says: 'Usage: vmm-metrics watch FILE|DIR' },
    { args: ['flush', 'x', '--help'], says: 'Usage: vmm-metrics flush FILE --to SINK' },
    { args: ['--version'], says: `${JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version}\n` },
  ])('when it is called with $args, then it says so and ends well, in lines of 80 columns', async ({ args, says }) => {
    const { code, stdout, stderr } = await cli(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(says);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test.each([
    { args: [], says: 'a command is missing' },
    { args: ['sow'], says: "there is no command 'sow'" },
    { args: ['toString'], says: "there is no command 'toString'" },
    { args: ['--verbose'], says: "there is no command '--verbose'" },
    { args: ['--version', 'x'], says: "unexpected argument 'x' after --version" },
    { args: ['show'], says: 'show: FILE|DIR is missing' },
    { args: ['show', 'a', 'b\u001b\n'], says: "show: unexpected argument 'b\\u001b\\u000a' after FILE|DIR; see vmm-metrics show --help" },
    { args: ['show', '--jsn', 'a'], says: "show: Unknown option '--jsn'" },
    { args: ['show', '--json=yes', 'a'], says: "show: Option '--json' does not take an argument" },
    { args: ['show', '--json', '--line', 'a'], says: 'show: --json and --line cannot be used together' },
    { args: ['show', '--all', '--line', 'a'], says: 'show: --all is only for the table' },
    { args: ['show', ''], says: 'show: FILE must not be empty' },
    { args: ['watch'], says: 'watch: FILE|DIR is missing' },
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
    { args: ['show', program], says: 'it is no region' },
    { args: ['watch', '/nowhere'], says: 'watch needs a terminal' },
    { args: ['flush', '/nowhere', '--to', '-'], says: "Region file '/nowhere': ENOENT" },
  ])('when $args fails, then one line says why, and the exit code is 1', async ({ args, says }) => {
    const { code, stdout, stderr } = await cli(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(says);
  });

  test('when nobody reads its output, then it ends quietly', async () => {
    const end = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
      const child = spawn('/bin/sh', [
        '-c',
        `exec 3>&1; { "$@"; echo "code $?" >&2; } | exec true`,
        'sh',
        node,
        program,
        'show',
        '--all',
        regionFile(),
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
  test('when a region is shown, then its process is, and what is not 0, without what a terminal would obey', async () => {
    const path = regionFile({ name: 'vm\u0007' });
    const { code, stdout, stderr } = await cli('show', path);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(`${path}
vm\\u0007, process 4242, was killed; started 2023-11-14T22:13:20.123Z, before this boot; 1 line flushed

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

  test('when its process crashed and memory was lost, then the first lines say it', async () => {
    const crash = { signal: 7, code: 2, address: 0xabcn, threadId: 99, ns: 1_700_000_001_456_000_000n };
    const { stdout } = await cli('show', regionFile({ state: 3, crash, degraded: true }));
    expect(stdout.split('\n')[1]).toBe(
      'vm0, process 4242, crashed by SIGBUS (code 2, address 0xabc) at 2023-11-14T22:13:21.456Z in thread 99; started 2023-11-14T22:13:20.123Z, before this boot; 1 line flushed; DEGRADED: part of its memory was lost, and the values there',
    );
  });

  test('when JSON is asked for, then it is one document of everything, integers exact', async () => {
    const path = regionFile();
    const { stdout } = await cli('show', '--json', path);
    expect(stdout.endsWith('}\n')).toBe(true);
    const document = parseLine(stdout.trimEnd().replaceAll('-', '')) as Record<string, Record<string, Record<string, unknown>>>;
    expect(document['values']!['vcpu']!['exits']).toBe(2n ** 64n - 3n);
    expect(document['pending']!['vcpu']!['exits']).toBe(7n);
    expect(document['values']!['disk']!['devices']).toEqual({ 'a\u001b[31m': { ops: 3n } });
    const plain = JSON.parse(stdout) as Record<string, unknown>;
    expect(plain).toMatchObject({ file: path, state: 'killed', pid: 4242, startedAt: '2023-11-14T22:13:20.123Z', linesFlushed: 1 });
    expect(plain['schema']).toEqual(JSON.parse(JSON.stringify(shape)));
  });

  test('when the line is asked for, then it is that and nothing else', async () => {
    const path = regionFile();
    const { stdout } = await cli('show', '--line', path);
    expect(stdout).toBe((await readRegion(path)).line());
  });

  test('when a folder is shown, then all its regions are, broken ones are told of, and the exit code is 1', async () => {
    const folder = temporaryFolder();
    region(join(folder, 'b'), { name: 'second' });
    region(join(folder, 'a'), { name: 'first' });
    region(join(folder, 'b.previous'), { name: 'third' });
    region(join(folder, '.c.12-3.tmp'), { name: 'unborn' });
    writeFileSync(join(folder, 'lines'), '{}\n');
    writeFileSync(join(folder, 'empty'), '');
    mkdirSync(join(folder, 'folder'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const well = await cli('show', '--json', folder);
    expect({ code: well.code, stderr: well.stderr }).toEqual({ code: 0, stderr: '' });
    const lines = well.stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(['first', 'second', 'third']);
    truncateSync(region(join(folder, 'aa')), 3000);
    const { code, stdout, stderr } = await cli('show', folder);
    expect(code).toBe(1);
    expect(stdout.match(/^(first|second|third|vm0), process/gm)).toHaveLength(3);
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain(`Region file '${join(folder, 'aa')}': it is cut short`);
  });

  test('when there is no region in a folder, then that is a failure', async () => {
    const folder = temporaryFolder();
    expect(await cli('show', folder)).toEqual({ code: 1, stdout: '', stderr: `vmm-metrics: There is no region file in '${folder}'\n` });
  });
});

describe('vmm-metrics flush', () => {
  const expectFlushed = async (path: string) => {
    const { hasPending, pending, linesFlushed, values } = await readRegion(path);
    expect({ hasPending, linesFlushed }).toEqual({ hasPending: false, linesFlushed: 2n });
    expect(pending['vcpu']).toMatchObject({ exits: 0n, level: 4096n });
    expect(values['vcpu']).toMatchObject({ exits: 2n ** 64n - 3n });
  };

  test('when a killed process had something to say, then it is appended to the file, once', async () => {
    const path = regionFile({ shards: 3 });
    const sink = join(temporaryFolder(), 'lines');
    const line = (await readRegion(path)).line();
    expect(await cli('flush', path, '--to', sink)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(sink, 'utf8')).toBe(line);
    expect(statSync(sink).mode & 0o777).toBe(0o600);
    await expectFlushed(path);
    const again = await cli('flush', path, '--to', sink);
    expect(again).toEqual({ code: 0, stdout: '', stderr: `vmm-metrics: there is nothing to flush in '${path}'\n` });
    expect(readFileSync(sink, 'utf8')).toBe(line);
  });

  test('when the file ends in half a line, then a newline goes first', async () => {
    const path = regionFile();
    const sink = join(temporaryFolder(), 'lines');
    writeFileSync(sink, '{"half":');
    const line = (await readRegion(path)).line();
    expect((await cli('flush', path, '--to', sink)).code).toBe(0);
    expect(readFileSync(sink, 'utf8')).toBe(`{"half":\n${line}`);
    await expectFlushed(path);
  });

  test('when it goes to standard output, then it is there', async () => {
    const path = regionFile();
    const line = (await readRegion(path)).line();
    expect(await cli('flush', '--to', '-', path)).toEqual({ code: 0, stdout: line, stderr: '' });
    await expectFlushed(path);
  });

  test('when it would go to a region, then it is refused, and both are as they were', async () => {
    const paths = [regionFile(), regionFile()];
    const before = paths.map((path) => readFileSync(path));
    for (const sink of paths) {
      const { code, stderr } = await cli('flush', paths[0]!, '--to', sink);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `vmm-metrics: Cannot open the metrics destination '${sink}': it is the region of a store\n`,
      });
    }
    expect(paths.map((path, i) => readFileSync(path).equals(before[i]!))).toEqual([true, true]);
  });

  test('when it goes to a pipe that somebody reads, then they get it', async () => {
    const path = regionFile();
    const pipe = join(temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const line = (await readRegion(path)).line();
    const flushed = cli('flush', path, '--to', pipe); // it waits for the reader
    let read = '';
    for await (const text of createReadStream(pipe, 'utf8')) read += text;
    expect(read).toBe(line);
    expect((await flushed).code).toBe(0);
    await expectFlushed(path);
  });

  test('when nobody reads the pipe, then it gives up after a while, and everything is still pending', async () => {
    const path = regionFile();
    const before = readFileSync(path);
    const pipe = join(temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const { code, stderr } = await cli('flush', path, '--to', pipe);
    expect(code).toBe(1);
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain('nobody reads it');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('when the disk is full, then the line stays pending, and goes out whole later', async () => {
    const path = regionFile();
    const { code, stderr } = await cli('flush', path, '--to', '/dev/full');
    expect(code).toBe(1);
    expect(stderr).toContain('ENOSPC');
    expect((await readRegion(path)).pending['vcpu']).toMatchObject({ exits: 7n });
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":7');
    await expectFlushed(path);
  });

  test('when the process lives, then it is refused by its number', async () => {
    const path = regionFile();
    const child = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const { code, stdout, stderr } = await cli('flush', path, '--to', '-');
    child.stdin.end();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toContain('process 4242 is running');
  });

  test('when two flush at once, then the line is out once', async () => {
    const path = regionFile();
    const sink = join(temporaryFolder(), 'lines');
    const line = (await readRegion(path)).line();
    await Promise.all([1, 2, 3].map(() => cli('flush', path, '--to', sink)));
    expect(readFileSync(sink, 'utf8')).toBe(line);
    await expectFlushed(path);
  });

  test('when it dies between the line and its commit, then the line counts as flushed all the same', async () => {
    const path = regionFile();
    const sink = join(temporaryFolder(), 'lines');
    const whole = readFileSync(path);
    expect((await cli('flush', path, '--to', sink)).code).toBe(0);
    // As it was just before the commit: the old word, and the record of the line.
    const flushed = readFileSync(path);
    const commit = flushed.readBigUInt64LE(128);
    flushed.writeBigUInt64LE(whole.readBigUInt64LE(128), 128);
    flushed.writeBigUInt64LE(commit, 184);
    writeFileSync(path, flushed);
    expect((await readRegion(path)).lineInFlight).toBe('out');
    await expectFlushed(path);
    expect((await cli('flush', path, '--to', '-')).stdout).toBe('');
    // And just before the line itself.
    flushed.copy(whole, 0, 0, flushed.length);
    writeFileSync(path, flushed);
    writeFileSync(sink, '');
    expect((await readRegion(path)).lineInFlight).toBe('pending');
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":7');
    await expectFlushed(path);
  });

  test('when it is killed while it sends, then the region says that a line was on its way, and nothing is lost', async () => {
    const path = regionFile();
    const pipe = join(temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    expect(() => {
      for (;;) writeSync(reader, Buffer.alloc(4096, '\n'));
    }).toThrow(expect.objectContaining({ code: 'EAGAIN' }));
    const child = spawn(node, [program, 'flush', path, '--to', pipe]);
    const ended = new Promise((resolve) => child.once('close', resolve));
    for (const end = Date.now() + HANG_MS; readFileSync(path).readBigUInt64LE(184) === 0n && Date.now() < end; ) await sleep(10);
    child.kill('SIGKILL');
    await ended;
    closeSync(reader);
    const { lineInFlight, pending } = await readRegion(path);
    expect(lineInFlight).toBe('unknown');
    expect(pending['vcpu']).toMatchObject({ exits: 7n });
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":7');
    await expectFlushed(path);
  });

  test('when the line of the dead process was out after all, then it stays so, even when the next does not get out', async () => {
    const sink = join(temporaryFolder(), 'lines');
    const { model, before } = counted();
    const picture = model.picture();
    writeFileSync(sink, `${model.line(picture, before).join('')}\n`);
    const { dev, ino } = statSync(sink, { bigint: true });
    model.holders[0]!.bump('exits', 1n);
    const path = join(temporaryFolder(), 'region');
    writeRegion(path, model, before, { line: { picture, device: dev, inode: ino, isRegularFile: true, bytes: 99n }, sinkPath: sink });
    expect((await cli('flush', path, '--to', '/dev/full')).code).toBe(1);
    expect((await readRegion(path)).pending['vcpu']).toMatchObject({ exits: 1n });
    expect((await cli('flush', path, '--to', '-')).stdout).toContain('"exits":1,');
  });

  test('when a pipe has half a line of the dead process, then the other line begins anew', async () => {
    const pipe = join(temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const { dev, ino } = statSync(pipe, { bigint: true });
    const { model, before } = counted();
    const line = { picture: model.picture(), device: dev, inode: ino, bytes: 100n, sent: 50n };
    const path = join(temporaryFolder(), 'region');
    writeRegion(path, model, before, { line, sinkPath: pipe });
    const flushed = cli('flush', path, '--to', pipe);
    let read = '';
    for await (const text of createReadStream(pipe, 'utf8')) read += text;
    expect(read).toBe(`\n${(await readRegion(regionFile())).line()}`);
    expect((await flushed).code).toBe(0);
  });
});

/** Drawn, without a filter. */
const STARTED = 'vcpu\\s+exits|disk(.|\\s)*ops';

describe('vmm-metrics watch', () => {
  test.each([
    { how: 'q', end: 'q', code: 0, signal: null },
    { how: 'Ctrl-C', end: '\x03', code: 0, signal: null },
    { how: 'SIGTERM', end: { kill: 'SIGTERM' }, code: null, signal: 'SIGTERM' },
    { how: 'SIGHUP', end: { kill: 'SIGHUP' }, code: null, signal: 'SIGHUP' },
  ])('when it ends by $how, then the terminal is as it was', async ({ end, code, signal }) => {
    const session = await inTerminal(80, 24, [[STARTED, end]], 'watch', regionFile());
    expect(session).toMatchObject({ code, signal, restored: true });
    expect(session.screens[0]).toContain('\x1b[?1049h');
    expect(session.last).toContain(LEFT);
  });

  test('when a counter goes up, then its rate is there; and when the process is another one, or the file is gone, it says so', async () => {
    const folder = temporaryFolder();
    const path = region(join(folder, 'region'));
    const { model, before } = counted();
    model.holders[1]!.bump('ops', 1_000_000n);
    writeRegion(join(folder, 'later'), model, before);
    writeRegion(join(folder, 'other'), model, before, { name: 'other', pid: 5555, state: 3 });
    const session = await inTerminal(
      200,
      24,
      [
        ['ops +3 +0 ', { run: `mv '${folder}/later' '${path}'` }],
        ['ops +1,000,003 +[0-9]', { run: `mv '${folder}/other' '${path}'` }],
        ['another process has taken the file over', { run: `rm '${path}'` }],
        ['the file is gone', 'q'],
      ],
      'watch',
      path,
      '--interval',
      '300',
    );
    expect(session.code).toBe(0);
    const [first, , other, gone] = session.screens.map(screenOf);
    expect(first).toContain('vm0, process 4242, was killed');
    expect(first).toMatch(/ops +3 +0 +\+3 *\n/);
    const rates = session.screens[1]!.split('\x1b[H')
      .map(screenOf)
      .flatMap((screen) => /ops +1,000,003 +([\d,]+) /.exec(screen)?.[1] ?? []);
    expect(rates.length).toBeGreaterThan(0);
    expect(Number(rates[0]!.replaceAll(',', ''))).toBeGreaterThan(0);
    expect(other).toContain('other, process 5555, crashed');
    expect(other).toContain('another process has taken the file over');
    expect(gone).toContain('the file is gone; these are its last numbers');
    expect(gone).toMatch(/ops +1,000,003 /);
  });

  test('when keys are pressed, then it filters, sorts, helps, shows all, and fits the terminal whatever its size', async () => {
    const session = await inTerminal(
      80,
      24,
      [
        [STARTED, '/OPS\r'],
        ["filter 'OPS'", '\x1b'],
        [STARTED, 's'],
        ['vcpu[.]exits', '?'],
        ['Usage: vmm-metrics watch', 'x'],
        ['vcpu[.]exits', 'a'],
        ['vcpu[.]idle', { resize: [40, 8] }],
        ['', { resize: [200, 50] }],
        ['', 'q'],
      ],
      'watch',
      regionFile(),
    );
    const [first, filtered, unfiltered, sorted, help, back, all, small, wide] = session.screens.map(screenOf);
    for (const screen of [first, unfiltered]) expect(screen).toMatch(/vcpu\n +exits/);
    expect(filtered).toMatch(/ops +3/);
    expect(filtered).not.toContain('exits');
    expect(filtered).toContain("filter 'OPS'");
    expect(sorted).toContain('vcpu.exits');
    expect(help).toContain('Usage: vmm-metrics watch');
    expect(back).toContain('vcpu.exits');
    expect(all).toContain('vcpu.idle');
    expect(small!.split('\n')).toHaveLength(8);
    expect(wide!.split('\n')).toHaveLength(50);
    expect(wide).toContain('sum; min 12, max 1,500');
    expect(session).toMatchObject({ code: 0, restored: true });
  });
});
