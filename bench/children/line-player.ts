// A process that plays random operations and flushes lines: line-player.js SEED LINES FILE. With the same seed, the
// operations are the same in every tree.

import type { IncMetric, LatencyMetric, StoreMetric } from 'vmm-metrics';

import { randomFrom } from '../../test/helpers/random.ts';
import { opened } from '../store.ts';

const [seed, lines, file] = process.argv.slice(2);
const random = randomFrom(Number(seed));
const below = (n: number) => Math.floor(random() * n);
const metrics = await opened();
metrics.init(file!);

/** A random value of 0 to 64 bits, of every length. */
function value(): bigint {
  const bits = BigInt.asUintN(64, (BigInt(below(2 ** 32)) << 32n) | BigInt(below(2 ** 32)));
  return bits >> BigInt(below(65));
}

function bump(metric: IncMetric | StoreMetric | LatencyMetric): void {
  if ('inc' in metric) metric.add(value());
  else if ('store' in metric) metric.store(value());
  else metric.observe(value());
}

const groups = Object.values(metrics.app as object) as object[];
const plain = groups.filter((group) => !('alloc' in group)).flatMap((group) => Object.values(group) as IncMetric[]);
const deviceGroups = groups.filter((group) => 'alloc' in group) as { alloc(id: string): object; remove(id: string): boolean }[];

for (let line = 0; line < Number(lines); line++) {
  for (let i = below(20); i > 0; i--) bump(plain[below(plain.length)]!);
  for (let i = below(6); i > 0; i--) {
    const group = deviceGroups[below(deviceGroups.length)]!;
    const id = `block_${below(12)}`;
    if (random() < 0.2) group.remove(id);
    else bump(Object.values(group.alloc(id))[below(3)] as IncMetric);
  }
  metrics.write();
}
metrics.close();
process.send!('done');
process.disconnect();
