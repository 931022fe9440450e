// `vmm-metrics profile` samples the counts of another process from outside.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, symlinkSync, truncateSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, readRegion, store } from 'vmm-metrics';

import { profileTableOf } from '../lib/profile/table.ts';
import { HeaderOffset } from '../lib/region/format.ts';
import { node } from './helpers/children.ts';
import { cliSync, program } from './helpers/command.ts';
import { HANG_MS } from './helpers/limits.ts';
import { HeldPipe, makeFifo } from './helpers/sinks.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

const torn = fileURLToPath(new URL('./fixtures/torn.mjs', import.meta.url));

const run = (...args: string[]) => cliSync(['profile', ...args]);

/** A process that counts. The two halves of each number are equal. */
async function counter(file: string) {
  const child = spawn(node, [torn, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('given a process that counts, when it is sampled for a second, then the rows are whole, on the grid, and never decrease', async () => {
  const file = `${temporaryFolder()}/r`;
  await counter(file);
  const { status, stdout, stderr } = run(file, '--metrics', 'g.m0,g.m63', '-o', `${file}.tsv`, '--seconds', '1');
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  expect(stderr).toMatch(/^vmm-metrics: \d+ samples, \d+ ticks missed\n$/);
  const table = profileTableOf(readFileSync(`${file}.tsv`));
  expect(table.intervalNs).toBe(1e6);
  expect(table.columns.map(({ name, kind, unit }) => [name, kind, unit])).toEqual([
    ['g.m0', 'inc', 'count'],
    ['g.m63', 'inc', 'count'],
  ]);
  const { samples, missed_ticks } = table.figures;
  expect(samples).toBe(table.timesNs.length);
  expect(samples! - 1 + missed_ticks!).toBe(1000);
  expect(samples).toBeGreaterThan(1);
  for (const { values } of table.columns) {
    values.forEach((value, i) => {
      if (value % 0x1_0000_0001n !== 0n || (i > 0 && value < values[i - 1]!)) throw new Error(`row ${i}: ${value} after ${values[i - 1]}`);
    });
    expect(values.at(-1)).toBeGreaterThan(values[0]!);
  }
});

test('given a process that is sampled without an end, when it is killed, then the profile ends with its last values', async () => {
  const file = `${temporaryFolder()}/r`;
  const child = await counter(file);
  const sampling = spawn(node, [program, 'profile', file, '--metrics', 'g.m0', '-o', '-'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  sampling.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.split('\n').length > 100) child.kill('SIGKILL');
  });
  const [code] = await once(sampling, 'close');
  expect(code).toBe(0);
  const [values] = profileTableOf(Buffer.from(text)).columns.map((column) => column.values);
  const { values: last } = await readRegion(file);
  expect(last['g']).toMatchObject({ m0: values!.at(-1) });
  expect(text).toMatch(/\n# samples=\d+ missed_ticks=.*\n$/);
});

test('given a running profile, when Ctrl-C is pressed, then the table has the rows so far and the closing line, and the exit code is 0', async () => {
  const file = `${temporaryFolder()}/r`;
  await counter(file);
  const sampling = spawn(node, [program, 'profile', file, '--metrics', 'g.m0', '-o', `${file}.tsv`, '--interval-us', '50000']);
  await vi.waitUntil(() => existsSync(`${file}.tsv`) && readFileSync(`${file}.tsv`, 'utf8').split('\n').length > 5, HANG_MS);
  sampling.kill('SIGINT');
  expect((await once(sampling, 'close'))[0]).toBe(0);
  const { figures } = profileTableOf(readFileSync(`${file}.tsv`));
  expect(figures['samples']).toBeGreaterThan(3);
});

test('given metrics of every kind in two files, when they are sampled, then each file has its columns, with the values of snapshot()', () => {
  const folder = temporaryFolder();
  const schema = defineSchema({
    g: group({ n: inc('n'), level: store('level'), took: latency('took') }),
    disk: perDevice({ read_bytes: inc('read') }),
  });
  for (const [i, name] of ['a', 'b'].entries()) {
    const metrics = closing(Metrics.open(schema, { name: freshName(), file: `${folder}/${name}` }));
    metrics.app.g.n.add(2n ** 64n - 1n - BigInt(i));
    metrics.app.g.level.store(10n ** 18n);
    metrics.app.g.took.observe(0);
    metrics.app.g.took.observe(7 + i);
    for (let d = 0; d < 300; d++) metrics.app.disk.alloc(`d${d}`); // in more than one chunk
    metrics.app.disk.alloc('d299').read_bytes.add(2n ** 63n);
  }
  const names = 'g.n,g.level,g.took.min_us,g.took.max_us,g.took.sum_us,disk_d299.read_bytes';
  const { status } = run(`${folder}/a`, `${folder}/b`, '--metrics', names, '-o', `${folder}/t`, '--seconds', '0.01');
  expect(status).toBe(0);
  const table = profileTableOf(readFileSync(`${folder}/t`));
  expect(table.columns.map(({ name }) => name)).toEqual(['a', 'b'].flatMap((file) => names.split(',').map((name) => `${file}:${name}`)));
  expect(table.columns.map(({ values }) => values[0])).toEqual([
    ...[2n ** 64n - 1n, 10n ** 18n, 0n, 7n, 7n, 2n ** 63n],
    ...[2n ** 64n - 2n, 10n ** 18n, 0n, 8n, 8n, 2n ** 63n],
  ]);
  expect(table.columns[5]).toMatchObject({ kind: 'inc', unit: 'bytes' });
});

test('given devices that come and go, when a removed device is sampled, then its column keeps its last value, and the rows go on', async () => {
  const folder = temporaryFolder();
  const schema = defineSchema({ g: group({ n: inc('n') }), d: perDevice({ n: inc('n') }) });
  const metrics = closing(Metrics.open(schema, { name: freshName(), file: `${folder}/r` }));
  metrics.app.d.alloc('x').n.add(5);
  const sampling = spawn(node, [program, 'profile', `${folder}/r`, '--metrics', 'd_x.n,g.n', '-o', `${folder}/t`]);
  const hasRow = (values: string) => existsSync(`${folder}/t`) && readFileSync(`${folder}/t`, 'utf8').includes(`\t${values}\n`);
  await vi.waitUntil(() => hasRow('5\t0'), HANG_MS);
  metrics.app.d.remove('x');
  for (let i = 0; i < 6; i++) {
    metrics.app.d.alloc('x').n.add(1000); // another device, which in the end has the cells of the first one
    metrics.app.d.remove('x');
  }
  expect(readFileSync(`${folder}/r`).readBigUInt64LE(HeaderOffset.retiredEpoch)).toBeGreaterThan(0n);
  metrics.app.g.n.inc();
  await vi.waitUntil(() => hasRow('5\t1'), HANG_MS);
  sampling.kill('SIGINT');
  expect((await once(sampling, 'close'))[0]).toBe(0);
  const { columns, figures, timesNs } = profileTableOf(readFileSync(`${folder}/t`));
  expect(new Set(columns[0]!.values)).toEqual(new Set([5n]));
  expect(figures['samples']).toBe(timesNs.length);
});

describe('given a folder of regions', () => {
  const schema = defineSchema({ g: group({ n: inc('n') }) });

  /** A folder with a region of a process that runs, of one that has ended, and one that is damaged. */
  function folderOfRegions() {
    const folder = temporaryFolder();
    for (const [i, name] of ['vm0', 'vm1', 'ended', 'damaged'].entries()) {
      mkdirSync(`${folder}/${name}`);
      const metrics = closing(Metrics.open(schema, { name: freshName(), file: `${folder}/${name}/metrics.region` }));
      metrics.app.g.n.add(i);
      if (name === 'ended') metrics.close();
      if (name !== 'damaged') continue;
      metrics.close();
      truncateSync(`${folder}/${name}/metrics.region`, 5000);
    }
    return folder;
  }

  test.each([
    { path: '', names: ['vm0:g.n', 'vm1:g.n'], isDamagedFound: true },
    { path: '/*', names: ['vm0:g.n', 'vm1:g.n'], isDamagedFound: true },
    { path: '/vm*/metrics.region', names: ['0:g.n', '1:g.n'], isDamagedFound: false },
    { path: '/vm1', names: ['g.n'], isDamagedFound: false },
  ])('when "$path" is sampled, then the processes that run have columns, and damaged files are reported', ({
    path,
    names,
    isDamagedFound,
  }) => {
    const folder = folderOfRegions();
    const { status, stderr } = run(`${folder}${path}`, '--metrics', 'g.n', '-o', `${folder}/t`, '--seconds', '0.01');
    const table = profileTableOf(readFileSync(`${folder}/t`));
    expect(table.columns.map(({ name }) => name)).toEqual(names);
    expect(table.columns.map(({ values }) => values[0])).toEqual(names.length === 2 ? [0n, 1n] : [1n]);
    expect(stderr.includes(`Region file '${folder}/damaged/metrics.region': `)).toBe(isDamagedFound);
    expect(status).toBe(isDamagedFound ? 1 : 0);
  });

  test('when nobody runs, then one line says so, the exit code is 1, and no table is made', () => {
    const folder = folderOfRegions();
    const { status, stderr } = run(`${folder}/ended`, '--metrics', 'g.n', '-o', `${folder}/t`);
    expect(stderr).toBe(`vmm-metrics: no process counts into '${folder}/ended/metrics.region' any more: it was closed\n`);
    expect(status).toBe(1);
    expect(existsSync(`${folder}/t`)).toBe(false);
  });
});

describe('given a wrong call', () => {
  test.each([
    { args: ['--metrics', 'g.n', '-o', 'x'], says: 'PATH is missing' },
    { args: ['r', '-o', 'x'], says: '--metrics NAMES is missing' },
    { args: ['r', '--metrics', 'g.n'], says: '-o FILE.tsv is missing' },
    { args: ['r', '--metrics', ' ', '-o', 'x'], says: '--metrics must name at least one metric' },
    {
      args: ['r', '--metrics', 'g.n', '-o', 'x', '--interval-us', '99'],
      says: '--interval-us must be a number from 100 to 86400000000; got 99',
    },
    { args: ['r', '--metrics', 'g.n', '-o', 'x', '--seconds', '-1'], says: '--seconds' },
    { args: ['', '--metrics', 'g.n', '-o', 'x'], says: 'PATH must not be empty' },
  ])('when it is $args, then one line says so, and the exit code is 2', ({ args, says }) => {
    const { status, stdout, stderr } = run(...args);
    expect(stderr).toContain(says);
    expect({ status, stdout, lines: stderr.split('\n').length }).toEqual({ status: 2, stdout: '', lines: 2 });
  });

  test('when the metric or the file does not exist, then one line names it, the exit code is 1, and no table is made', () => {
    const folder = temporaryFolder();
    closing(Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: freshName(), file: `${folder}/r` }));
    for (const [file, metric, says] of [
      ['r', 'g.none', "there is no metric 'g.none'"],
      ['none', 'g.n', 'ENOENT'],
    ] as const) {
      const { status, stderr } = run(`${folder}/${file}`, '--metrics', metric, '-o', `${folder}/t`);
      expect(stderr).toContain(says);
      expect({ status, lines: stderr.split('\n').length }).toEqual({ status: 1, lines: 2 });
      expect(existsSync(`${folder}/t`)).toBe(false);
    }
  });

  test('when the output is a region, then one line says so, the exit code is 2, and the region stays unchanged', () => {
    const folder = temporaryFolder();
    const metrics = closing(Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: freshName(), file: `${folder}/r` }));
    const before = readFileSync(`${folder}/r`);
    symlinkSync('r', `${folder}/link`);
    for (const output of [`${folder}/r`, `${folder}/link`]) {
      const { status, stderr } = run(`${folder}/r`, '--metrics', 'g.n', '-o', output, '--seconds', '0.01');
      expect(stderr).toContain(`-o '${output}' is a region file; writing to it would destroy its metrics`);
      expect({ status, lines: stderr.split('\n').length }).toEqual({ status: 2, lines: 2 });
    }
    expect(readFileSync(`${folder}/r`).equals(before)).toBe(true);
    metrics.close();
  });

  test('when none of the processes is running, then one line says so, the exit code is 1, and no table is made', () => {
    const folder = temporaryFolder();
    Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: freshName(), file: `${folder}/r` }).close();
    const { status, stderr } = run(`${folder}/r`, '--metrics', 'g.n', '-o', `${folder}/t`);
    expect(stderr).toBe(`vmm-metrics: no process counts into '${folder}/r' any more: it was closed\n`);
    expect(status).toBe(1);
    expect(existsSync(`${folder}/t`)).toBe(false);
  });

  test('when the region is cut meanwhile, then one line says so, the exit code is 1, and no row has a value that was not in the file', async () => {
    const file = `${temporaryFolder()}/r`;
    await counter(file);
    const sampling = spawn(node, [program, 'profile', file, '--metrics', 'g.m0', '-o', `${file}.tsv`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    sampling.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
    await vi.waitUntil(() => existsSync(`${file}.tsv`) && readFileSync(`${file}.tsv`, 'utf8').split('\n').length > 5, HANG_MS);
    truncateSync(file, 4096);
    expect((await once(sampling, 'close'))[0]).toBe(1);
    expect(said).toMatch(/^vmm-metrics: Region file '.*': it (was cut short while it was read|is cut short: .*)\n$/);
    const [values] = profileTableOf(readFileSync(`${file}.tsv`)).columns.map((column) => column.values);
    expect(values!.every((value, i) => i === 0 || value >= values![i - 1]!)).toBe(true);
  });

  test.each([
    { end: 'a signal', more: [], isNamed: true },
    { end: 'its time', more: ['--seconds', '1'], isNamed: false },
  ])('when the table goes to a pipe that nobody reads, then $end still ends the command, and the exit code is 1', async ({
    more,
    isNamed,
  }) => {
    const file = `${temporaryFolder()}/r`;
    await counter(file);
    const pipe = makeFifo(`${file}.pipe`);
    const reader = openSync(pipe, 'r+'); // a reader that never reads
    const held = new HeldPipe(pipe);
    onTestFinished(() => held.close());
    if (!isNamed) held.fill();
    const wide = Array.from({ length: 60 }, (_, i) => `g.m${i}`).join();
    const args = [program, 'profile', file, '--metrics', wide, '-o', isNamed ? pipe : '-', ...more];
    const sampling = spawn(node, args, { stdio: ['ignore', isNamed ? 'ignore' : reader, 'pipe'] });
    let said = '';
    sampling.stderr!.setEncoding('utf8').on('data', (part: string) => {
      said += part;
    });
    if (isNamed) {
      // After the first bytes, the command samples and handles signals.
      await vi.waitUntil(() => held.read(1).length > 0, HANG_MS);
      held.fill();
      await setTimeout(500); // for rows that the full pipe cannot take
      sampling.kill('SIGTERM');
    }
    expect((await once(sampling, 'close'))[0]).toBe(1);
    closeSync(reader);
    expect(said).toBe(
      `vmm-metrics: Failed to write the profile to '${isNamed ? pipe : 'standard output'}': EAGAIN: resource temporarily unavailable, write\n`,
    );
  });

  test('when the table cannot be written, then one line says so, and the exit code is 1', () => {
    const folder = temporaryFolder();
    closing(Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: freshName(), file: `${folder}/r` }));
    const { status, stderr } = run(`${folder}/r`, '--metrics', 'g.n', '-o', '/dev/full', '--seconds', '0.01');
    expect(stderr).toContain('ENOSPC');
    expect({ status, lines: stderr.split('\n').length }).toEqual({ status: 1, lines: 2 });
  });
});
