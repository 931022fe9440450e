// A line in flight is settled once, and again only if something changed.

import { appendFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { group, inc } from 'vmm-metrics';

import type { RegionHeader } from '../lib/region/header.ts';
import { KeptRegion } from '../lib/region/kept-region.ts';
import { KnownSettlement } from '../lib/region/known-settlement.ts';
import type { Settlement } from '../lib/region/settlement.ts';
import { Model, NOTHING } from './helpers/model.ts';
import { writeRegion } from './helpers/region-writer.ts';
import { temporaryFolder } from './helpers/workplace.ts';

test('given a line in flight, when it is asked for many times, then it is settled once for each state of line, process and sink', () => {
  const sinkPath = join(temporaryFolder(), 'sink');
  const line = { commit: 6n, device: 1n, inode: 2n, offset: 0n, bytes: 10n, sent: 0n, isRegularFile: true };
  let header = { pid: 1, startTicks: 1n, bootId: 'boot', commit: 1n, line, sinkPath } as RegionHeader;
  const known = new KnownSettlement();
  let times = 0;
  const find = () => (++times % 2 === 0 ? 'out' : 'pending');
  const changes = [
    () => {},
    () => writeFileSync(sinkPath, 'a'),
    () => appendFileSync(sinkPath, 'b'),
    () => rmSync(sinkPath),
    () => (header = { ...header, pid: 2 }),
    () => (header = { ...header, commit: 2n }),
    () => (header = { ...header, line: { ...line, sent: 3n } }),
  ];
  for (const [i, change] of changes.entries()) {
    change();
    for (let again = 0; again < 3; again++) expect(known.of(header, find)).toBe(i % 2 === 0 ? 'pending' : 'out');
    expect(times).toBe(i + 1);
  }
});

test('given a line in flight, when an error keeps a reader from settling it, then the next reading tries again', () => {
  const sinkPath = join(temporaryFolder(), 'sink');
  const line = { commit: 6n, device: 1n, inode: 2n, offset: 0n, bytes: 10n, sent: 0n, isRegularFile: true };
  const header = { pid: 1, startTicks: 1n, bootId: 'boot', commit: 1n, line, sinkPath } as RegionHeader;
  const known = new KnownSettlement();
  const found: Settlement[] = ['unknown', 'unknown', 'out', 'pending'];
  expect(Array.from({ length: 4 }, () => known.of(header, () => found.shift()!))).toEqual(['unknown', 'unknown', 'out', 'out']);
});

test('given a dead process whose line was in flight, when its sink has the line only after some readings, then the next reading says so', () => {
  const folder = temporaryFolder();
  const [path, sinkPath] = [join(folder, 'region'), join(folder, 'sink')];
  writeFileSync(sinkPath, '');
  const model = new Model({ g: group({ n: inc('n') }) }, {});
  model.holders[0]!.bump('n', 3n);
  const text = `${model.line(model.picture(), NOTHING).join('3')}\n`;
  const { dev, ino } = statSync(sinkPath, { bigint: true });
  const line = { picture: model.picture(), device: dev, inode: ino, offset: 0n, bytes: BigInt(text.length), isRegularFile: true };
  writeRegion(path, model, NOTHING, { sinkPath, line });
  const region = new KeptRegion(path);
  onTestFinished(() => region.close());
  const readings = () => Array.from({ length: 3 }, () => region.read().settlement);
  expect(readings()).toEqual(['pending', 'pending', 'pending']);
  appendFileSync(sinkPath, text);
  expect(readings()).toEqual(['out', 'out', 'out']);
});
