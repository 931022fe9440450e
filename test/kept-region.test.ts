// A reader that keeps the file of a region open and reads it many times: what may happen to the file between two
// readings, and what the reader keeps. The other tests of readers check that both ways of reading agree.

import { randomBytes, randomInt } from 'node:crypto';
import { chownSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defineSchema, group, inc, latency, Metrics, perDevice, readRegion } from 'vmm-metrics';

import { KeptRegion } from '../lib/region/kept-region.ts';
import { KeptRegions } from '../lib/region/kept-regions.ts';
import { readingOf } from '../lib/region/reader.ts';
import { readBothWays } from './helpers/both-readers.ts';
import { counted, regionFile } from './helpers/counted-region.ts';
import { descriptorsOf } from './helpers/descriptors.ts';
import { Model, NOTHING, type Picture } from './helpers/model.ts';
import { writeRegion } from './helpers/region-writer.ts';
import { freshName, temporaryFolder } from './helpers/workplace.ts';

/** How many descriptors of a file this process has, even if the file was removed. */
const openOf = (path: string) => descriptorsOf(path).length;

/** A region that was read three times. If `native` is true, the next reading is by native code. */
function kept(path: string, native = true): KeptRegion {
  const region = new KeptRegion(path, { native });
  onTestFinished(() => region.close());
  for (let i = 0; i < 3; i++) region.read();
  expect(region.known !== undefined).toBe(native);
  return region;
}

describe.each([{ native: true }, { native: false }])('given a region that is read again, with native code: $native', ({ native }) => {
  test('when its process has counted, flushed, and added devices meanwhile, then the reading shows the changes', async () => {
    const path = join(temporaryFolder(), 'region');
    const model = new Model({ g: group({ n: inc('n') }), d: perDevice({ n: inc('n') }) }, {});
    let before: Picture = NOTHING;
    let lines = 1n;
    const written = async () => {
      writeRegion(path, model, before, { lines });
      const { values, linesFlushed, line } = await readBothWays(path);
      expect(values).toEqual(model.snapshot());
      expect(linesFlushed).toBe(lines);
      expect(line(3)).toBe(`${model.line(model.picture(), before).join('3')}\n`);
    };
    await written();
    model.holders[0]!.bump('n', 3n);
    await written();
    before = model.picture();
    lines++;
    await written();
    for (const id of ['b', 'a']) model.alloc('d', id)!.bump('n', 2n);
    await written();
    model.holders.at(-1)!.bump('n', 2n);
    await written();
    model.remove('d', 'b');
    await written();
  });

  test('when another file took its name, then the new file is read, and no descriptor of the old file stays open', () => {
    const path = regionFile({ pid: 1 });
    const region = kept(path, native);
    renameSync(regionFile({ pid: 2 }), path);
    expect(region.read().header.pid).toBe(2);
    expect(openOf(path)).toBe(1);
  });

  test('when the next process renamed it and took its name, then the region of the next process is read', () => {
    const path = regionFile({ pid: 1 });
    const region = kept(path, native);
    region.read();
    renameSync(path, `${path}.previous`);
    expect(() => region.read()).toThrow('ENOENT');
    expect(openOf(path)).toBe(0);
    renameSync(regionFile({ pid: 2 }), path);
    expect(region.read().header.pid).toBe(2);
  });

  test('when another process wrote its region into the same file, then the new document is read too', async () => {
    const path = regionFile({ pid: 1, name: 'first' });
    expect((await readBothWays(path)).name).toBe('first');
    writeFileSync(path, readFileSync(regionFile({ pid: 2, name: 'other' })));
    expect((await readBothWays(path)).name).toBe('other');
  });

  test('when it is removed, then read() throws, and its descriptor is closed', () => {
    const path = regionFile();
    const region = kept(path, native);
    region.read();
    rmSync(path);
    expect(() => region.read()).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_REGION', cause: expect.objectContaining({ code: 'ENOENT' }) }),
    );
    expect(openOf(path)).toBe(0);
  });

  test('when it is cut short, then read() throws until the file is whole again', () => {
    const path = regionFile();
    const whole = readFileSync(path);
    const region = kept(path, native);
    region.read();
    truncateSync(path, whole.length - 4096);
    for (let i = 0; i < 2; i++) expect(() => region.read()).toThrow(/cut short: only \d+ of its \d+ bytes are there/);
    // Cut the file behind the last cell, where there is no value.
    writeFileSync(path, whole);
    for (let i = 0; i < 3; i++) region.read();
    truncateSync(path, whole.length - 8);
    expect(() => region.read()).toThrow(`cut short: only ${whole.length - 8} of its ${whole.length} bytes are there`);
    truncateSync(path, 100);
    expect(() => region.read()).toThrow('cut short');
    writeFileSync(path, whole);
    expect(region.read().header.pid).toBe(4242);
  });

  test('when its rows get any words, then they are combined as readRegion() combines them', async () => {
    const path = regionFile({ shards: 3 });
    const region = kept(path, native);
    const rows = readFileSync(path);
    const chunks = Number(rows.readBigUInt64LE(56));
    for (let times = 0; times < 20; times++) {
      for (const row of [0, 37, 38, 39]) {
        for (let cell = 0; cell < 512; cell++) {
          rows.writeBigUInt64LE(randomBytes(8).readBigUInt64LE() >> BigInt(randomInt(65)), chunks + row * 4096 + cell * 8);
        }
      }
      writeFileSync(path, rows);
      const { values, pending } = readingOf(path, region.read());
      expect({ values, pending }).toEqual(((reading) => ({ values: reading.values, pending: reading.pending }))(await readRegion(path)));
      expect(region.known !== undefined).toBe(native);
    }
  });

  test('when a link took its name, then the link is refused', () => {
    const path = regionFile();
    const region = kept(path, native);
    region.read();
    renameSync(path, `${path}.previous`);
    symlinkSync(`${path}.previous`, path);
    expect(() => region.read()).toThrow('it is a symbolic link');
  });
});

describe('given a store of a running process, read by native code', () => {
  test('when it counts, flushes, and plugs devices, then each reading is that of readRegion()', async () => {
    const file = join(temporaryFolder(), 'region');
    const sink = join(temporaryFolder(), 'lines');
    const schema = defineSchema({ g: group({ n: inc('n'), time: latency('time') }), d: perDevice({ n: inc('n') }) });
    const metrics = Metrics.open(schema, { name: freshName(), file });
    onTestFinished(() => metrics.close());
    metrics.init(sink);
    const region = kept(file);
    const same = async () => {
      const { known } = region;
      const { line, collect, ...reading } = readingOf(file, region.read());
      const { line: expectedLine, collect: expectedCollect, ...expected } = await readRegion(file);
      expect(reading).toEqual(expected);
      expect(collect()).toEqual(expectedCollect());
      expect(line(1)).toBe(expectedLine(1));
      return known !== undefined && known === region.known;
    };
    metrics.app.g.n.add(5n);
    metrics.app.g.time.observe(7n);
    expect(await same()).toBe(true);
    metrics.write();
    expect(await same()).toBe(true);
    metrics.app.g.n.inc();
    metrics.write();
    expect(await same()).toBe(true);
    metrics.app.d.alloc('a').n.inc();
    expect(await same()).toBe(false);
    await same();
    expect(await same()).toBe(true);
    metrics.app.d.remove('a');
    expect(await same()).toBe(false);
  });
});

describe('given many regions', () => {
  test('when more regions are read than may stay open, then all are read, and the most recently read ones stay open', () => {
    const folder = temporaryFolder();
    const paths = ['a', 'b', 'c'].map((name, i) => {
      const path = join(folder, name);
      renameSync(regionFile({ pid: i + 1 }), path);
      return path;
    });
    const regions = new KeptRegions({ openMax: 2 });
    onTestFinished(() => regions.close());
    const open = () => paths.map(openOf);
    const [a, b, c] = paths as [string, string, string];
    for (const path of [a, b, a, c]) regions.read(path);
    expect(open()).toEqual([1, 0, 1]);
    expect(regions.read(b).header.pid).toBe(2);
    expect(open()).toEqual([0, 1, 1]);
    regions.close();
    expect(open()).toEqual([0, 0, 0]);
  });

  test('when all are read at once, then each is as it is by now, or its own error', () => {
    const paths = [1, 2, 3, 4, 5, 6].map((pid) => regionFile({ pid }));
    const [, flushed, replaced, removed, damaged, held] = paths as [string, string, string, string, string, string];
    const regions = new KeptRegions();
    onTestFinished(() => regions.close());
    const read = () =>
      [...regions.readAll(paths)].map(({ path, content, error }) => [path, content?.header.pid ?? (error as Error).message]);
    for (let i = 0; i < 3; i++) expect(read()).toEqual(paths.map((path, at) => [path, at + 1]));
    const { model } = counted();
    writeRegion(flushed, model, model.picture(), { pid: 2, lines: 9n });
    renameSync(regionFile({ pid: 33 }), replaced);
    rmSync(removed);
    writeFileSync(damaged, readFileSync(damaged).fill(0xff, 128, 136));
    expect(read()).toEqual([
      [paths[0], 1],
      [flushed, 2],
      [replaced, 33],
      [removed, expect.stringContaining('ENOENT')],
      [damaged, expect.stringContaining('commit is')],
      [held, 6],
    ]);
    const content = [...regions.readAll([flushed])][0]!.content!;
    expect(readingOf(flushed, content)).toMatchObject({ linesFlushed: 9n, hasPending: false });
  });

  test.runIf(process.getuid!() === 0)('when one is given to another user, then only a reader of all users goes on reading it', () => {
    const path = regionFile();
    const regions = (['usual', 'own', 'any'] as const).map((owners) => new KeptRegions({ owners }));
    onTestFinished(() => regions.forEach((one) => void one.close()));
    const read = () =>
      regions.map((one) => {
        const { content, error } = [...one.readAll([path])][0]!;
        return content?.header.pid ?? (error as Error).message;
      });
    for (let i = 0; i < 3; i++) expect(read()).toEqual([4242, 4242, 4242]);
    chownSync(path, 4321, 4321);
    const theirs = expect.stringContaining('it belongs to user 4321, but this process runs as user 0');
    for (let i = 0; i < 3; i++) expect(read()).toEqual([4242, theirs, 4242]);
  });

  test('when one region has many values, then it does not stay open beside others', () => {
    const [small, large] = [regionFile(), regionFile()];
    const model = new Model({ d: perDevice({ n: inc('n') }) }, {});
    for (let i = 0; i < 100; i++) model.alloc('d', `${i}`);
    writeRegion(large, model, NOTHING);
    const regions = new KeptRegions({ openMax: 10, valuesMax: 50 });
    onTestFinished(() => regions.close());
    for (const path of [large, small]) regions.read(path);
    expect([small, large].map(openOf)).toEqual([1, 0]);
  });

  test('when one region cannot be read, then its file is closed, and the others can still be read', () => {
    const [good, bad] = [regionFile(), regionFile()];
    const regions = new KeptRegions();
    onTestFinished(() => regions.close());
    for (const path of [good, bad]) regions.read(path);
    writeFileSync(bad, readFileSync(bad).fill(0xff, 64, 256));
    expect(() => regions.read(bad)).toThrow('its header is damaged');
    expect(regions.read(good).header.pid).toBe(4242);
    expect([good, bad].map(openOf)).toEqual([1, 0]);
  });

  test('when their documents differ only around the schema, then they share the schema', () => {
    const [one, other] = [regionFile({ name: 'one "1"' }), regionFile({ name: 'other' })].map((path) => kept(path).read());
    expect(other!.document.schema).toBe(one!.document.schema);
    expect([one!.document.name, other!.document.name]).toEqual(['one "1"', 'other']);
  });

  test('when a document contains a second schema, then no other document gets that schema', () => {
    const shape = { g: group({ mine: inc('mine') }) };
    const model = new Model(shape, {});
    const [hostile, honest] = [regionFile(), regionFile()];
    const another = JSON.stringify({ g: group({ yours: inc('yours') }) });
    const document = `{"name":"x","schema":${JSON.stringify(shape)},"schema":${another}}`;
    const tail = (text: string) => `{"name":"x","schema":${JSON.stringify(shape)}${text}`;
    writeRegion(hostile, model, NOTHING, { document });
    expect(() => new KeptRegion(hostile).read()).toThrow('its schema does not match its fingerprint');
    writeRegion(honest, model, NOTHING);
    expect(kept(honest).read().document.schema.shape).toEqual(shape);
    // The schema is known by now. The text around it is still checked.
    for (const text of ['', ',}', ',"id":3}', ',"more":1}', '}}', ',"schema":3}', ',"id":"a"']) {
      writeRegion(hostile, model, NOTHING, { document: tail(text) });
      expect(() => new KeptRegion(hostile).read(), text).toThrow(`Region file '${hostile}': its document is damaged`);
    }
    writeRegion(hostile, model, NOTHING, { document: tail(',"properties":{"a":"b"},"id":"c"}') });
    expect(kept(hostile).read().document.identity).toEqual({ id: 'c', properties: { a: 'b' } });
  });
});
