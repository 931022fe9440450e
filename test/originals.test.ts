// Firecracker's own unit tests of its logger, balloon and pmem metrics, translated.

import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, Metrics, store } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { at, closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

const open = () => closing(Metrics.open(firecracker, { name: freshName() }));

describe('logger metrics', () => {
  test('given no init(), when write() is called, then it returns false; after init() it returns true, and a second init() throws', () => {
    const metrics = open();
    const folder = temporaryFolder();
    expect(metrics.write()).toBe(false);
    metrics.init(`${folder}/first`);
    expect(metrics.write()).toBe(true);
    expect(() => metrics.init(`${folder}/second`)).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_ALREADY_INITIALIZED', message: 'Reinitialization of metrics not allowed.' }),
    );
    expect(metrics.write()).toBe(true);
    expect(linesIn(`${folder}/first`)).toHaveLength(2);
  });

  test('given a count of 123, when 4 threads each add 1 100,000 times, then the count is exact', async () => {
    const name = freshName();
    const metrics = closing(Metrics.open(firecracker, { name }));
    metrics.app.vcpu.exit_io_in.add(123);
    const workers = Array.from(
      { length: 4 },
      () => new Worker(new URL('./fixtures/increment.mjs', import.meta.url), { workerData: { name, count: 100_000 } }),
    );
    await Promise.all(workers.map((worker) => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))));
    expect(metrics.app.vcpu.exit_io_in.count()).toBe(123n + 4n * 100_000n);
  });

  test('given a gauge, when 1 is stored, then 1 is fetched', () => {
    const schema = defineSchema({ g: group({ value: store('a value'), other: inc('another') }) });
    const metrics = closing(Metrics.open(schema, { name: freshName() }));
    expect(metrics.app.g.value.fetch()).toBe(0n);
    metrics.app.g.value.store(1);
    expect(metrics.app.g.value.fetch()).toBe(1n);
  });

  test('given the whole schema, when it is flushed, then the line parses', () => {
    const metrics = open();
    const path = `${temporaryFolder()}/lines`;
    metrics.init(path);
    metrics.write();
    expect(linesIn(path)).toHaveLength(1);
  });

  test('given a sink that fails, when write() is called, then the message is the original one and ends with the cause', () => {
    const metrics = open();
    metrics.init('/dev/full');
    expect(() => metrics.write()).toThrow(
      expect.objectContaining({
        code: 'ERR_METRICS_WRITE',
        message: 'Failed to write metrics: ENOSPC: no space left on device, write',
        cause: expect.objectContaining({ code: 'ENOSPC', errno: -28, syscall: 'write' }),
      }),
    );
  });
});

describe('balloon metrics', () => {
  test('given increments, when they are flushed, then the next line is that of a new store', () => {
    const metrics = open();
    const path = `${temporaryFolder()}/lines`;
    metrics.init(path);
    metrics.write();
    metrics.app.balloon.inflate_count.inc();
    metrics.write();
    metrics.write();
    const [fresh, counted, after] = linesIn(path);
    expect(at(counted!, 'balloon.inflate_count')).toBe(1n);
    expect(after!['balloon']).toEqual(fresh!['balloon']);
    expect(metrics.app.balloon.inflate_count.count()).toBe(1n);
  });
});

describe('pmem metrics', () => {
  test('given as many devices as a machine can have, when each counts, then each has its own count', () => {
    const metrics = open();
    const devices = Array.from({ length: 19 }, (_, i) => metrics.app.pmem.alloc(`pmem${i}`));
    devices.forEach((device, i) => {
      device.activate_fails.add(i + 1);
    });
    expect(devices.map((device) => device.activate_fails.count())).toEqual(devices.map((_, i) => BigInt(i + 1)));
    expect(metrics.snapshot().pmem.aggregate.activate_fails).toBe(190n);
  });

  test('given a device, when its id is allocated again, then alloc() returns the same device', () => {
    const metrics = open();
    const device = metrics.app.pmem.alloc('pmem0');
    device.activate_fails.inc();
    expect(metrics.app.pmem.alloc('pmem0')).toBe(device);
    expect(metrics.app.pmem.alloc('pmem0').activate_fails.count()).toBe(1n);
  });
});
