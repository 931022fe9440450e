// Counts over all shards, as a thread reads them without a native call where it can.

import { closeSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';

import { accessorOf } from '../lib/accessors/accessors.ts';
import type { IncMetric } from '../lib/accessors/inc.ts';
import { type Attachment, binding } from '../lib/binding.ts';
import { layoutOf, staticMetrics } from '../lib/layout.ts';
import { HeaderOffset } from '../lib/region/format.ts';
import { defineSchema, group, inc } from '../lib/schema.ts';
import { storeSpecOf } from '../lib/store-spec.ts';
import { ThreadCells } from '../lib/thread-cells.ts';
import { runChild } from './helpers/children.ts';
import { temporaryFolder } from './helpers/workplace.ts';

/** Two chunks of cells. */
const COUNTERS = 600;
const schema = defineSchema({ g: group(Object.fromEntries(Array.from({ length: COUNTERS }, (_, i) => [`n${i}`, inc('n')]))) });
const layout = layoutOf(schema);
let stores = 0;

/** Opens stores, and asks for each attachment as another thread would: each has its own shard. */
function storeOf(file?: string) {
  const name = `counts-${stores++}`;
  const all: ThreadCells[] = [];
  onTestFinished(() => {
    for (const cells of all) cells.close();
  });
  return () => {
    const attachment = binding().open(
      storeSpecOf(name, schema, layout, {}, { ...(file !== undefined && { file }), previous: 'keep' }),
    ) as Attachment;
    const calls = { native: 0 };
    const proxied = new Proxy(attachment, {
      get(target, property) {
        if (property === 'total') calls.native++;
        const value = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const cells = new ThreadCells(proxied, layout);
    all.push(cells);
    const metrics = staticMetrics(layout).map((metric) => accessorOf(cells, metric, metric.cell)) as IncMetric[];
    return { metrics, calls, total: (index: number) => attachment.total(staticMetrics(layout)[index]!.cell), close: () => cells.close() };
  };
}

describe('given threads that count', () => {
  test.each([1, 2, 3, 8, 15])('when there are %i, then each reads the count of all without a native call', (threads) => {
    const open = storeOf();
    const all = Array.from({ length: threads }, open);
    for (const index of [0, 511, 512, COUNTERS - 1]) {
      for (const [i, { metrics }] of all.entries()) metrics[index]!.add(10 ** i);
      for (const { metrics } of all) expect(metrics[index]!.count()).toBe((10n ** BigInt(threads) - 1n) / 9n);
    }
    expect(all.map(({ calls }) => calls.native)).toEqual(all.map(() => 0));
  });

  test('when there are too many for that, then native code reads the count', () => {
    const open = storeOf();
    const all = Array.from({ length: 20 }, open);
    for (const { metrics } of all) metrics[3]!.add(7);
    for (const { metrics, calls } of all) {
      expect(metrics[3]!.count()).toBe(140n);
      expect(calls.native).toBe(1);
    }
  });

  test('when threads come and go between the reads, then no count is lost', () => {
    const open = storeOf();
    const reader = open();
    let sum = 0n;
    for (let threads = 0; threads < 24; threads++) {
      const some = Array.from({ length: threads % 7 }, open);
      for (const { metrics } of some) metrics[1]!.add(3);
      sum += 3n * BigInt(some.length);
      expect(reader.metrics[1]!.count()).toBe(sum);
      reader.metrics[1]!.inc();
      sum += 1n;
      for (const { close } of some) close();
      expect(reader.metrics[1]!.count()).toBe(sum);
    }
    expect(reader.calls.native).toBe(0);
  });

  test('when the counts wrap, then the sum wraps too', () => {
    const open = storeOf();
    const [a, b, c] = [open(), open(), open()];
    for (const { metrics } of [a, b, c]) metrics[0]!.add(2n ** 64n - 1n);
    expect(a.metrics[0]!.count()).toBe(2n ** 64n - 3n);
  });

  test('when more chunks are read than a thread maps, then native code reads the rest', () => {
    const wide = defineSchema({
      g: group(Object.fromEntries(Array.from({ length: 512 * 40 }, (_, i) => [`n${i}`, inc('n')]))),
    });
    const placed = staticMetrics(layoutOf(wide));
    const attachments = Array.from({ length: 4 }, () => {
      const opened = binding().open(storeSpecOf('counts-wide', wide, layoutOf(wide), {}, { previous: 'keep' })) as Attachment;
      return new ThreadCells(opened, layoutOf(wide));
    });
    onTestFinished(() => {
      for (const cells of attachments) cells.close();
    });
    for (let i = 0; i < placed.length; i += 512) {
      const metric = placed[i]!;
      const accessors = attachments.map((cells) => accessorOf(cells, metric, metric.cell) as IncMetric);
      for (const accessor of accessors) accessor.add(i + 1);
      for (const accessor of accessors) expect(accessor.count()).toBe(4n * BigInt(i + 1));
    }
  });
});

describe('given a region file', () => {
  function threeThreads(file: string) {
    const open = storeOf(file);
    return [open(), open(), open()] as const;
  }

  function writeHeader(file: string, offset: number, word: number): void {
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, Uint32Array.of(word), 0, 4, offset);
    closeSync(descriptor);
  }

  test.each([0, 1, 2, 200, 2 ** 32 - 1])('when its header claims %i shards, then the counts are still right', (claimed) => {
    const file = `${temporaryFolder()}/region`;
    const threads = threeThreads(file);
    threads[0].metrics[0]!.count(); // a thread that has views already
    for (const { metrics } of threads) metrics[0]!.add(5);
    writeHeader(file, HeaderOffset.shardsUsed, claimed);
    expect(threads[0].metrics[0]!.count()).toBe(15n);
    expect(threads[2].metrics[0]!.count()).toBe(15n);
    expect(threads[0].metrics[599]!.count()).toBe(0n);
  });

  test('when it claims shards that nobody has used, then they are not read', () => {
    const file = `${temporaryFolder()}/region`;
    const threads = threeThreads(file);
    for (const { metrics } of threads) metrics[0]!.add(5);
    writeHeader(file, HeaderOffset.shardsUsed, 16);
    for (const { metrics } of threads) expect(metrics[0]!.count()).toBe(15n);
    expect(readFileSync(file).readUInt32LE(HeaderOffset.degraded)).toBe(0); // as it would be after a fault
  });

  test('when the file loses its memory, then counting goes on from 0', () => {
    const file = `${temporaryFolder()}/region`;
    const threads = threeThreads(file);
    for (const { metrics } of threads) metrics[0]!.add(5);
    expect(threads[0].metrics[0]!.count()).toBe(15n);
    truncateSync(file, 0);
    expect(threads[0].metrics[0]!.count()).toBe(0n);
    for (const { metrics } of threads) metrics[0]!.add(2);
    for (const { metrics, total } of threads) {
      expect(metrics[0]!.count()).toBe(6n);
      expect(total(0)).toBe(6n);
    }
  });
});

test('given a thread that only reads, when another thread counts, then the reader sees that', async () => {
  const { code, stdout, stderr } = await runChild('spinning-reader.mjs');
  expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'true true true true true true\n' });
});
