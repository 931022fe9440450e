// The region file of a store that has counted, flushed and counted again, and the error of a reader that refuses it.

import { join } from 'node:path';
import { group, inc, latency, perDevice, type SchemaShape, store, utcTimestampMs } from 'vmm-metrics';

import { readBothWays } from './both-readers.ts';
import { Model, type Picture } from './model.ts';
import { type RegionOptions, writeRegion } from './region-writer.ts';
import { temporaryFolder } from './workplace.ts';

export const shape: SchemaShape = {
  at: utcTimestampMs(),
  g: group({ hits: inc('hits'), level: store('level'), time: latency('time') }),
  disk: perDevice({ ops: inc('ops'), time: latency('time') }),
};

/** A store that has counted, flushed and counted again. */
export function counted(): { model: Model; before: Picture } {
  const model = new Model(shape, { id: 'vm0' });
  const [g] = model.holders;
  const disk = model.alloc('disk', 'a')!;
  g!.bump('hits', 5n);
  disk.bump('ops', 2n);
  disk.bump('time', 30n);
  const before = model.picture();
  g!.bump('hits', 2n);
  g!.bump('level', 9n);
  disk.bump('ops', 1n);
  disk.bump('time', 10n);
  return { model, before };
}

export function regionFile(options?: RegionOptions): string {
  const path = join(temporaryFolder(), 'region');
  const { model, before } = counted();
  writeRegion(path, model, before, options);
  return path;
}

export const refused = (path: string) =>
  readBothWays(path).then(
    () => undefined,
    (error: unknown) => error as Error & { code: string; cause?: unknown },
  );
