// A reader can read every region that a writer can make: many devices at one time, and many over time.

import { copyFileSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { defineSchema, inc, Metrics, perDevice, readRegion } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { cliSync } from './helpers/command.ts';
import { HANG_MS } from './helpers/limits.ts';
import { at, closing, freshName, linesIn, temporaryFolder } from './helpers/workplace.ts';

/** What the command prints, which must not fail. */
const cli = (...args: string[]) => {
  const { status, stdout, stderr } = cliSync(args);
  expect(status, stderr).toBe(0);
  return stdout;
};

function open() {
  const folder = temporaryFolder();
  const file = `${folder}/region`;
  const metrics = closing(Metrics.open(firecracker, { name: freshName(), file }));
  /** A copy of the region, which no process holds. It is what a writer would leave behind if it were killed now. */
  const dead = () => {
    copyFileSync(file, `${folder}/dead`);
    return `${folder}/dead`;
  };
  return { metrics, dead, sink: `${folder}/lines` };
}

describe('given a region of Firecracker', () => {
  test(
    'when 33,000 devices without an aggregate are removed with pending counts, then the reader and the line have all their counts',
    { timeout: HANG_MS },
    async () => {
      const { metrics, dead, sink } = open();
      const { vhost_user } = metrics.app;
      const count = 33_000;
      for (let i = 0; i < count; i++) {
        vhost_user.alloc(`block_${i}`).cfg_fails.add(i + 1);
        vhost_user.remove(`block_${i}`);
      }
      expect(vhost_user.ids()).toEqual([]);
      const sum = BigInt((count * (count + 1)) / 2);
      expect(metrics.snapshot().vhost_user.aggregate.cfg_fails).toBe(sum);
      const path = dead();
      const { state, values, pending, line } = await readRegion(path);
      expect(state).toBe('killed');
      for (const of of [values, pending]) expect(of['vhost_user']).toMatchObject({ devices: {}, aggregate: { cfg_fails: sum } });
      expect(JSON.parse(line())['vhost_user_block_7'].cfg_fails).toBe(8);
      expect(cli('show', path)).toContain(sum.toLocaleString('en-US'));
      cli('flush', path, '--to', sink);
      const [flushed] = linesIn(sink);
      for (let i = 0; i < count; i++) expect(at(flushed!, `vhost_user_block_${i}.cfg_fails`)).toBe(BigInt(i + 1));
      expect((await readRegion(path)).hasPending).toBe(false);
    },
  );

  test('when 2,300 network devices exist, then each is read, shown and flushed', { timeout: HANG_MS }, async () => {
    const { metrics, dead, sink } = open();
    const count = 2300;
    for (let i = 0; i < count; i++) metrics.app.net.alloc(`eth${i}`).rx_count.add(i + 1);
    const path = dead();
    const { values } = await readRegion(path);
    expect(values['net']).toEqual(metrics.snapshot().net);
    expect(cli('show', path)).toContain('rx_count');
    cli('flush', path, '--to', sink);
    const [flushed] = linesIn(sink);
    for (let i = 0; i < count; i++) expect(at(flushed!, `net_eth${i}.rx_count`)).toBe(BigInt(i + 1));
  });

  test('when 60,000 devices were added and removed, then the aggregate holds their counts', { timeout: HANG_MS }, async () => {
    const { metrics, dead, sink } = open();
    const count = 60_000;
    for (let i = 0; i < count; i++) {
      metrics.app.block.alloc(`drv${i % 2}_${i}`).read_count.add(2);
      metrics.app.block.remove(`drv${i % 2}_${i}`);
    }
    const path = dead();
    expect(readFileSync(path).readUInt32LE(144)).toBeLessThan(60 + 64); // entries of the directory, with those that wait to be retired
    const { values } = await readRegion(path);
    expect(values['block']).toEqual(metrics.snapshot().block);
    expect(metrics.snapshot().block.aggregate.read_count).toBe(BigInt(2 * count));
    expect(cli('show', path)).toContain('120,000');
    cli('flush', path, '--to', sink);
    expect(at(linesIn(sink)[0]!, 'block.read_count')).toBe(BigInt(2 * count));
  });
});

describe('given a store that is full', () => {
  test('when one more device is allocated, then ERR_METRICS_DEVICE names the limit, and nothing changes', () => {
    const fields = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`m${i}`, inc('i')]));
    const metrics = closing(Metrics.open(defineSchema({ d: perDevice(fields, { aggregate: false }) }), { name: freshName() }));
    let made = 0;
    const full = () => {
      for (; made < 1000; made++) metrics.app.d.alloc(`${made}`)['m1']!.add(made);
    };
    expect(full).toThrow(expect.objectContaining({ code: 'ERR_METRICS_DEVICE', message: expect.stringContaining('2097152 values') }));
    expect(made).toBe(201);
    expect(metrics.app.d.ids()).toHaveLength(201);
    metrics.app.d.remove('0');
    expect(() => metrics.app.d.alloc('another')).toThrow(expect.objectContaining({ code: 'ERR_METRICS_DEVICE' }));
  });
});
