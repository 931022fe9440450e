import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, type SchemaShape, store } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { binding } from '../lib/binding.ts';
import { runChild } from './helpers/children.ts';
import { closed } from './helpers/errors.ts';
import { HANG_MS } from './helpers/limits.ts';
import { soakSeconds } from './helpers/soak.ts';
import { at, closing, freshName, linesIn, linesOf, sumOf, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  g: group({
    n: inc('n'),
    level: store('level'),
    time: latency('time'),
    wall: store('w', { startTime: 'wall' }),
    cpu: store('c', { startTime: 'cpu' }),
  }),
  d: perDevice({ n: inc('n') }),
});

const mismatch = (text: RegExp) => expect.objectContaining({ code: 'ERR_METRICS_LAYOUT_MISMATCH', message: expect.stringMatching(text) });

describe('given a store that is open', () => {
  test('when the same name is opened again in this thread, then open() returns the same object', () => {
    const name = freshName();
    const metrics = closing(Metrics.open(schema, { name }));
    expect(Metrics.open(schema, { name })).toBe(metrics);
    expect(Metrics.open(schema, { name: freshName() })).not.toBe(metrics);
    expect(closing(Metrics.open(schema))).toBe(Metrics.open(schema, { name: 'default' }));
  });

  test('when the name is opened with another schema or identity, then the error names the first difference', () => {
    const name = freshName();
    closing(Metrics.open(schema, { name, properties: { a: '1', b: '2' } }));
    const other = (shape: SchemaShape) => () => Metrics.open(defineSchema(shape), { name });
    expect(other({ g: group({ n: store('n') }) })).toThrow(mismatch(/g\.n is inc\(\) in the open store and store\(\) in this call$/));
    expect(other({ g: schema.shape.g })).toThrow(mismatch(/d is missing in this call$/));
    expect(other({ g: schema.shape.g, d: perDevice({ n: inc('n') }, { aggregate: false }) })).toThrow(mismatch(/^.* d is perDevice/));
    expect(() => Metrics.open(schema, { name })).toThrow(
      mismatch(/option properties is {"a":"1","b":"2"} in the open store and not given in this call$/),
    );
    expect(() => Metrics.open(schema, { name, id: 'x', properties: { a: '1', b: '2' } })).toThrow(
      mismatch(/option id is not given in the open store and "x" in this call$/),
    );
    // The order does not matter.
    Metrics.open(schema, { name, properties: { b: '2', a: '1' } });
    // Descriptions may differ, because only people read them.
    expect(() => Metrics.open(defineSchema({ ...schema.shape, d: perDevice({ n: inc('another text') }) }), { name })).toThrow(
      mismatch(/properties/),
    );
  });

  test('when it is closed, then increments do nothing, everything else throws, and the name is free', () => {
    const name = freshName();
    const folder = temporaryFolder();
    const metrics = Metrics.open(schema, { name });
    const { n, level, time } = metrics.app.g;
    const device = metrics.app.d.alloc('x');
    metrics.init(`${folder}/first`);
    n.add(3);
    metrics.close();
    metrics.close();
    expect(linesIn(`${folder}/first`).map((line) => at(line, 'g.n'))).toEqual([3n]);

    n.inc();
    n.add(2);
    level.store(1);
    time.observe(1);
    device.n.inc();
    time.record()[Symbol.dispose]();
    const uses: (() => unknown)[] = [
      () => n.count(),
      () => n.fetchDiff(),
      () => level.fetch(),
      () => time.min_us.fetch(),
      () => time.sum_us.count(),
      () => metrics.write(),
      () => metrics.init(`${folder}/second`),
      () => metrics.snapshot(),
      () => metrics.captureSignals(),
      () => metrics.capturePanics(),
      () => metrics.startPeriodicFlush(),
      () => metrics.reportStartTime({}),
      () => metrics.startProfiling({ metrics: 'g.n', output: '/dev/null' }),
      () => metrics.native,
      () => metrics.app.d.alloc('y'),
      () => metrics.app.d.ids(),
      () => metrics.app.d.remove('x'),
    ];
    for (const use of uses) expect(use).toThrow(closed);

    // Another store with the name, even with another schema, starts at 0.
    const next = closing(Metrics.open(defineSchema({ other: group({ n: inc('n') }) }), { name }));
    expect(next.app.other.n.count()).toBe(0n);
    n.inc();
    expect(next.app.other.n.count()).toBe(0n);
    expect(linesIn(`${folder}/first`)).toHaveLength(1);
  });

  test('when it is disposed, then it is closed', () => {
    const metrics = Metrics.open(schema, { name: freshName() });
    metrics[Symbol.dispose]();
    expect(() => metrics.write()).toThrow(closed);
  });

  test('when a snapshot is taken, then nothing is reset', () => {
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    metrics.app.g.n.add(2);
    metrics.app.d.alloc('__proto__').n.inc();
    const first = metrics.snapshot();
    expect(first.g.n).toBe(2n);
    expect(Object.keys(first.d.devices)).toEqual(['__proto__']);
    expect(metrics.snapshot()).toEqual(first);
    expect(metrics.app.g.n.fetchDiff()).toBe(2n);
  });
});

describe('periodic flush', () => {
  test('when the event loop is blocked, then lines are still written, and their deltas add up', () => {
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    const path = `${temporaryFolder()}/lines`;
    metrics.startPeriodicFlush({ intervalMs: 5 }); // before init its ticks do nothing
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
    metrics.init(path);
    for (let i = 0; i < 30; i++) {
      metrics.app.g.n.inc();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    // The event loop is blocked all the time, so the lines may be late.
    for (let waitedMs = 0; waitedMs < HANG_MS && linesIn(path).length <= 20; waitedMs += 5) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
    expect(linesIn(path).length).toBeGreaterThan(20);
    metrics.startPeriodicFlush({ intervalMs: 60_000 }); // a second call changes the interval
    metrics.write();
    const after = linesIn(path);
    expect(sumOf(after, 'g.n')).toBe(30n);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    expect(linesIn(path)).toHaveLength(after.length);
  });

  test('when nothing else keeps the process alive, then the process ends, and its last values are written', async () => {
    const path = `${temporaryFolder()}/lines`;
    const death = await runChild('leave.mjs', [path, 'natural']);
    expect(death).toMatchObject({ code: 0, signal: null });
    expect(linesIn(path).map((line) => at(line, 'vcpu.exit_io_in'))).toEqual([4n]);
  });
});

describe('the end of a process', () => {
  test.each([
    { how: 'process.exit', code: 7 },
    { how: 'worker-exit', code: 0 },
  ])('when it ends by $how without close(), then a last line has everything that was pending', async ({ how, code }) => {
    const path = `${temporaryFolder()}/lines`;
    expect(await runChild('leave.mjs', [path, how])).toMatchObject({ code, signal: null });
    expect(linesIn(path).map((line) => at(line, 'vcpu.exit_io_in'))).toEqual([4n]);
  });

  test('when nothing is pending, then no last line is written', async () => {
    const path = `${temporaryFolder()}/lines`;
    expect(await runChild('leave.mjs', [path, 'written'])).toMatchObject({ code: 0, signal: null });
    expect(linesOf(readFileSync(path, 'utf8'))).toHaveLength(1);
  });

  test('when only a worker that has ended had loaded the addon, then a later crash behaves as in stock Node', async () => {
    expect(await runChild('leave.mjs', ['', 'worker-then-crash'])).toMatchObject({ code: null, signal: 'SIGSEGV' });
  });
});

describe('reportStartTime', () => {
  const { clocks } = binding();

  test('when all start times are given, then the differences are set, and the CPU time of the parent is added', () => {
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    const [nowUs, cpuUs] = clocks() as unknown as [bigint, bigint];
    metrics.reportStartTime({ startTimeUs: nowUs - 5_000n, startTimeCpuUs: 0, parentCpuTimeUs: 1_000_000_000 });
    const [laterUs, laterCpuUs] = clocks() as unknown as [bigint, bigint];
    const { wall, cpu } = metrics.snapshot().g;
    expect(wall).toBeGreaterThanOrEqual(5_000n);
    expect(wall).toBeLessThanOrEqual(laterUs - nowUs + 5_000n);
    expect(cpu).toBeGreaterThanOrEqual(cpuUs + 1_000_000_000n);
    expect(cpu).toBeLessThanOrEqual(laterCpuUs + 1_000_000_000n);
  });

  test('when only one start time is given, then only its metric is set', () => {
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    metrics.reportStartTime({ startTimeCpuUs: 0n });
    expect(metrics.snapshot().g.wall).toBe(0n);
    expect(metrics.snapshot().g.cpu).toBeGreaterThan(0n);
    metrics.reportStartTime({ parentCpuTimeUs: 5 });
    metrics.reportStartTime();
    expect(metrics.snapshot().g.wall).toBe(0n);
  });

  test('when a start time is in the future or not a number, then an error names it, and nothing is set', () => {
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    const soon = clocks()[0]! + 60_000_000n;
    expect(() => metrics.reportStartTime({ startTimeCpuUs: 0, startTimeUs: soon })).toThrow(RangeError);
    expect(() => metrics.reportStartTime({ startTimeUs: soon })).toThrow(/startTimeUs is in the future/);
    expect(() => metrics.reportStartTime({ startTimeUs: 0, startTimeCpuUs: -1 })).toThrow(/startTimeCpuUs .*got -1/);
    expect(() => metrics.reportStartTime({ startTimeUs: 0, startTimeCpuUs: 0, parentCpuTimeUs: '1' as never })).toThrow(TypeError);
    expect(metrics.snapshot().g).toMatchObject({ wall: 0n, cpu: 0n });
  });

  test('when the schema has no metric for a start time, then ERR_METRICS_SCHEMA is thrown', () => {
    const without = closing(Metrics.open(defineSchema({ g: group({ n: inc('n') }) }), { name: freshName() }));
    expect(() => without.reportStartTime({ startTimeUs: 0 })).toThrow(expect.objectContaining({ code: 'ERR_METRICS_SCHEMA' }));
    without.reportStartTime({});
  });
});

describe('worker threads', () => {
  const run = (script: string, workerData: unknown) =>
    new Promise<{ code: number; messages: unknown[] }>((resolve, reject) => {
      const worker = new Worker(new URL(`./fixtures/${script}`, import.meta.url), { workerData });
      const messages: unknown[] = [];
      worker.on('message', (message) => messages.push(message));
      worker.on('error', reject);
      worker.on('exit', (code) => resolve({ code, messages }));
    });

  test('when 8 workers each add 1 to one metric 1,000,000 times, then the count is exact', async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(firecracker, { name }));
    await Promise.all(Array.from({ length: 8 }, () => run('increment.mjs', { name, count: 1_000_000 })));
    expect(metrics.app.vcpu.exit_io_in.count()).toBe(8_000_000n);
  });

  // A soak uses more workers than the 128 shards.
  const many = soakSeconds === 0 ? 20 : 200;
  test(`when ${many} workers come one after another, then the count is exact, and they share a few shards`, async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(firecracker, { name }));
    for (let i = 0; i < many; i++) await run('increment.mjs', { name, count: 1000 });
    expect(metrics.app.vcpu.exit_io_in.count()).toBe(BigInt(many) * 1000n);
  });

  test('when busy workers are terminated at any moment, then nothing that they added is lost', async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(firecracker, { name }));
    const said = new BigUint64Array(new SharedArrayBuffer(8 * 64));
    for (let round = 0; round < 8; round++) {
      const workers = Array.from(
        { length: 4 },
        (_, i) => new Worker(new URL('./fixtures/busy.mjs', import.meta.url), { workerData: { name, said, slot: round * 4 + i } }),
      );
      // Each worker is in its loop: in some rounds at its start, in others in the middle of compiled code.
      while (workers.some((_, i) => said[round * 4 + i] === 0n)) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setTimeout(resolve, 5 * round));
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    const acknowledged = said.reduce((sum, n) => sum + n, 0n);
    const counted = metrics.app.vcpu.exit_io_in.count();
    // Each worker publishes its count right after an add, so at its end it may be one add ahead.
    expect(acknowledged).toBeGreaterThan(0n);
    expect(counted).toBeGreaterThanOrEqual(acknowledged);
    expect(counted).toBeLessThanOrEqual(acknowledged + 32n);
  });

  test('when a worker opens the name with another schema, then the error names the first difference', async () => {
    const name = freshName();
    closing(Metrics.open(schema, { name }));
    const { messages } = await run('open.mjs', { name });
    expect(messages).toEqual([
      {
        code: 'ERR_METRICS_LAYOUT_MISMATCH',
        message: `A store '${name}' is already open with a different layout: utc_timestamp_ms is missing in the open store`,
      },
    ]);
  });

  test('when a worker allocates a device that this thread has allocated, then both count in the same cells', async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(firecracker, { name }));
    metrics.app.pmem.alloc('drv0').event_fails.inc();
    await run('device.mjs', { name, id: 'drv0' });
    await run('device.mjs', { name, id: 'drv1' });
    expect(metrics.app.pmem.ids()).toEqual(['drv0', 'drv1']);
    expect(metrics.app.pmem.alloc('drv0').event_fails.count()).toBe(2n);
    expect(metrics.app.pmem.alloc('drv1').event_fails.count()).toBe(1n);
  });

  test('when another thread removes a device and allocates it again, then alloc() returns the new device', async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(firecracker, { name }));
    const old = metrics.app.pmem.alloc('drv0');
    old.event_fails.inc();
    await run('device.mjs', { name, id: 'drv0', anew: true });
    expect(metrics.app.pmem.alloc('drv0')).not.toBe(old);
    expect(metrics.app.pmem.alloc('drv0').event_fails.count()).toBe(1n);
  });
});
