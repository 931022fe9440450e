// The rows that `show` and `watch` print, compared with readRegion() of the same region.

import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type DeviceValues,
  type Fields,
  type FieldValues,
  group,
  HistogramValue,
  histogram,
  inc,
  latency,
  perDevice,
  type RegionReading,
  readRegion,
} from 'vmm-metrics';

import { type MetricRow, rowsOf } from '../lib/cli/rows.ts';
import { plain } from '../lib/cli/terminal-text.ts';
import { WatchSources, watchedRows } from '../lib/cli/watch-sources.ts';
import { KeptRegion } from '../lib/region/kept-region.ts';
import { anyPlacing, anyStore, lived } from './helpers/any-region.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { writeRegion } from './helpers/region-writer.ts';
import { temporaryFolder } from './helpers/workplace.ts';

type Numbers = Pick<MetricRow, 'section' | 'name' | 'total' | 'pending' | 'min' | 'max'>;
type Values = FieldValues<Fields>;

/** The rows of a group or of a device. */
const sectionOf = (section: string, fields: Fields, values: Values, pending: Values, hasExtremes = true): Numbers[] =>
  Object.entries(fields).map(([name, { kind }]) => {
    const [value, delta] = [values[name]!, pending[name]!];
    if (typeof value === 'bigint')
      return { section, name, total: value, pending: kind === 'store' ? undefined : (delta as bigint), ...NO_EXTREMES };
    if (value instanceof HistogramValue) {
      const extremes = hasExtremes ? { min: value.min, max: value.max } : NO_EXTREMES;
      return { section, name, total: value.sum, pending: (delta as typeof value).sum, ...extremes };
    }
    const extremes = hasExtremes ? { min: value.min_us, max: value.max_us } : NO_EXTREMES;
    return { section, name, total: value.sum_us, pending: (delta as typeof value).sum_us, ...extremes };
  });
const NO_EXTREMES = { min: undefined, max: undefined };

/** All rows but those of removed devices. */
const expectedOf = ({ schema, values, pending }: RegionReading): Numbers[] =>
  Object.entries(schema.shape).flatMap(([key, def]) => {
    if (def.kind === 'utcTimestampMs') return [];
    if (def.kind === 'group') return sectionOf(key, def.fields, values[key] as Values, pending[key] as Values);
    const [now, open] = [values[key] as DeviceValues<Fields>, pending[key] as DeviceValues<Fields>];
    const ids = Object.keys(now.devices).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const devices = ids.flatMap((id) => sectionOf(`${key} ${plain(id)}`, def.fields, now.devices[id]!, open.devices[id]!));
    if (!def.aggregate) return devices;
    return [
      ...devices,
      ...sectionOf(`${key}, all devices`, def.fields, now.aggregate, open.aggregate, def.latencyAggregate === 'extremum'),
    ];
  });

const numbersOf = ({ section, name, total, pending, min, max }: MetricRow): Numbers => ({ section, name, total, pending, min, max });
const isRemoved = ({ section }: Numbers) => section.endsWith(', removed devices');

test('given any region, when its rows are made, then they have the values of its reading, and rows of zeros can be left out', async () => {
  const path = join(temporaryFolder(), 'region');
  let pid = 1;
  await fc.assert(
    fc.asyncProperty(anyStore, anyPlacing, async (store, placing) => {
      const { model, before } = lived(store);
      writeRegion(path, model, before, { ...placing, pid: ++pid });
      const region = new KeptRegion(path);
      const content = region.read();
      region.close();
      const all = rowsOf(content, { zeros: true });
      expect(all.hidden).toBe(0);
      expect(all.rows.map(numbersOf).filter((row) => !isRemoved(row))).toEqual(expectedOf(await readRegion(path)));
      const some = rowsOf(content, { zeros: false });
      expect(some.rows).toEqual(all.rows.filter(({ total, max }) => total !== 0n || (max ?? 0n) !== 0n));
      expect(some.rows.length + some.hidden).toBe(all.rows.length);
    }),
    { numRuns: 100, interruptAfterTimeLimit: 8000 },
  );
}, 60_000);

test('given a histogram, when only a removed device has counted, then the extremes are those of the buckets', () => {
  const path = join(temporaryFolder(), 'region');
  const model = new Model({ d: perDevice({ size: histogram('size', { unit: 'bytes', max: 5000 }) }) }, {});
  const device = model.alloc('d', 'a')!;
  model.remove('d', 'a');
  device.bump('size', 1n);
  writeRegion(path, model, NOTHING);
  const region = new KeptRegion(path);
  const { rows } = rowsOf(region.read(), { zeros: false });
  region.close();
  expect(rows.map(numbersOf)).toEqual([{ section: 'd, all devices', name: 'size', total: 1n, pending: 1n, min: 0n, max: 1n }]);
});

test('given a group without an aggregate, when devices were removed, then a section shows their counts', () => {
  const path = join(temporaryFolder(), 'region');
  const model = new Model({ d: perDevice({ n: inc('n'), time: latency('time') }, { aggregate: false }) }, {});
  for (const [i, id] of ['a', 'b', 'c'].entries()) {
    const device = model.alloc('d', id)!;
    device.bump('n', BigInt(i + 1));
    device.bump('time', 10n);
  }
  for (const id of ['a', 'b']) model.remove('d', id);
  writeRegion(path, model, NOTHING);
  const region = new KeptRegion(path);
  const { rows } = rowsOf(region.read(), { zeros: false });
  region.close();
  expect(rows.filter(isRemoved).map(numbersOf)).toEqual([
    { section: 'd, removed devices', name: 'n', total: 3n, pending: 3n, ...NO_EXTREMES },
    { section: 'd, removed devices', name: 'time', total: 20n, pending: 20n, ...NO_EXTREMES },
  ]);
});

test('given a region that is watched, when devices come and go, then the rates of the other devices stay right', () => {
  const path = join(temporaryFolder(), 'region');
  const model = new Model({ g: group({ n: inc('n') }), d: perDevice({ n: inc('n') }) }, {});
  model.alloc('d', 'b')!.bump('n', 1n);
  const sources = new WatchSources([path]);
  /** How much the counters rose between two readings, by section. */
  const risen = () => {
    writeRegion(path, model, NOTHING);
    sources.refresh();
    const [source] = sources.all;
    const { rows } = watchedRows(source!, true);
    return Object.fromEntries(
      rows.map(({ section, rate }) => [section, rate === undefined ? undefined : Math.round(rate * source!.seconds)]),
    );
  };
  expect(risen()).toEqual({ g: undefined, 'd b': undefined, 'd, all devices': undefined });
  model.holders[0]!.bump('n', 5n);
  expect(risen()).toEqual({ g: 5, 'd b': 0, 'd, all devices': 0 });
  model.holders.at(-1)!.bump('n', 2n);
  expect(risen()).toEqual({ g: 0, 'd b': 2, 'd, all devices': 2 });
  model.holders.at(-1)!.bump('n', 3n);
  model.alloc('d', 'a')!.bump('n', 7n);
  expect(risen()).toEqual({ g: 0, 'd a': undefined, 'd b': 3, 'd, all devices': 10 });
  sources.close();
});
