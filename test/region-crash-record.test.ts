// A reader that reads a region while its process dies.

import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { RegionFile } from '../lib/region/file.ts';
import { HeaderOffset, RegionStateNumber } from '../lib/region/format.ts';
import { readHeader } from '../lib/region/header.ts';
import { regionFile } from './helpers/counted-region.ts';
import { temporaryFolder } from './helpers/workplace.ts';

const { SIGSEGV } = constants.signals;

test('given a header whose first read saw the state before the crash record, when it is read, then it has the whole record', () => {
  const bytes = readFileSync(regionFile());
  const path = join(temporaryFolder(), 'crashed.region');
  bytes.writeUInt32LE(RegionStateNumber.crashed, HeaderOffset.state);
  bytes.writeUInt32LE(SIGSEGV, HeaderOffset.crash);
  writeFileSync(path, bytes);
  const file = RegionFile.open(path);
  const read = file.read.bind(file);
  // One read has no order inside: this one copies the record before the process writes the record.
  file.read = (into, offset, ...rest) => {
    const there = read(into, offset, ...rest);
    if (offset === 0) into.fill(0, HeaderOffset.crash, HeaderOffset.line);
    return there;
  };
  try {
    expect(readHeader(file)).toMatchObject({ state: 'crashed', crash: { signal: 'SIGSEGV' } });
  } finally {
    file.close();
  }
});
