// The region file of a store that has counted exits and requests, for the command to read.

import { join } from 'node:path';
import { group, inc, latency, perDevice, type SchemaShape, store } from 'vmm-metrics';

import { Model, type Picture } from './model.ts';
import { type RegionOptions, writeRegion } from './region-writer.ts';
import { temporaryFolder } from './workplace.ts';

export const vcpuShape: SchemaShape = {
  vcpu: group({
    exits: inc('KVM exits'),
    level: store('A level', { unit: 'bytes' }),
    time: latency('Time of an exit'),
    idle: inc('Never'),
  }),
  disk: perDevice({ ops: inc('Requests') }),
};

export function vcpuCounted(): { model: Model; before: Picture } {
  const model = new Model(vcpuShape, {});
  const [vcpu] = model.holders;
  vcpu!.bump('exits', 2n ** 64n - 10n);
  const before = model.picture();
  vcpu!.bump('exits', 7n);
  vcpu!.bump('level', 4096n);
  vcpu!.bump('time', 12n);
  vcpu!.bump('time', 1500n);
  model.alloc('disk', 'a\u001b[31m')!.bump('ops', 3n);
  return { model, before };
}

export function vcpuRegion(path: string, options?: RegionOptions): string {
  const { model, before } = vcpuCounted();
  writeRegion(path, model, before, options);
  return path;
}

export const vcpuRegionFile = (options?: RegionOptions) => vcpuRegion(join(temporaryFolder(), 'region'), options);
