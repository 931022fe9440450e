// Profiles: the contents of the file, every reason to refuse a profile, and every way to end one.

import { closeSync, linkSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, type ProfileOptions, perDevice, readRegion, store } from 'vmm-metrics';

import { runChild } from './helpers/children.ts';
import { closed } from './helpers/errors.ts';
import { HANG_MS } from './helpers/limits.ts';
import { SecondThread } from './helpers/second-thread.ts';
import { HeldPipe, makeFifo } from './helpers/sinks.ts';
import { closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  g: group({ n: inc('n'), level: store('l', { unit: 'bytes' }), time: latency('t') }),
  d: perDevice({ n: inc('n'), time: latency('t') }),
  g_x: group({ n: inc('n') }),
});
const open = () => closing(Metrics.open(schema, { name: freshName() }));
const HOUR_US = 3_600_000_000;
/** The threads of a profile may begin late on a busy machine. */
const awaitRows = (path: string, rows: number) => vi.waitUntil(() => readFileSync(path, 'utf8').split('\n').length > rows + 1, HANG_MS);

interface Table {
  readonly comments: readonly string[];
  readonly header: readonly string[];
  readonly rows: readonly (readonly bigint[])[];
}

function tableIn(path: string): Table {
  const text = readFileSync(path, 'utf8');
  expect(text.endsWith('\n'), 'no row is torn').toBe(true);
  const lines = text.split('\n').slice(0, -1);
  const comments = lines.filter((line) => line.startsWith('#'));
  const [header, ...rows] = lines.filter((line) => !line.startsWith('#'));
  return { comments, header: header!.split('\t'), rows: rows.map((row) => row.split('\t').map(BigInt)) };
}

const profileError = (message: RegExp, cause?: string) =>
  expect.objectContaining({
    name: 'MetricsError',
    code: 'ERR_METRICS_PROFILE',
    message: expect.stringMatching(message),
    ...(cause && { cause: expect.objectContaining({ code: cause }) }),
  });

describe('given a profile', () => {
  test('when it is stopped, then the file holds the header and rows on a grid, with totals that no flush resets', async () => {
    const metrics = open();
    const output = `${temporaryFolder()}/p.tsv`;
    metrics.init('/dev/null');
    const profile = metrics.startProfiling({ metrics: 'g.n , g.level', intervalUs: 2000, output });
    for (let i = 0; i < 20; i++) {
      metrics.app.g.n.add(10);
      metrics.app.g.level.store(i);
      metrics.write();
      await sleep(5);
    }
    await awaitRows(output, 2);
    const stats = await profile.stop();
    const { comments, header, rows } = tableIn(output);
    expect(comments).toEqual([]);
    expect(header).toEqual(['Time (ns)', 'g.n', 'g.level']);
    expect(rows).toHaveLength(stats.samples);
    expect(rows.at(-1)!.slice(1)).toEqual([200n, 19n]);
    for (const [i, [time, n]] of rows.entries()) {
      const [earlier = 0n, before = 0n] = rows[i - 1] ?? [];
      expect(time).toBeGreaterThan(earlier);
      expect(n).toBeGreaterThanOrEqual(before);
    }
    const ticks = Number(rows.at(-1)![0]! / 2_000_000n);
    expect(stats.samples - 1 + stats.missedTicks).toBe(ticks);
    expect(stats).toEqual({
      samples: rows.length,
      missedTicks: expect.any(Number),
      backOffs: 0,
      lateNs: { median: expect.any(Number), p99: expect.any(Number), max: expect.any(Number) },
    });
    expect(stats.lateNs.median).toBeLessThanOrEqual(stats.lateNs.max);
  });

  test('when it names groups, devices and parts of latencies, then each column has its value, also for removed devices', async () => {
    const metrics = open();
    const output = `${temporaryFolder()}/p.tsv`;
    const ids = ['a', 'a.b', 'x', '__proto__', 'tab\tand\r\n, \\ more'];
    for (const [i, id] of ids.entries()) metrics.app.d.alloc(id).n.add(i + 1);
    metrics.app.g_x.n.add(77); // no device of a group g
    for (const us of [5, 0, 9]) metrics.app.d.alloc('a.b').time.observe(us);
    const names = [
      ...ids.map((id) => `d_${id}.n`),
      'g_x.n',
      ...['min', 'max', 'sum'].map((part) => `d_a.b.time.${part}_us`),
      'g.time.min_us',
    ];
    const profile = metrics.startProfiling({ metrics: names, output, intervalUs: HOUR_US });
    const stale = metrics.app.d.alloc('x');
    metrics.app.d.remove('x');
    stale.n.add(100);
    metrics.app.d.alloc('x').n.add(5000); // a new device
    await profile.stop();
    const { header, rows } = tableIn(output);
    expect(header).toEqual(['Time (ns)', ...names.map((name) => JSON.stringify(name).slice(1, -1))]);
    expect(rows.map((row) => row.slice(1))).toEqual([[1n, 2n, 103n, 4n, 5n, 77n, 0n, 9n, 14n, 0n]]);
  });

  test.each([10n ** 18n, 2n ** 63n, 2n ** 64n - 1n])('when a value is %d, then it is exact', async (value) => {
    const metrics = open();
    const output = `${temporaryFolder()}/p.tsv`;
    metrics.app.g.n.add(value);
    metrics.app.g.level.store(value);
    metrics.app.g.time.observe(value);
    const names = ['g.n', 'g.level', 'g.time.min_us', 'g.time.max_us', 'g.time.sum_us'];
    await metrics.startProfiling({ metrics: names, output }).stop();
    expect(tableIn(output).rows.at(-1)!.slice(1)).toEqual(names.map(() => value));
  });

  test('when it annotates, then the first line has start, interval, kinds and units, and the last line has the result of stop()', async () => {
    const metrics = open();
    const output = `${temporaryFolder()}/p.tsv`;
    const before = Date.now();
    const profile = metrics.startProfiling({
      metrics: ['g.n', 'g.level', 'g.time.min_us', 'g.time.max_us', 'g.time.sum_us'],
      output,
      intervalUs: 1024.003, // multiplied by 1000, it is a little less than a whole number
      annotate: true,
    });
    await awaitRows(output, 2);
    const { samples, missedTicks, backOffs, lateNs } = await profile.stop();
    const { comments, rows } = tableIn(output);
    expect(comments).toHaveLength(2);
    expect(comments[0]).toMatch(/^# start=\S+Z interval_ns=1024003\tinc count\tstore bytes\tstore us\tstore us\tinc us$/);
    const started = Date.parse(/start=(\S+)/.exec(comments[0]!)![1]!);
    expect(started).toBeGreaterThanOrEqual(before);
    expect(started).toBeLessThanOrEqual(Date.now());
    expect(comments[1]).toBe(
      `# samples=${samples} missed_ticks=${missedTicks} back_offs=${backOffs} late_ns_median=${lateNs.median} late_ns_p99=${lateNs.p99} late_ns_max=${lateNs.max}`,
    );
    expect(rows).toHaveLength(samples);
  });

  test('when stop() is called several times at once, again, and after close(), then all calls get the same result', async () => {
    const metrics = open();
    const profile = metrics.startProfiling({ metrics: 'g.n', output: '/dev/null' });
    const both = await Promise.all([profile.stop(), profile.stop()]);
    expect(both[1]).toEqual(both[0]);
    const next = metrics.startProfiling({ metrics: 'g.n', output: '/dev/null', intervalUs: HOUR_US });
    const stopping = next.stop();
    metrics.close();
    expect((await stopping).samples).toBe(1);
    expect(await next.stop()).toEqual(await stopping);
    expect(await profile.stop()).toEqual(both[0]);
  });

  test('when it is disposed, then it is stopped', async () => {
    const metrics = open();
    const output = `${temporaryFolder()}/p.tsv`;
    await metrics.startProfiling({ metrics: 'g.n', output, intervalUs: HOUR_US })[Symbol.asyncDispose]();
    expect(tableIn(output).rows).toHaveLength(1);
  });

  test('when its interval is below a microsecond or is an hour, then it samples and stops', async () => {
    const metrics = open();
    const output = `${temporaryFolder()}/p.tsv`;
    for (const intervalUs of [0.1, 0.5, 1.25, HOUR_US]) {
      const profile = metrics.startProfiling({ metrics: 'g.n', intervalUs, output });
      if (intervalUs !== HOUR_US) await awaitRows(output, 1);
      const { samples } = await profile.stop();
      expect(tableIn(output).rows).toHaveLength(samples);
      expect(samples > 1).toBe(intervalUs !== HOUR_US);
    }
  });

  test('when it is still running, then the file already holds its rows', async () => {
    const output = `${temporaryFolder()}/p.tsv`;
    const profile = open().startProfiling({ metrics: 'g.n', output, intervalUs: 10_000 });
    await awaitRows(output, 10);
    expect(tableIn(output).rows.length).toBeGreaterThanOrEqual(10);
    await profile.stop();
  });

  test('when it is stopped and started again 200 times, then the file holds the rows of each profile', async () => {
    const metrics = open();
    const output = `${temporaryFolder()}/p.tsv`;
    for (let i = 0; i < 200; i++) {
      const { samples } = await metrics.startProfiling({ metrics: 'g.n', output, intervalUs: 100 }).stop();
      if (i % 100 === 0) expect(tableIn(output).rows).toHaveLength(samples);
    }
  });

  test('when another store has a profile too, then both profiles run', async () => {
    const folder = temporaryFolder();
    const profiles = [1, 2].map((n) => open().startProfiling({ metrics: 'g.n', output: `${folder}/${n}`, intervalUs: HOUR_US }));
    for (const profile of profiles) await profile.stop();
    for (const n of [1, 2]) expect(tableIn(`${folder}/${n}`).rows).toHaveLength(1);
  });

  test('when another thread is attached, then its adds are sampled, it cannot start a profile, and its close() ends no profile', async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(schema, { name }));
    const output = `${temporaryFolder()}/p.tsv`;
    const second = new SecondThread();
    second.call('open', schema.shape, { name });
    second.call('hold', 1, 'g');
    const profile = metrics.startProfiling({ metrics: 'g.n', output, intervalUs: 1000 });
    second.call('bump', 1, 'n', 'add', 6n);
    expect(() => second.call('startProfiling', { metrics: 'g.n', output: '/dev/null' })).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_PROFILE' }),
    );
    second.call('close');
    await second.end();
    metrics.app.g.n.add(1);
    await sleep(10);
    await profile.stop();
    expect(tableIn(output).rows.at(-1)![1]).toBe(7n);
  });
});

describe('given an output', () => {
  test('when it is the path of a file, then the file is emptied; when it is a descriptor, then the caller may close it', async () => {
    const metrics = open();
    const folder = temporaryFolder();
    writeFileSync(`${folder}/p`, 'x'.repeat(100_000));
    await metrics.startProfiling({ metrics: 'g.n', output: `${folder}/p`, intervalUs: HOUR_US }).stop();
    expect(tableIn(`${folder}/p`).rows).toHaveLength(1);

    const descriptor = openSync(`${folder}/q`, 'w');
    const profile = metrics.startProfiling({ metrics: 'g.n', output: descriptor, intervalUs: HOUR_US });
    closeSync(descriptor);
    const other = openSync(`${folder}/other`, 'w'); // takes the number of the closed descriptor
    await profile.stop();
    closeSync(other);
    expect(tableIn(`${folder}/q`).rows).toHaveLength(1);
    expect(readFileSync(`${folder}/other`, 'utf8')).toBe('');
  });

  test('when it is a descriptor of a file that ends in half a line, then the table begins on a new line', async () => {
    const path = `${temporaryFolder()}/p`;
    writeFileSync(path, '# half');
    const descriptor = openSync(path, 'a');
    await open().startProfiling({ metrics: 'g.n', output: descriptor, intervalUs: HOUR_US }).stop();
    closeSync(descriptor);
    expect(tableIn(path)).toMatchObject({ comments: ['# half'], header: ['Time (ns)', 'g.n'] });
  });

  test('when all threads of the pool are blocked, then stop() does not wait for them', async () => {
    const folder = temporaryFolder();
    makeFifo(`${folder}/pipe`);
    const output = `${folder}/p`;
    const profile = open().startProfiling({ metrics: 'g.n', output, intervalUs: 1000 });
    const waiting = Array.from({ length: 4 }, () => fs.open(`${folder}/pipe`, 'r')); // for a writer
    await sleep(20);
    const { samples } = await profile.stop(); // they wait for a writer that is opened below
    expect(tableIn(output).rows).toHaveLength(samples);
    const writer = openSync(`${folder}/pipe`, 'r+');
    for (const handle of await Promise.all(waiting)) await handle.close();
    closeSync(writer);
  });

  test('when it is full, then each stop() reports the error, and the next profile runs', async () => {
    const metrics = open();
    const profile = metrics.startProfiling({ metrics: 'g.n', output: '/dev/full' });
    await sleep(20);
    const full = profileError(/^Failed to write the profile to '\/dev\/full': ENOSPC/, 'ENOSPC');
    await expect(profile.stop()).rejects.toEqual(full);
    await expect(profile.stop()).rejects.toEqual(full);
    expect((await metrics.startProfiling({ metrics: 'g.n', output: '/dev/null' }).stop()).samples).toBeGreaterThan(0);
  });

  test('when it is a pipe that nobody reads, then stop() and close() return, and stop() reports the error', async () => {
    const folder = temporaryFolder();
    const held = new HeldPipe(makeFifo(`${folder}/pipe`));
    onTestFinished(() => held.close());
    held.fill();
    const metrics = open();
    const options: ProfileOptions = { metrics: Array.from({ length: 200 }, () => 'g.n'), output: `${folder}/pipe`, intervalUs: 100 };
    for (const end of ['stop', 'close'] as const) {
      const profile = metrics.startProfiling(options);
      await sleep(20);
      if (end === 'close') metrics.close();
      await expect(profile.stop()).rejects.toEqual(profileError(/^Failed to write the profile to '.*pipe': EAGAIN/, 'EAGAIN'));
    }
  });
});

describe('given wrong arguments', () => {
  test('when several arguments are wrong, then their errors come in a fixed order', async () => {
    const metrics = open();
    const folder = temporaryFolder();
    const running = metrics.startProfiling({ metrics: 'g.n', output: '/dev/null' });
    const start = (options: object) => () => metrics.startProfiling(options as ProfileOptions);
    const output = `${folder}/p`;
    expect(start({})).toThrow(/output must be a path or a descriptor; got undefined/);
    expect(start({ metrics: 'none', output: '' })).toThrow(/output must not be empty/);
    expect(start({ metrics: [], output })).toThrow(/metrics must name at least one metric; got \[\]/);
    expect(start({ metrics: ['g.n', 'none'], output })).toThrow(/there is no metric 'none'/);
    expect(start({ metrics: ['g.n'], output })).toThrow(
      profileError(/^Cannot write a profile to .*: a profile of this store is running already; call its stop\(\) first$/),
    );
    expect(() => readFileSync(output)).toThrow(/ENOENT/);
    await running.stop();
    metrics.close();
    expect(start({})).toThrow(closed);
  });

  test.each([
    { options: undefined, error: TypeError, message: /output must be a path or a descriptor; got undefined/ },
    { options: { output: {} }, error: TypeError, message: /output must be a path or a descriptor; got \{\}/ },
    { options: { output: -1 }, error: RangeError, message: /output, a descriptor, .* got -1/ },
    { options: { output: 'a\0b' }, error: RangeError, message: /NUL/ },
    { options: { metrics: undefined }, error: TypeError, message: /metrics must be a list of names, .* got undefined/ },
    { options: { metrics: ' ' }, error: RangeError, message: /metrics must name at least one metric; got ' '/ },
    { options: { metrics: [3] }, error: TypeError, message: /metrics\[0\] must be a string; got 3/ },
    { options: { metrics: new Array(2) }, error: TypeError, message: /metrics\[0\] must be a string; got undefined/ },
    { options: { metrics: 'g.n,' }, error: RangeError, message: /metrics\[1\] is empty; got 'g\.n,'/ },
    {
      options: { metrics: 'g' },
      error: RangeError,
      message: /there is no metric 'g': a name is 'group\.metric', and the groups are g, d, g_x$/,
    },
    { options: { metrics: 'g.n.x' }, error: RangeError, message: /there is no metric 'g\.n\.x': 'g' has n, level, time$/ },
    {
      options: { metrics: 'g.time' },
      error: RangeError,
      message: /no metric 'g\.time': a latency metric is sampled by one of its parts, .*'g\.time\.sum_us'$/,
    },
    {
      options: { metrics: 'g.time.avg_us' },
      error: RangeError,
      message: /no metric 'g\.time\.avg_us': a latency metric is sampled by one of its parts, .*'g\.time\.min_us', /,
    },
    {
      options: { metrics: 'd.n' },
      error: RangeError,
      message: /no metric 'd\.n': 'd' is a group of devices; name one of them, as 'd_<id>\.n'$/,
    },
    { options: { metrics: 'd_there.m' }, error: RangeError, message: /there is no metric 'd_there\.m': 'd_there' has n, time$/ },
    { options: { metrics: 'd_gone.n' }, error: RangeError, message: /there is no metric 'd_gone\.n': 'd' has the devices 'there'$/ },
    { options: { metrics: '__proto__.n' }, error: RangeError, message: /there is no metric '__proto__\.n': a name is/ },
    { options: { intervalUs: '1' }, error: TypeError, message: /intervalUs must be a number; got '1'/ },
    { options: { intervalUs: null }, error: TypeError, message: /intervalUs must be a number; got null/ },
    ...[0, -0, -1, 0.05, Number.NaN, Number.POSITIVE_INFINITY, 1e300].map((intervalUs) => ({
      options: { intervalUs },
      error: RangeError,
      message: /intervalUs must be a number from 0\.1 to 86400000000/,
    })),
    { options: { annotate: 1 }, error: TypeError, message: /annotate must be true or false; got 1/ },
    { options: { interval: 5 }, error: TypeError, message: /unknown option 'interval'; the options are 'metrics'/ },
  ])('when it is $options, then an error names it, and nothing is written or started', async ({ options, error, message }) => {
    const metrics = open();
    metrics.app.d.alloc('gone');
    metrics.app.d.remove('gone');
    metrics.app.d.alloc('there');
    const output = `${temporaryFolder()}/p`;
    const start = () => metrics.startProfiling((options && { metrics: 'g.n', output, ...options }) as ProfileOptions);
    expect(start).toThrow(error);
    expect(start).toThrow(message);
    expect(() => readFileSync(output)).toThrow(/ENOENT/);
    await metrics.startProfiling({ metrics: 'g.n', output }).stop();
  });

  test.each([
    { name: 'a folder', output: () => '/tmp', code: 'EISDIR' },
    { name: 'in a folder that is not there', output: () => '/nowhere/p', code: 'ENOENT' },
    { name: 'a descriptor for reading', output: () => openSync('/dev/null', 'r'), code: 'EBADF' },
  ])('when the output is $name, then ERR_METRICS_PROFILE with $code is thrown', ({ output, code }) => {
    const metrics = open();
    expect(() => metrics.startProfiling({ metrics: 'g.n', output: output() })).toThrow(
      profileError(/^Cannot write a profile to ('.*'|descriptor \d+): E/, code),
    );
  });

  test('when a group has many metrics, then the error names some of them and the number of the others', () => {
    const fields = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`m${i}`, inc('m')]));
    const metrics = closing(Metrics.open(defineSchema({ g: group(fields), d: perDevice(fields) }), { name: freshName() }));
    const start = (name: string) => () => metrics.startProfiling({ metrics: name, output: '/dev/null' });
    expect(start('g.n')).toThrow(/there is no metric 'g\.n': 'g' has m0, m1, m2, m3, m4, m5, m6, m7 and 3 more$/);
    expect(start('d_a.m0')).toThrow(/there is no metric 'd_a\.m0': 'd' has no device$/);
  });

  test('when the output is a region or the sink of the lines, then it is refused, and nothing is lost', async () => {
    const folder = temporaryFolder();
    const metrics = closing(Metrics.open(schema, { name: freshName(), file: `${folder}/region` }));
    metrics.init(`${folder}/lines`);
    metrics.app.g.n.inc();
    metrics.write();
    symlinkSync('lines', `${folder}/link`);
    linkSync(`${folder}/region`, `${folder}/other`);
    const written = openSync(`${folder}/region`, 'a');
    const start = (output: string | number) => () => metrics.startProfiling({ metrics: 'g.n', output });
    expect(start(`${folder}/link`)).toThrow(profileError(/^Cannot write a profile to '.*link': it is where the lines of the metrics go$/));
    for (const output of [`${folder}/region`, `${folder}/other`, written]) {
      expect(start(output)).toThrow(profileError(/^Cannot write a profile to .*: it is the region of a store$/));
    }
    closeSync(written);
    const second = open();
    expect(() => second.init(`${folder}/region`)).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_OPEN', message: expect.stringMatching(/region': it is the region of a store$/) }),
    );
    expect(linesIn(`${folder}/lines`)).toHaveLength(1);
    expect((await readRegion(`${folder}/region`)).values).toMatchObject({ g: { n: 1n } });
    await metrics.startProfiling({ metrics: 'g.n', output: `${folder}/p` }).stop();
  });

  test('when another profile of the process has the same output, then the output is refused until that profile ends', async () => {
    const folder = temporaryFolder();
    const [first, second] = [open(), open()];
    const output = `${folder}/p`;
    const profile = first.startProfiling({ metrics: 'g.n', output, intervalUs: HOUR_US });
    const descriptor = openSync(output, 'a');
    for (const same of [output, descriptor]) {
      expect(() => second.startProfiling({ metrics: 'g.n', output: same })).toThrow(profileError(/: it is the output of another profile$/));
    }
    closeSync(descriptor);
    await profile.stop();
    expect(tableIn(output).rows).toHaveLength(1);
    await second.startProfiling({ metrics: 'g.n', output, intervalUs: HOUR_US }).stop();
    expect(tableIn(output).rows).toHaveLength(1);
  });

  test.each([
    'output',
    'metrics',
    'intervalUs',
    'annotate',
  ])('when the getter of %s closes the store, then ERR_METRICS_CLOSED is thrown', (name) => {
    const metrics = open();
    const options = { metrics: 'g.n', output: '/dev/null', intervalUs: 1000, annotate: false };
    const value = options[name as keyof typeof options];
    Object.defineProperty(options, name, {
      enumerable: true,
      get() {
        metrics.close();
        return value;
      },
    });
    expect(() => metrics.startProfiling(options)).toThrow(closed);
  });

  test('when a name could mean the metrics of two devices, then it is refused', () => {
    const metrics = closing(Metrics.open(defineSchema({ d: perDevice({ t: latency('t'), sum_us: inc('s') }) }), { name: freshName() }));
    for (const id of ['a', 'a.t']) metrics.app.d.alloc(id);
    expect(() => metrics.startProfiling({ metrics: 'd_a.t.sum_us', output: '/dev/null' })).toThrow(/more than one device/);
  });
});

describe('given a process or thread that ends without stop()', () => {
  test.each([
    { how: 'natural', ends: { code: 0 }, lines: 1 },
    { how: 'close', ends: { code: 0 }, lines: 1 },
    { how: 'exit', ends: { code: 7 }, lines: 1 },
    { how: 'exit-while-stopping', ends: { code: 7 }, lines: 1 },
    { how: 'throw', ends: { code: 1 }, lines: 1 },
    { how: 'signal', ends: { signal: 'SIGTERM' }, lines: 1 },
    { how: 'abort', ends: { signal: 'SIGABRT' }, lines: 1 },
    { how: 'hung', ends: { code: 7 }, lines: 1 },
    { how: 'worker', ends: { code: 0, stdout: '1\n' }, lines: 0 },
    { how: 'worker-stopping', ends: { code: 0, stdout: '1\n' }, lines: 0 },
  ])('when the ending is $how, then the file holds the samples', async ({ how, ends, lines }) => {
    const folder = temporaryFolder();
    const death = await runChild('profile.mjs', [folder, how]);
    expect(death).toMatchObject(ends);
    const { header, rows } = tableIn(`${folder}/profile.tsv`);
    expect(header).toEqual(['Time (ns)', 'g.n']);
    expect(rows.length).toBeGreaterThan(2);
    expect(rows.at(-1)![1]).toBe(5n);
    if (lines > 0) expect(linesIn(`${folder}/lines`)).toHaveLength(lines);
  });
});
