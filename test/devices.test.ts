import { describe, expect, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, store } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { SecondThread } from './helpers/second-thread.ts';
import { at, closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

const schema = defineSchema({
  disk: perDevice({ ops: inc('ops'), size: store('size'), time: latency('time') }),
  disk_a: group({ n: inc('n') }),
  disk_b: perDevice({ n: inc('n') }),
  nic: perDevice({ n: inc('n') }, { aggregate: false }),
});

function open() {
  const metrics = closing(Metrics.open(schema, { name: freshName() }));
  const path = `${temporaryFolder()}/lines`;
  metrics.init(path);
  return { metrics, disks: metrics.app.disk, path };
}

describe('given devices', () => {
  test('when a device is removed, then its last deltas are in the next aggregate, and no line shows the device', () => {
    const { metrics, disks, path } = open();
    disks.alloc('x').ops.add(2);
    disks.alloc('y').ops.add(3);
    metrics.write();
    disks.alloc('x').ops.add(5);
    expect(disks.remove('x')).toBe(true);
    expect(disks.remove('x')).toBe(false);
    expect(disks.ids()).toEqual(['y']);
    metrics.write();
    metrics.write();
    const [, second, third] = linesIn(path);
    expect(Object.keys(second!)).toEqual(['disk_y', 'disk', 'disk_a', 'disk_b']);
    expect(at(second!, 'disk.ops')).toBe(5n);
    expect(at(third!, 'disk.ops')).toBe(0n);
    expect(metrics.snapshot().disk.aggregate.ops).toBe(10n);
  });

  test('when a removed id comes back, then the new device starts at 0, and an old accessor counts in the aggregate alone', () => {
    const { metrics, disks, path } = open();
    const old = disks.alloc('x');
    old.ops.add(2);
    old.size.store(9);
    old.time.observe(4);
    disks.remove('x');
    const other = disks.alloc('y');
    const fresh = disks.alloc('x');
    expect(fresh).not.toBe(old);
    expect(fresh.ops.count()).toBe(0n);
    expect(fresh.size.fetch()).toBe(0n);
    expect(fresh.time.max_us.fetch()).toBe(0n);
    old.ops.add(40);
    fresh.ops.inc();
    metrics.write();
    const line = linesIn(path)[0]!;
    expect(at(line, 'disk_x.ops')).toBe(1n);
    expect(at(line, 'disk_y.ops')).toBe(0n);
    expect(at(line, 'disk.ops')).toBe(43n);
    expect(at(line, 'disk.size')).toBe(0n);
    expect(other.ops.count()).toBe(0n);
  });

  test('when the key of an id is taken by something else, then ERR_METRICS_DEVICE is thrown, and nothing changes', () => {
    const { metrics, disks } = open();
    const taken = expect.objectContaining({ code: 'ERR_METRICS_DEVICE', message: expect.stringContaining('disk_a') });
    expect(() => disks.alloc('a')).toThrow(taken);
    expect(() => disks.alloc('b')).toThrow(expect.objectContaining({ code: 'ERR_METRICS_DEVICE' }));
    metrics.app.disk_b.alloc('c');
    expect(() => disks.alloc('b_c')).toThrow(expect.objectContaining({ code: 'ERR_METRICS_DEVICE' }));
    expect(disks.ids()).toEqual([]);
    metrics.app.disk_b.remove('c');
    disks.alloc('b_c').ops.inc();
    expect(() => metrics.app.disk_b.alloc('c')).toThrow(expect.objectContaining({ code: 'ERR_METRICS_DEVICE' }));
  });

  test('when a device without an aggregate is removed, then the next line has its last deltas under its key', () => {
    const { metrics, path } = open();
    const { nic } = metrics.app;
    const old = nic.alloc('x');
    old.n.add(2);
    nic.remove('x');
    metrics.write();
    metrics.write();
    old.n.inc();
    nic.alloc('x').n.add(5); // the same key: the last deltas of the old device are in the same object
    metrics.write();
    nic.remove('x');
    metrics.write();
    const shown = linesIn(path).map((line) => line['nic_x'] && at(line, 'nic_x.n'));
    expect(shown).toEqual([2n, undefined, 6n, undefined]);
    expect(old.n.fetchDiff()).toBe(0n);
  });

  test('when there are 1,000 devices of each kind, then each is in the line with its own number', () => {
    const metrics = closing(Metrics.open(firecracker, { name: freshName() }));
    const path = `${temporaryFolder()}/lines`;
    metrics.init(path);
    for (let i = 0; i < 1000; i++) {
      metrics.app.block.alloc(`drv${i}`).read_count.add(i + 1);
      metrics.app.net.alloc(`eth${i}`).rx_count.add(i + 2);
      metrics.app.pmem.alloc(`mem${i}`).event_fails.add(i + 3);
    }
    metrics.write();
    const line = linesIn(path)[0]!;
    expect(Object.keys(line)).toHaveLength(23 + 3000);
    for (let i = 0; i < 1000; i++) {
      expect(at(line, `block_drv${i}.read_count`)).toBe(BigInt(i + 1));
      expect(at(line, `net_eth${i}.rx_count`)).toBe(BigInt(i + 2));
      expect(at(line, `pmem_mem${i}.event_fails`)).toBe(BigInt(i + 3));
    }
    expect(at(line, 'block.read_count')).toBe(500_500n);
    expect(metrics.app.block.ids()).toHaveLength(1000);
  });

  test('when a device has more than 512 cells, then each of its metrics still counts separately', () => {
    const fields = Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`m${i}`, i % 3 === 0 ? latency('l') : inc('i')]));
    const metrics = closing(Metrics.open(defineSchema({ d: perDevice(fields) }), { name: freshName() }));
    for (const id of ['x', 'y']) {
      const device = metrics.app.d.alloc(id) as Record<string, { add?(n: number): void; observe?(us: number): void }>;
      Object.values(device).forEach((metric, i) => {
        metric.add?.(i);
        metric.observe?.(i);
      });
    }
    const { devices, aggregate } = metrics.snapshot().d;
    Object.entries(aggregate).forEach(([name, value], i) => {
      const n = BigInt(i);
      const is = (times: bigint) => (typeof value === 'bigint' ? n * times : { count: times, min_us: n, max_us: n, sum_us: n * times });
      expect(value).toEqual(is(2n));
      expect(devices['x']![name]).toEqual(is(1n));
    });
  });

  test('when they come and go in two threads between snapshots, then each snapshot has the devices and values of its moment', async () => {
    const thread = new SecondThread();
    const shape = { disk: perDevice({ ops: inc('ops'), size: store('size') }) };
    const name = freshName();
    thread.call('open', shape, { name });
    const metrics = closing(Metrics.open(defineSchema(shape), { name }));
    const values = () => {
      const { devices, aggregate } = metrics.snapshot().disk;
      return [{ ...devices }, aggregate];
    };
    const first = values();
    expect(first).toEqual([{}, { ops: 0n, size: 0n }]);
    metrics.app.disk.alloc('b').ops.add(1);
    const second = metrics.snapshot();
    expect(values()).toEqual([{ b: { ops: 1n, size: 0n } }, { ops: 1n, size: 0n }]);
    metrics.app.disk.alloc('b').size.store(7);
    expect(values()).toEqual([{ b: { ops: 1n, size: 7n } }, { ops: 1n, size: 7n }]);
    thread.call('hold', 'a', 'disk', 'a');
    thread.call('bump', 'a', 'ops', 'add', 10);
    expect(values()).toEqual([
      { a: { ops: 10n, size: 0n }, b: { ops: 1n, size: 7n } },
      { ops: 11n, size: 7n },
    ]);
    thread.call('remove', 'disk', 'b');
    thread.call('hold', 'c', 'disk', 'c');
    expect(values()).toEqual([
      { a: { ops: 10n, size: 0n }, c: { ops: 0n, size: 0n } },
      { ops: 11n, size: 0n },
    ]);
    // What was read before stays as it was.
    expect({ ...second.disk.devices }).toEqual({ b: { ops: 1n, size: 0n } });
    await thread.end();
  });
});
