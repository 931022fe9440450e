// Reads a region in both ways: once with readRegion(), and several times with two readers that keep the file open
// between the readings of this path. One of these readers uses native code, and the other does not. All must give the
// same result, or the same error.

import { afterAll, expect } from 'vitest';
import { type RegionReading, readRegion } from 'vmm-metrics';

import { KeptRegion } from '../../lib/region/kept-region.ts';
import { readingOf } from '../../lib/region/reader.ts';

const kept = new Map<string, KeptRegion[]>();
afterAll(() => {
  for (const region of [...kept.values()].flat()) region.close();
});
/** The second reading finds the same devices, so native code may do the third. */
const TIMES = 3;

/** Reads a region whose writer is gone or waits. */
export async function readBothWays(path: string): Promise<RegionReading> {
  const regions = kept.get(path) ?? [true, false].map((native) => new KeptRegion(path, { native }));
  kept.set(path, regions);
  const again = regions.flatMap((region) => Array.from({ length: TIMES }, () => outcomeOf(() => plainOf(readingOf(path, region.read())))));
  const once = await readRegion(path).then(
    (reading) => ({ reading }),
    (error: Error) => ({ error }),
  );
  const expected = 'error' in once ? { error: once.error.message } : outcomeOf(() => plainOf(once.reading));
  for (const outcome of again) expect(outcome).toEqual(expected);
  if ('error' in once) throw once.error;
  return once.reading;
}

function plainOf({ line, collect, ...reading }: RegionReading): object {
  return { ...reading, collected: collect(), line: outcomeOf(() => line(5)) };
}

function outcomeOf<T>(make: () => T): { made: T } | { error: string } {
  try {
    return { made: make() };
  } catch (error) {
    return { error: (error as Error).message };
  }
}
