import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, type SchemaShape, store } from 'vmm-metrics';

import { fingerprintOf } from '../lib/fingerprint.ts';
import { layoutOf } from '../lib/layout.ts';
import { defineSchema as defineHere } from '../lib/schema.ts';
import { closing, freshName } from './helpers/workplace.ts';

interface Addon {
  attach(external: unknown, fingerprint: bigint): string;
  attachOlder(isOlder: boolean): string;
  detach(): string;
  find(path: string, kind: number): string;
  count(path: string, threads: number, times: number, how: 'own' | 'shared'): string;
  countInC(path: string, n: number): string;
  observe(path: string, us: number, how: 'own' | 'shared'): string;
  set(path: string, value: number): string;
  countOnDevice(group: string, id: string, field: string, n: number): string;
  claim(n: number): number;
  holdShards(n: number): void;
  releaseShards(): void;
}
const addon = createRequire(import.meta.url)('./addon/build/Release/vmm_test.node') as Addon;
const kinds = { inc: 0, store: 1, latency: 2 };

const shape = {
  g: group({ n: inc('n'), level: store('level'), time: latency('time') }),
  disk: perDevice({ ops: inc('ops') }),
};
const schema = defineSchema(shape);
const open = () => {
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  expect(addon.attach(metrics.native, 0n)).toBe('ok');
  return metrics;
};

describe('given native code that attaches through the public header', () => {
  test('when 4 threads with a shard each and 4 threads that share one count with JavaScript, then the count is exact', () => {
    const metrics = open();
    metrics.app.g.n.add(5);
    expect(addon.count('g.n', 4, 300_000, 'own')).toBe('ok');
    expect(addon.count('g.n', 4, 100_000, 'shared')).toBe('ok');
    expect(addon.countInC('g.n', 7)).toBe('ok');
    expect(metrics.app.g.n.count()).toBe(1_600_012n);
  });

  test('when native threads observe and set values, then JavaScript reads the same values', () => {
    const metrics = open();
    metrics.app.g.time.observe(6);
    for (const [us, how] of [
      [9, 'own'],
      [0, 'shared'],
      [4, 'own'],
    ] as const)
      expect(addon.observe('g.time', us, how)).toBe('ok');
    expect(addon.set('g.level', 42)).toBe('ok');
    expect(metrics.snapshot().g).toEqual({ n: 0n, level: 42n, time: { count: 4n, min_us: 0n, max_us: 9n, sum_us: 19n } });
  });

  test('when both sides name a device, then both count on the same device', () => {
    const metrics = open();
    metrics.app.disk.alloc('a').ops.inc();
    expect(addon.countOnDevice('disk', 'a', 'ops', 2)).toBe('ok');
    expect(addon.countOnDevice('disk', 'b', 'ops', 3)).toBe('ok');
    expect(metrics.app.disk.ids()).toEqual(['a', 'b']);
    expect(metrics.app.disk.alloc('a').ops.count()).toBe(3n);
    expect(metrics.app.disk.alloc('b').ops.count()).toBe(3n);
  });

  test('when a name, a kind or an id is wrong, then the status says so', () => {
    open();
    expect(addon.find('g.n', kinds.inc)).toBe('ok');
    expect(addon.find('g.m', kinds.inc)).toMatch(/no metric or group of that name/);
    expect(addon.find('g.n', kinds.store)).toMatch(/another kind/);
    expect(addon.countOnDevice('tape', 'a', 'ops', 1)).toMatch(/no metric or group/);
    expect(addon.countOnDevice('disk', 'a', 'size', 1)).toMatch(/no metric or group/);
    expect(addon.countOnDevice('disk', '', 'ops', 1)).toMatch(/device id must be/);
    expect(addon.countOnDevice('disk', 'a'.repeat(256), 'ops', 1)).toMatch(/device id must be/);
  });

  test('when the value is not the `native` of a store, then it is refused, and the earlier attachment stays', () => {
    const metrics = open();
    const { native } = metrics;
    for (const foreign of [{}, null, undefined, 1, 'x', metrics, () => {}]) {
      expect(addon.attach(foreign, 0n)).toMatch(/not the `native` of a vmm-metrics store/);
    }
    const fingerprint = fingerprintOf(layoutOf(defineHere(shape as SchemaShape as never)));
    expect(addon.attach(native, fingerprint)).toBe('ok');
    expect(addon.attach(native, fingerprint + 1n)).toMatch(/another schema/);
    expect(addon.countInC('g.n', 1)).toBe('ok');
    expect(metrics.app.g.n.count()).toBe(1n);
  });

  test('when the code was built with version 1 of the header, then it attaches, and everything counts', () => {
    const metrics = open();
    const old = createRequire(import.meta.url)('./addon/build/Release/abi1_writer.node') as {
      countAll(external: unknown, fingerprint: bigint): string;
    };
    const fingerprint = fingerprintOf(layoutOf(defineHere(shape as SchemaShape as never)));
    expect(old.countAll(metrics.native, fingerprint)).toBe('');
    const { g, disk } = metrics.snapshot();
    expect(g).toMatchObject({ n: 1_005n, level: 7n, time: { min_us: 10n, max_us: 30n, sum_us: 60n } });
    expect(disk.devices).toEqual({ a: { ops: 3n } });
    expect(old.countAll(metrics.native, fingerprint + 1n)).toMatch(/another schema/);
    expect(old.countAll({}, 0n)).toMatch(/not the `native`/);
  });

  test('when the store is older than the header, then no code attaches', () => {
    open();
    expect(addon.attachOlder(false)).toBe('ok');
    expect(addon.attachOlder(true)).toMatch(/another version of vmm-metrics/);
  });

  test('when JavaScript has closed the store, then attached code stays safe, and no code can attach', () => {
    const metrics = Metrics.open(schema, { name: freshName() });
    const { native } = metrics;
    expect(addon.attach(native, 0n)).toBe('ok');
    metrics.close();
    expect(addon.countInC('g.n', 1)).toMatch(/closed/);
    expect(addon.count('g.n', 2, 1000, 'shared')).toBe('ok');
    expect(addon.countOnDevice('disk', 'a', 'ops', 1)).toMatch(/closed/);
    expect(addon.attach(native, 0n)).toMatch(/closed/);
    expect(addon.detach()).toBe('ok');
  });
});

describe('given that every shard is taken', () => {
  test('when more shards are claimed, then the claims share shard 0; when they are released, then the shards are free again', () => {
    open();
    expect(addon.claim(200)).toBe(126); // 128, less the shared one and this thread's
    expect(addon.claim(10)).toBe(10);
  });

  test('when a worker attaches, then it still counts exactly', async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(schema, { name }));
    addon.attach(metrics.native, 0n);
    addon.holdShards(126);
    const workers = Array.from(
      { length: 2 },
      () => new Worker(new URL('./fixtures/shared-shard.mjs', import.meta.url), { workerData: { name, count: 50_000 } }),
    );
    const messages = await Promise.all(
      workers.map((worker) => new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))),
    );
    addon.releaseShards();
    expect(messages).toEqual([50_000, 50_000]);
    const { n, time } = metrics.snapshot().g;
    expect(n).toBe(100_000n + 2n * (3n + 2n ** 40n));
    expect(time).toEqual({ count: 4n, min_us: 2n, max_us: 2n ** 40n, sum_us: 2n * (2n + 2n ** 40n) });
  });
});
