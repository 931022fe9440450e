// readRegion() beside the process that counts, and after SIGKILL: nothing is lost, and nothing is said twice.

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type DeviceValues, defineSchema, type Fields, inc, Metrics, perDevice, type RegionReading, readRegion } from 'vmm-metrics';

import { RegionFile } from '../lib/region/file.ts';
import { FIRST_DIRECTORY_ROW, ROWS } from '../lib/region/format.ts';
import { readHeader } from '../lib/region/header.ts';
import { readSettled } from '../lib/region/reader.ts';
import { valuesOf } from '../lib/values.ts';
import { node } from './helpers/children.ts';
import { at, linesOf, temporaryFolder } from './helpers/workplace.ts';

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

test('given a process that counts and flushes all the time, when it is read again and again, then no number is negative or goes back', async () => {
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
    // A kill may leave half a line; it is no line.
    const text = readFileSync(sink, 'utf8');
    const lines = linesOf(text);
    const reading = await readRegion(region);
    expect(reading.state).toBe('killed');
    const { total, open } = ofReading(reading);
    for (const path of Object.keys(total) as (keyof typeof total)[]) {
      const said = lines.reduce((sum, line) => sum + (at(line, path) as bigint), 0n);
      expect(said + open[path], `${path}, ${lines.length} lines, in flight: ${reading.lineInFlight}`).toBe(total[path]);
    }
    expect(reading.linesFlushed).toBe(BigInt(lines.length));
    // What the line says is what is open.
    writeFileSync(sink, reading.line());
    expect(at(linesOf(readFileSync(sink, 'utf8'))[0]!, 'g.hits')).toBe(open['g.hits']);
  }
});

test('given a directory of two chunks, when a device changes its entry between them, then the reading is of one moment', () => {
  const path = join(temporaryFolder(), 'region');
  const metrics = Metrics.open(defineSchema({ d: perDevice({ i: inc('counts') }) }), { name: 'moving', file: path });
  try {
    metrics.init('/dev/null');
    const { d } = metrics.app;
    d.alloc('x').i.add(5);
    for (let i = 0; i < 600; i++) d.alloc(`k${i}`).i.inc();
    // The first ones that are removed are retired by the second line: their entries, in the second chunk, are free.
    for (let i = 580; i < 600; i++) d.remove(`k${i}`);
    metrics.write();
    metrics.write();

    const file = RegionFile.open(path);
    try {
      const header = readHeader(file);
      const second = header.chunksOffset + (ROWS + FIRST_DIRECTORY_ROW) * header.granuleBytes;
      const read = file.read.bind(file);
      let isMoved = false;
      file.read = (into, offset) => {
        if (offset === second && !isMoved) {
          isMoved = true;
          d.remove('x');
          d.alloc('x').i.add(7);
        }
        return read(into, offset);
      };
      const { layout, totals, map } = readSettled(file);
      expect(isMoved).toBe(true);
      expect(readHeader(file).devicesUsed, 'an entry is used again').toBe(header.devicesUsed);
      const values = valuesOf(layout, totals, ({ group }) => map.devices[group]!) as { d: DeviceValues<Fields> };
      expect(values).toEqual(metrics.snapshot());
      expect(values.d.devices['x']).toEqual({ i: 7n });
      expect(values.d.aggregate['i']).toBe(612n);
    } finally {
      file.close();
    }
  } finally {
    metrics.close();
  }
});
