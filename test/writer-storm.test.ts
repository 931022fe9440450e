// All that may count, at once, in a process with JavaScript. test/native/writer_storm_test.cc does the same without
// Node, and under ThreadSanitizer. VMM_METRICS_SOAK_SECONDS sets the duration, which is 10 seconds at most.

import { expect, test } from 'vitest';

import { runChild } from './helpers/children.ts';
import { HANG_MS } from './helpers/limits.ts';
import { soakNumber } from './helpers/soak.ts';
import { linesIn, sumOf, temporaryFolder } from './helpers/workplace.ts';

const seconds = Math.min(soakNumber('SECONDS', 1), 10);

test(
  'given 16 native threads and 4 workers on one metric, when signals hit all threads and their handlers count too, then each add counts',
  { timeout: 2 * HANG_MS },
  async () => {
    const sink = `${temporaryFolder()}/lines`;
    const { code, stdout, stderr } = await runChild('writer-storm.mjs', [sink, String(seconds)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { codes, added, counted } = JSON.parse(stdout) as { codes: number[]; added: string; counted: string };
    expect(codes).toEqual([0, 0, 0, 0]);
    expect(counted).toBe(added);
    expect(sumOf(linesIn(sink), 'g.n')).toBe(BigInt(counted));
  },
);
