// DoubleInc against OwnInc: the counters for Bun, on this Node.

import { expect, test } from 'vitest';

import { DoubleInc } from '../lib/accessors/double-inc.ts';
import { OwnInc } from '../lib/accessors/inc.ts';
import type { ThreadCells } from '../lib/thread-cells.ts';

test.each([
  0n,
  1n,
  2n ** 32n - 1n,
  2n ** 52n - 2n,
  2n ** 52n - 1n,
  2n ** 52n,
  2n ** 53n - 2n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 62n,
  0x7fefffffffffffffn, // the largest double
  0x7ff0000000000000n, // infinity
  0x7ff0000000000001n, // not a number
  0xfff8000000000000n,
  2n ** 63n, // -0
  2n ** 64n - 2n,
  2n ** 64n - 1n,
])('given a counter at %d, when it counts in doubles, then it has the counts of one that counts in integers', (start) => {
  const made = [OwnInc, DoubleInc].map((Inc) => {
    const view = new BigUint64Array([7n, start, 9n]);
    const cells = { own: () => ({ view, index: 1, halves: new Int32Array(view.buffer) }) } as unknown as ThreadCells;
    const metric = new Inc(cells, 1);
    const seen: bigint[] = [];
    for (const step of [0, 1, 3, 2 ** 32 - 1, 2 ** 32, 5n, 2 ** 53 - 1]) {
      metric.inc();
      seen.push(view[1]!);
      metric.add(step);
      seen.push(view[1]!);
      expect(() => metric.add(-1)).toThrow(RangeError);
    }
    return [...seen, view[0], view[2]];
  });
  expect(made[1]).toEqual(made[0]);
});
