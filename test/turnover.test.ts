// Devices that come and go for ever: the number of devices at one time is limited, but not the number over time.
// VMM_METRICS_SOAK_TURNS sets the number of turns of the longest test.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, inc, latency, Metrics, perDevice, readRegion, store } from 'vmm-metrics';

import { RegionSampler } from '../lib/region/sampler.ts';
import { closed } from './helpers/errors.ts';
import { collectHere } from './helpers/garbage.ts';
import { HANG_MS } from './helpers/limits.ts';
import { SecondThread } from './helpers/second-thread.ts';
import { soakNumber } from './helpers/soak.ts';
import { at, closing, freshName, linesIn, sumOf, temporaryFolder } from './helpers/workplace.ts';

interface Turnover {
  startTurnover(external: object, group: string, id: string, field: string): string;
  turn(): string;
  endTurnover(): void;
}
const addon = createRequire(import.meta.url)('./addon/build/Release/vmm_test.node') as Turnover;

const heapBytes = () => {
  collectHere();
  return process.memoryUsage().heapUsed;
};

const shape = {
  d: perDevice({ n: inc('n'), level: store('level'), time: latency('time') }),
  e: perDevice({ n: inc('n'), m: inc('m') }, { aggregate: false }),
};
const CELLS_OF_D = 6;

/**
 * A store in a file, and the numbers in its header: the cells in use, the entries of the directory, and how often
 * devices were retired.
 */
function open() {
  const folder = temporaryFolder();
  const options = { name: freshName(), file: `${folder}/region` };
  const metrics = closing(Metrics.open(defineSchema(shape), options));
  const header = () => {
    const bytes = readFileSync(options.file);
    return { cells: bytes.readUInt32LE(136), entries: bytes.readUInt32LE(144), epoch: Number(bytes.readBigUInt64LE(248)) };
  };
  return { metrics, options, header, path: `${folder}/lines` };
}

const turns = soakNumber('TURNS', 3000);

describe('given one id that is allocated and removed over and over', () => {
  test(
    `when two workers and a native thread count on it and through old accessors, ${turns} times, then the lines and the snapshot have every add, in the cells of four devices`,
    { timeout: HANG_MS + turns * 2 },
    async () => {
      const { metrics, options, header, path } = open();
      metrics.init(path);
      const { d } = metrics.app;
      const before = header();
      const words = new SharedArrayBuffer(32 + 64);
      const rounds = new Int32Array(words, 0, 8);
      const added = new BigUint64Array(words, 32, 8);
      const workers = [1, 2].map(
        (number) => new Worker(new URL('./fixtures/turnover.mjs', import.meta.url), { workerData: { shape, options, words, number } }),
      );
      onTestFinished(() => void workers.forEach((worker) => void worker.terminate()));
      expect(addon.startTurnover(metrics.native, 'd', 'x', 'n')).toBe('ok');
      let count = 0n;
      let bytes = 0;
      let firstNs = 0n;
      let lastNs = 0n;
      const write = () => {
        const start = process.hrtime.bigint();
        metrics.write();
        lastNs = process.hrtime.bigint() - start;
        if (firstNs === 0n) firstNs = lastNs;
      };
      for (let round = 1; round <= turns; round++) {
        d.alloc('x').n.add(2);
        Atomics.store(rounds, 0, round);
        Atomics.notify(rounds, 0);
        expect(addon.turn()).toBe('ok');
        for (const number of [1, 2]) {
          while (Atomics.load(rounds, number) < round) Atomics.wait(rounds, number, round - 1, 1000);
        }
        expect(d.remove('x')).toBe(true);
        count += round === 1 ? 3n : 4n;
        if (round % 100 === 50) write();
        if (round === Math.floor(turns / 10)) bytes = heapBytes();
      }
      const moreBytes = heapBytes() - bytes;
      Atomics.store(rounds, 7, 1);
      Atomics.store(rounds, 0, turns + 1);
      Atomics.notify(rounds, 0);
      addon.endTurnover();
      count += 1n;
      await Promise.all(workers.map((worker) => new Promise((resolve) => void worker.once('exit', resolve))));
      write();
      const all = count + added[1]! + added[2]!;
      expect(metrics.snapshot().d.aggregate.n).toBe(all);
      expect(sumOf(linesIn(path), 'd.n')).toBe(all);
      const reading = await readRegion(options.file);
      expect((reading.values['d'] as { aggregate: object }).aggregate).toEqual(metrics.snapshot().d.aggregate);
      expect(header().cells - before.cells).toBeLessThanOrEqual(4 * CELLS_OF_D);
      expect(header().entries - before.entries).toBeLessThanOrEqual(4);
      expect(moreBytes).toBeLessThan(1 << 20);
      if (turns > 3000) console.log(`the first flush took ${firstNs} ns, the last ${lastNs} ns; heap ${moreBytes} bytes more`);
    },
  );

  test('when nothing is ever flushed, then cells and entries are reused, and every count is in the snapshot and pending', async () => {
    const { metrics, options, header } = open();
    const before = header();
    for (let i = 0; i < 2000; i++) {
      const { n, time } = metrics.app.d.alloc('x');
      n.inc();
      time.observe(i);
      metrics.app.d.remove('x');
      n.inc();
      metrics.app.e.alloc('x');
      metrics.app.e.remove('x');
    }
    expect(header().cells - before.cells).toBeLessThanOrEqual(4 * (CELLS_OF_D + 2));
    expect(header().entries - before.entries).toBeLessThanOrEqual(8);
    expect(metrics.snapshot().d.aggregate.n).toBe(4000n);
    const { values, pending } = await readRegion(options.file);
    for (const of of [values, pending])
      expect(of['d']).toMatchObject({ devices: {}, aggregate: { n: 4000n, time: { sum_us: 1_999_000n } } });
  });

  test('when a group has no aggregate, then the lines have each delta once under the key, and flushed entries are reused', () => {
    const { metrics, header, path } = open();
    metrics.init(path);
    const before = header();
    for (let i = 0; i < 500; i++) {
      metrics.app.e.alloc('x').n.add(3);
      metrics.app.e.remove('x');
      if (i % 10 === 9) metrics.write();
    }
    metrics.write();
    const deltas = linesIn(path).flatMap((line) => ('e_x' in line ? [at(line, 'e_x.n') as bigint] : []));
    expect(deltas.reduce((sum, delta) => sum + delta, 0n)).toBe(1500n);
    expect(metrics.snapshot().e.aggregate.n).toBe(1500n);
    expect(header().entries - before.entries).toBeLessThanOrEqual(16);
  });
});

describe('given a thread whose devices another thread removes', () => {
  test('when the thread only waits for events, then it still releases the devices, and later adds count', async () => {
    const { metrics, options, header } = open();
    const second = new SecondThread();
    onTestFinished(() => second.end());
    second.call('open', shape, options);
    for (let i = 0; i < 4; i++) {
      metrics.app.d.alloc('x');
      second.call('hold', i, 'd', 'x');
      second.call('bump', i, 'n', 'inc');
      metrics.app.d.remove('x');
    }
    // The other thread makes no call. It has sent its last answer.
    for (const deadline = Date.now() + HANG_MS; header().epoch === 0 && Date.now() < deadline; ) {
      metrics.app.d.alloc('y');
      metrics.app.d.remove('y');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(header().epoch).toBeGreaterThan(0);
    metrics.app.d.alloc('z').n.add(7);
    for (let i = 0; i < 4; i++) second.call('bump', i, 'n', 'add', 10);
    for (let i = 0; i < 4; i++) second.call('bump', i, 'time', 'observe', 5);
    for (let i = 0; i < 4; i++) second.call('bump', i, 'level', 'store', 5);
    const { devices, aggregate } = metrics.snapshot().d;
    expect(devices).toEqual({ z: { n: 7n, level: 0n, time: { count: 0n, min_us: 0n, max_us: 0n, sum_us: 0n } } });
    expect(aggregate).toEqual({ n: 51n, level: 0n, time: { count: 4n, min_us: 0n, max_us: 0n, sum_us: 20n } });
  });

  test('when the thread is blocked, then its devices are not retired and no count is lost; when it ends, then they are retired', async () => {
    const { metrics, options, header } = open();
    const second = new SecondThread();
    second.call('open', shape, options);
    metrics.app.d.alloc('x');
    second.call('hold', 0, 'd', 'x');
    second.call('race', [0], 'n', new Int32Array(new SharedArrayBuffer(8)), new BigUint64Array(new SharedArrayBuffer(8)));
    for (let i = 0; i < 50; i++) {
      metrics.app.d.alloc('x').n.add(1000);
      metrics.app.d.remove('x');
      for (const id of Object.keys(metrics.snapshot().d.devices)) expect.unreachable(id);
      expect(metrics.app.d.alloc('y').n.count()).toBe(0n);
      metrics.app.d.remove('y');
    }
    expect(header().epoch).toBe(0);
    await second.end();
    const { n } = metrics.snapshot().d.aggregate;
    expect(n).toBeGreaterThanOrEqual(50_000n);
    metrics.app.d.alloc('y');
    expect(header().epoch).toBe(1);
    expect(metrics.snapshot().d.aggregate.n).toBe(n);
  });

  test('when this thread allocates and another removes 20,000 devices, then this thread keeps no memory of them', () => {
    const { metrics, options } = open();
    const second = new SecondThread();
    onTestFinished(() => second.end());
    second.call('open', shape, options);
    let bytes = 0;
    for (let i = 0; i < 20_000; i++) {
      metrics.app.d.alloc(`x${i}`).n.inc();
      second.call('remove', 'd', `x${i}`);
      if (i === 2000) bytes = heapBytes();
    }
    expect(heapBytes() - bytes).toBeLessThan(1 << 20);
    expect(metrics.snapshot().d.aggregate.n).toBe(20_000n);
  });
});

describe('given a device that is sampled', () => {
  const retire = (metrics: ReturnType<typeof open>['metrics']) => {
    for (let i = 0; i < 6; i++) {
      metrics.app.d.alloc('x').n.add(1000);
      metrics.app.d.remove('x');
    }
  };

  test('when a sampler reads the region, and another device takes the cells of the removed device, then the last value stays', () => {
    const { metrics, options, header } = open();
    metrics.app.d.alloc('x').n.add(5);
    metrics.app.d.alloc('y').n.add(6);
    const sampler = RegionSampler.open(options.file, ['d_x.n', 'd_y.n']);
    onTestFinished(() => sampler.close());
    const values = new BigUint64Array(2);
    sampler.sample(values, 0);
    expect([...values]).toEqual([5n, 6n]);
    metrics.app.d.remove('x');
    retire(metrics);
    expect(header().epoch).toBeGreaterThan(0);
    metrics.app.d.alloc('y').n.inc();
    sampler.sample(values, 0);
    expect([...values]).toEqual([5n, 7n]);
  });

  test('when a profile of the process samples it, then the device keeps its cells until the profile ends', async () => {
    const { metrics, path } = open();
    const old = metrics.app.d.alloc('x');
    old.n.add(5);
    const profile = metrics.startProfiling({ metrics: ['d_x.n'], output: path, intervalUs: 1000 });
    metrics.app.d.remove('x');
    retire(metrics);
    await profile.stop();
    const rows = readFileSync(path, 'utf8').trimEnd().split('\n').slice(1);
    for (const row of rows) expect(row).toMatch(/\t5$/);
    expect(metrics.snapshot().d.aggregate.n).toBe(6005n);
  });

  test('when many profiles sample it, and nothing is ever flushed, then its cells are free after each profile', async () => {
    const { metrics, header, path } = open();
    const { e } = metrics.app;
    const comeAndGo = () => {
      for (let i = 0; i < 100; i++) {
        e.alloc('x');
        e.remove('x');
      }
    };
    comeAndGo();
    const { entries } = header();
    for (let i = 0; i < 100; i++) {
      e.alloc('x');
      const profile = metrics.startProfiling({ metrics: ['e_x.n'], output: path, intervalUs: 100_000 });
      e.remove('x');
      comeAndGo();
      await profile.stop();
    }
    expect(header().entries - entries).toBeLessThan(20);
  });
});

describe('given accessors of removed devices that count for their group', () => {
  test('when they are read, then counters continue from their last count, and gauges keep values of their own', () => {
    const { metrics } = open();
    const { d } = metrics.app;
    const old = d.alloc('x');
    old.n.add(5);
    old.level.store(7);
    old.time.observe(9);
    d.remove('x');
    for (let i = 0; i < 4; i++) {
      d.alloc('x').level.store(100);
      d.alloc('x').time.observe(1000);
      d.remove('x');
    }
    const fresh = d.alloc('x');
    old.n.inc();
    old.time.observe(20n);
    expect(old.n.count()).toBe(6n);
    expect(old.level.fetch()).toBe(7n);
    old.level.store(8);
    expect(old.level.fetch()).toBe(8n);
    expect(old.time.min_us.fetch()).toBe(9n);
    expect(old.time.max_us.fetch()).toBe(9n);
    expect(old.time.sum_us.count()).toBe(29n);
    expect(fresh.level.fetch()).toBe(0n);
    expect(fresh.time.max_us.fetch()).toBe(0n);
    expect(metrics.snapshot().d.aggregate).toEqual({ n: 6n, level: 0n, time: { count: 6n, min_us: 0n, max_us: 0n, sum_us: 4029n } });
    metrics.close();
    old.n.inc();
    for (const read of [() => old.n.count(), () => old.level.fetch(), () => old.time.min_us.fetch()]) {
      expect(read).toThrow(closed);
    }
  });
});
