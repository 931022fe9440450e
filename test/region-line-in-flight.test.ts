// readRegion() of a process that was killed with a line in flight: the sink shows whether the line is out.

import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readRegion } from 'vmm-metrics';

import { counted } from './helpers/counted-region.ts';
import { type RegionOptions, writeRegion } from './helpers/region-writer.ts';
import { temporaryFolder } from './helpers/workplace.ts';

describe('given a line in flight', () => {
  /** A region whose third bank holds a later picture, and the text of its line. */
  function withLine(sink: string, line: Partial<NonNullable<RegionOptions['line']>> = {}) {
    const path = join(temporaryFolder(), 'region');
    const { model, before } = counted();
    const picture = model.picture();
    const text = `${model.line(picture, before).join('1700000000000')}\n`;
    model.holders[0]!.bump('hits', 100n);
    const { dev, ino } = statSync(sink, { bigint: true });
    const record = { picture, device: dev, inode: ino, isRegularFile: true, offset: 0n, bytes: BigInt(text.length), ...line };
    writeRegion(path, model, before, { line: record, sinkPath: sink, lines: 4n });
    return { path, text };
  }
  function sinkFile(text = ''): string {
    const sink = join(temporaryFolder(), 'lines');
    writeFileSync(sink, text);
    return sink;
  }
  const pendingHits = async (path: string) => {
    const { pending, lineInFlight, linesFlushed } = await readRegion(path);
    return { hits: (pending['g'] as { hits: bigint }).hits, lineInFlight, linesFlushed };
  };
  const OUT = { hits: 100n, lineInFlight: 'out', linesFlushed: 5n };
  const PENDING = { hits: 102n, lineInFlight: 'pending', linesFlushed: 4n };

  test.each([
    { where: 'where it was to be', found: (line: string) => line, expected: OUT },
    { where: 'behind a newline', found: (line: string) => `\n${line}`, expected: OUT },
    { where: 'behind lines of others', found: (line: string) => `{"at":1}\n{"other":2}\n${line}`, expected: OUT },
    { where: 'with another time', found: (line: string) => line.replace('1700000000000', '1'), expected: OUT },
    { where: 'nowhere', found: () => '', expected: PENDING },
    { where: 'there in part', found: (line: string) => line.slice(0, -1), expected: PENDING },
    { where: 'there with other numbers', found: (line: string) => line.replace('"hits":2', '"hits":3'), expected: PENDING },
    { where: 'there with a time that is none', found: (line: string) => line.replace('1700000000000', '17e2'), expected: PENDING },
  ])('when it is $where in the sink, then lineInFlight is $expected.lineInFlight', async ({ found, expected }) => {
    const sink = sinkFile();
    const { path, text } = withLine(sink);
    writeFileSync(sink, found(text));
    expect(await pendingHits(path)).toEqual(expected);
  });

  test('when the sink has an equal line before the recorded offset, then that is an earlier line', async () => {
    const sink = sinkFile();
    const { text } = withLine(sink);
    writeFileSync(sink, `${text}${'{}\n'.repeat(1000)}`);
    const { path } = withLine(sink, { offset: BigInt(text.length) });
    expect(await pendingHits(path)).toEqual(PENDING);
  });

  test('when the record names a length that no line has, and the sink is huge, then no more is searched than a line can have', async () => {
    const sink = sinkFile();
    truncateSync(sink, 2 ** 42);
    expect(await pendingHits(withLine(sink, { bytes: 2n ** 62n }).path)).toEqual(PENDING);
  });

  test('when the sink is another file by now, then the result is unknown, unless the kernel took the whole line', async () => {
    const sink = sinkFile();
    const { path, text } = withLine(sink, { inode: 1n });
    writeFileSync(sink, text);
    expect(await pendingHits(path)).toEqual({ ...PENDING, lineInFlight: 'unknown' });
    expect(await pendingHits(withLine(sink, { inode: 1n, sent: BigInt(text.length) }).path)).toEqual(OUT);
  });

  test.each([
    { what: 'of an earlier line', commit: (4n << 2n) | 1n },
    { what: 'of a line that is long to come', commit: (6n << 2n) | 1n },
    { what: 'of the bank that is flushed', commit: 5n << 2n },
    { what: 'of no bank', commit: (5n << 2n) | 3n },
  ])('when the record is $what, then no line was in flight', async ({ commit }) => {
    const sink = sinkFile();
    const { path, text } = withLine(sink);
    writeFileSync(sink, text);
    const bytes = readFileSync(path);
    bytes.writeBigUInt64LE(commit, 184);
    writeFileSync(path, bytes);
    expect(await pendingHits(path)).toEqual({ ...PENDING, lineInFlight: undefined });
  });

  test('when the sink is a pipe, then the line is out if the pipe took all of it', async () => {
    const sink = sinkFile();
    const { text } = withLine(sink);
    const bytes = BigInt(text.length);
    expect(await pendingHits(withLine(sink, { isRegularFile: false, sent: bytes }).path)).toEqual(OUT);
    expect(await pendingHits(withLine(sink, { isRegularFile: false, sent: bytes - 1n }).path)).toEqual({
      ...PENDING,
      lineInFlight: 'unknown',
    });
  });
});
