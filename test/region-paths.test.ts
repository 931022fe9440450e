// Which region files the operands of a command stand for, and which names these files get.

import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { findRegions } from '../lib/region/region-paths.ts';
import { regionFile } from './helpers/counted-region.ts';
import { temporaryFolder } from './helpers/workplace.ts';

/** A folder with these region files, and with files that are no regions. */
function tree(files: readonly string[], others: readonly string[] = []): string {
  const folder = temporaryFolder();
  const region = readFileSync(regionFile());
  for (const file of [...files, ...others]) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), others.includes(file) ? 'text' : region);
  }
  return folder;
}

/** The found regions as `name: path below the folder`. */
function found(folder: string, ...operands: string[]): string[] {
  const { regions, failures } = findRegions(operands.map((operand) => join(folder, operand)));
  expect(failures).toEqual([]);
  return regions.map(({ name, path }) => `${name}: ${path.slice(folder.length + 1)}`);
}

const files = [
  'vm0/metrics.region',
  'vm0/log.region',
  'vm1/metrics.region',
  'vm1/metrics.region.previous',
  'vm1/metrics.region.previous.2',
  'deep/er/vm2.region',
  '.hidden/metrics.region',
  'plain',
  'vm1/.metrics.region.tmp', // still being made, so it is never found
];
const others = ['vm0/log.txt', 'README'];

describe('given a folder with region files in depth', () => {
  test.each([
    { operands: ['vm0/metrics.region'], expected: ['vm0: vm0/metrics.region'] },
    { operands: ['deep/er/vm2.region'], expected: ['vm2: deep/er/vm2.region'] },
    { operands: ['README'], expected: ['README: README'] },
    { operands: ['missing.region'], expected: ['missing: missing.region'] },
    { operands: ['vm0'], expected: ['log: vm0/log.region', 'vm0: vm0/metrics.region'] },
    {
      operands: [''],
      expected: [
        '.hidden: .hidden/metrics.region',
        'deep/er/vm2: deep/er/vm2.region',
        'plain: plain',
        'vm0/log: vm0/log.region',
        'vm0: vm0/metrics.region',
        'vm1: vm1/metrics.region',
        'vm1: vm1/metrics.region.previous',
        'vm1: vm1/metrics.region.previous.2',
      ],
    },
    { operands: ['*/metrics.region'], expected: ['vm0: vm0/metrics.region', 'vm1: vm1/metrics.region'] },
    { operands: ['vm*/metrics.region'], expected: ['0: vm0/metrics.region', '1: vm1/metrics.region'] },
    { operands: ['.*/metrics.region'], expected: ['hidden: .hidden/metrics.region'] },
    {
      operands: ['vm1/*'],
      expected: [
        'metrics.region: vm1/metrics.region',
        'metrics.region: vm1/metrics.region.previous',
        'metrics.region: vm1/metrics.region.previous.2',
      ],
    },
    { operands: ['d*/*/vm2.region'], expected: ['eep: deep/er/vm2.region'] },
    { operands: ['deep/*/*.region'], expected: ['er: deep/er/vm2.region'] },
    { operands: ['*0'], expected: ['vm: vm0/log.region', 'vm: vm0/metrics.region'] },
    {
      operands: ['vm*/metrics.region', 'vm1', 'vm0/metrics.region'],
      expected: [
        '0: vm0/metrics.region',
        '1: vm1/metrics.region',
        'vm1: vm1/metrics.region.previous',
        'vm1: vm1/metrics.region.previous.2',
      ],
    },
    { operands: ['none/*', 'plain/*', '*/none', 'vm[0]/*', 'vm?/*'], expected: [] },
  ])('when $operands are looked for, then these regions are found: $expected', ({ operands, expected }) => {
    expect(found(tree(files, others), ...operands)).toEqual(expected);
  });

  test('when a file has a star in its name, then the name is no pattern', () => {
    expect(found(tree(['a*b.region', 'axb.region']), 'a*b.region')).toEqual(['a*b: a*b.region']);
  });

  test('when all operands are files, then the result says so', () => {
    const folder = tree(files);
    const areFiles = (...names: string[]) => findRegions(names.map((name) => join(folder, name))).areFiles;
    expect(areFiles('plain', 'missing')).toBe(true);
    expect(areFiles('plain', 'vm0')).toBe(false);
    expect(areFiles('*')).toBe(false);
  });

  test('when it contains links, then links are followed in a pattern and not inside of a folder', () => {
    const folder = tree(['real/metrics.region']);
    symlinkSync('.', join(folder, 'real/circle'));
    symlinkSync('real', join(folder, 'other'));
    symlinkSync('real/metrics.region', join(folder, 'file'));
    expect(found(folder, '')).toEqual(['real: real/metrics.region']);
    expect(found(folder, '*/metrics.region')).toEqual(['other: other/metrics.region', 'real: real/metrics.region']);
  });

  test('when a file is known, then the file is not opened', () => {
    const folder = tree([], ['known', 'unknown']);
    const { regions } = findRegions([folder], { known: new Set([join(folder, 'known')]) });
    expect(regions.map(({ name }) => name)).toEqual(['known']);
  });

  test('when it has more entries than may be looked at, then that is a failure, and what was found before stays', () => {
    const folder = tree(['a/metrics.region', 'b/metrics.region', 'c/metrics.region']);
    const { regions, failures } = findRegions([folder], { entriesMax: 4 });
    expect(regions.map(({ name }) => name)).toEqual(['a']);
    expect(failures[0]).toEqual({
      path: join(folder, 'b'),
      error: expect.objectContaining({ message: expect.stringContaining('too many') }),
    });
  });

  test.skipIf(process.geteuid!() === 0)('when a folder inside may not be read, then that is a failure of its own', () => {
    const folder = tree(['a/metrics.region', 'b/metrics.region']);
    chmodSync(join(folder, 'a'), 0);
    const { regions, failures } = findRegions([folder]);
    expect(regions.map(({ name }) => name)).toEqual(['b']);
    expect(failures.map(({ path }) => path)).toEqual([join(folder, 'a')]);
    chmodSync(join(folder, 'a'), 0o700);
  });
});
