// readRegion() while the process counts, and after SIGKILL: nothing is lost, and nothing is counted twice.

import { spawn } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type DeviceValues, defineSchema, type Fields, inc, Metrics, perDevice, type RegionReading, readRegion } from 'vmm-metrics';

import { RegionFile } from '../lib/region/file.ts';
import {
  DIRECTORY_ENTRY_BYTES,
  DirectoryEntryOffset,
  ENTRY_STATE_BITS,
  EntryState,
  FIRST_DIRECTORY_ROW,
  FIRST_SHARD_ROW,
  ROWS,
} from '../lib/region/format.ts';
import { readHeader } from '../lib/region/header.ts';
import { readSettled } from '../lib/region/settled.ts';
import { valuesOf } from '../lib/values.ts';
import { node } from './helpers/children.ts';
import { at, linesOf, sumOf, temporaryFolder } from './helpers/workplace.ts';

interface Flushing {
  readonly region: string;
  readonly sink: string;
  kill(): Promise<void>;
}

async function flushing(): Promise<Flushing> {
  const folder = temporaryFolder();
  const [region, sink] = [join(folder, 'region'), join(folder, 'lines')];
  const child = spawn(node, [fileURLToPath(new URL('fixtures/flushing.mjs', import.meta.url)), region, sink], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
  return { region, sink, kill };
}

const ofReading = ({ values, pending }: RegionReading) => {
  const of = (from: RegionReading['values']) => {
    const g = from['g'] as unknown as { hits: bigint; time: { sum_us: bigint } };
    return {
      'g.hits': g.hits,
      'g.time.sum_us': g.time.sum_us,
      'dev.ops': (from['dev'] as DeviceValues<Fields>).aggregate['ops'] as bigint,
    };
  };
  return { total: of(values), open: of(pending) };
};

test('given a process that counts and flushes all the time, when its region is read again and again, then no number is negative or decreases', async () => {
  const { region, kill } = await flushing();
  try {
    let last = ofReading(await readRegion(region)).total;
    for (const end = Date.now() + 2000; Date.now() < end; ) {
      const reading = await readRegion(region);
      expect(reading.state).toBe('running');
      const { total, open } = ofReading(reading);
      for (const path of Object.keys(total) as (keyof typeof total)[]) {
        expect(total[path], path).toBeGreaterThanOrEqual(last[path]);
        // A negative delta would be near 2^64.
        expect(open[path], path).toBeLessThanOrEqual(total[path]);
      }
      last = total;
    }
  } finally {
    await kill();
  }
});

test('given processes that are killed at any moment, when lines and region are read, then each count is in exactly one of them', async () => {
  for (let round = 0; round < 12; round++) {
    const { region, sink, kill } = await flushing();
    await sleep(Math.random() * 50);
    await kill();
    // A kill may leave half a line, which does not count as a line.
    const text = readFileSync(sink, 'utf8');
    const lines = linesOf(text);
    const reading = await readRegion(region);
    expect(reading.state).toBe('killed');
    const { total, open } = ofReading(reading);
    for (const path of Object.keys(total) as (keyof typeof total)[]) {
      const said = sumOf(lines, path);
      expect(said + open[path], `${path}, ${lines.length} lines, in flight: ${reading.lineInFlight}`).toBe(total[path]);
    }
    expect(reading.linesFlushed).toBe(BigInt(lines.length));
    // The line says exactly what is pending.
    writeFileSync(sink, reading.line());
    expect(at(linesOf(readFileSync(sink, 'utf8'))[0]!, 'g.hits')).toBe(open['g.hits']);
  }
});

const changing = () => {
  const path = join(temporaryFolder(), 'region');
  const counts = { i: inc('counts') };
  const metrics = Metrics.open(defineSchema({ d: perDevice(counts), e: perDevice(counts) }), { name: path, file: path });
  onTestFinished(() => metrics.close());
  metrics.init('/dev/null');
  const { d, e } = metrics.app;
  /** Writes lines, which retire every device that can be retired. */
  const retire = () => {
    for (let i = 0; i < 2; i++) metrics.write();
  };
  /** Reads the region, and calls `before` and `after` around each read of the file. */
  const readWith = (around: { before?: (offset: number) => void; after?: (offset: number, into: Buffer) => void }) => {
    const file = RegionFile.open(path);
    try {
      const read = file.read.bind(file);
      file.read = (into, offset) => {
        around.before?.(offset);
        const bytes = read(into, offset);
        around.after?.(offset, into as Buffer);
        return bytes;
      };
      const { layout, totals, map } = readSettled(file);
      return valuesOf(layout, totals, ({ group }) => map.devices[group]!);
    } finally {
      file.close();
    }
  };
  const headerNow = () => {
    const file = RegionFile.open(path);
    try {
      return readHeader(file);
    } finally {
      file.close();
    }
  };
  const { chunksOffset, granuleBytes } = headerNow();
  const row = (chunk: number, number: number) => chunksOffset + (chunk * ROWS + number) * granuleBytes;
  /** More entries of devices than a chunk has: a row is a granule, and has a cell of 8 bytes for each entry. */
  const moreThanOneChunk = granuleBytes / 8 + 88;
  return { metrics, path, d, e, retire, readWith, headerNow, row, moreThanOneChunk };
};

describe('given a region whose devices change while it is read', () => {
  test('when a device has an entry in each of two chunks, then the older entry counts as removed', () => {
    const { metrics, d, retire, readWith, headerNow, row, moreThanOneChunk } = changing();
    d.alloc('x').i.add(5);
    for (let i = 0; i < moreThanOneChunk; i++) d.alloc(`k${i}`).i.inc();
    // The devices that are removed first are retired. Their entries, in the second chunk, are free.
    for (let i = moreThanOneChunk - 20; i < moreThanOneChunk; i++) d.remove(`k${i}`);
    retire();
    const entries = headerNow().devicesUsed;
    let isMoved = false;
    const values = readWith({
      before: (offset) => {
        if (isMoved || offset !== row(1, FIRST_DIRECTORY_ROW)) return;
        isMoved = true;
        d.remove('x');
        d.alloc('x').i.add(7);
      },
    }) as { d: DeviceValues<Fields> };
    expect(headerNow().devicesUsed, 'an entry is used again').toBe(entries);
    expect(values).toEqual(metrics.snapshot());
    expect(values.d.devices['x']).toEqual({ i: 7n });
    expect(values.d.aggregate['i']).toBe(BigInt(5 + moreThanOneChunk + 7));
  });

  test('when a device in the second chunk reuses the cells of a device retired from the first chunk, then it starts from its own values', () => {
    const { metrics, d, e, retire, readWith, headerNow, row, moreThanOneChunk } = changing();
    d.alloc('first').i.inc();
    for (let i = 0; i < moreThanOneChunk; i++) e.alloc(`k${i}`).i.inc();
    for (let i = 0; i < 16; i++) d.alloc(`k${i}`);
    d.remove('first');
    e.remove(`k${moreThanOneChunk - 1}`);
    for (let i = 0; i < 16; i++) {
      d.remove(`k${i}`);
      e.remove(`k${i}`);
    }
    retire();
    // The entry that was freed last is used first, with cells of the same group.
    d.alloc('later').i.add(7);
    const { retiredEpoch } = headerNow();
    const values = readWith({
      after: (offset, into) => {
        if (offset !== row(0, FIRST_DIRECTORY_ROW)) return;
        // Restores the state of a moment ago: entries that are free now were being retired.
        for (let at = 0; at < into.length; at += DIRECTORY_ENTRY_BYTES) {
          const state = at + DirectoryEntryOffset.state;
          if ((into.readUInt32LE(state) & 7) === EntryState.free) {
            into.writeUInt32LE(EntryState.retiring | (Number(retiredEpoch) << ENTRY_STATE_BITS), state);
          }
        }
      },
    });
    expect(values).toEqual(metrics.snapshot());
  });

  test('when devices are retired during the first tries, then the reader tries again until the reading is of one moment', () => {
    const { metrics, d, retire, readWith, row } = changing();
    let turn = 0;
    let tries = 0;
    const values = readWith({
      before: (offset) => {
        if (offset !== row(0, FIRST_SHARD_ROW) || ++tries > 25) return;
        for (let i = 0; i < 20; i++) {
          d.alloc(`x${++turn}`).i.add(turn % 3 === 0 ? 1_000_000 : 1);
          d.remove(`x${turn}`);
        }
        retire();
      },
    });
    expect(tries).toBeGreaterThan(25);
    expect(values).toEqual(metrics.snapshot());
  });

  test('when devices are retired all the time, then the reading fails, and gives no wrong number', () => {
    const { d, retire, readWith, row } = changing();
    let turn = 0;
    const read = () =>
      readWith({
        before: (offset) => {
          if (offset !== row(0, FIRST_SHARD_ROW)) return;
          for (let i = 0; i < 20; i++) {
            d.alloc(`x${++turn}`).i.inc();
            d.remove(`x${turn}`);
          }
          retire();
        },
      });
    expect(read).toThrow(/its devices come and go too fast for a consistent reading/);
  });

  test('when the region is large and not flushed, and devices come and go at full speed, then many devices are retired at a time', () => {
    const { d, headerNow } = changing();
    for (let i = 0; i < 512; i++) d.alloc(`stays${i}`);
    const begin = performance.now();
    const turns = 20_000;
    for (let i = 0; i < turns; i++) {
      d.alloc('x').i.inc();
      d.remove('x');
    }
    const ms = performance.now() - begin;
    const { retiredEpoch, devicesUsed } = headerNow();
    // Nothing is retired for 20 ms, unless 64 devices wait. 64 is an eighth of the devices that stay.
    expect(Number(retiredEpoch)).toBeLessThan(turns / 64 + ms / 20 + 10);
    expect(devicesUsed).toBeLessThan(512 + 100);
  });
});

test('given a running process whose directory of devices was cut off, when its region is read, then it is degraded, without those devices', async () => {
  const { d, metrics, path, row } = changing();
  d.alloc('x').i.inc();
  truncateSync(path, row(0, FIRST_DIRECTORY_ROW));
  d.alloc('y').i.inc();
  metrics.write();
  const { state, degraded, values } = await readRegion(path);
  expect({ state, degraded }).toEqual({ state: 'running', degraded: true });
  expect(Object.keys((values['d'] as DeviceValues<Fields>).devices)).not.toContain('x');
});
