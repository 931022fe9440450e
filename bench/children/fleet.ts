// A process with many virtual machines of the Firecracker schema, with 35 devices each, whose counters rise:
// fleet.js FOLDER FIRST COUNT. Their region files are FOLDER/vmN/metrics.region.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { plugDevices } from '../store.ts';
import { underTest } from '../tree.ts';

const [folder, first, count] = process.argv.slice(2);
const { Metrics, firecracker } = await underTest();
const fleet = Array.from({ length: Number(count) }, (_, i) => {
  const number = Number(first) + i;
  const own = join(folder!, `vm${number}`);
  mkdirSync(own, { recursive: true });
  const metrics = Metrics.open(firecracker, {
    name: `vm${number}`,
    file: join(own, 'metrics.region'),
    id: `i-${(number * 7919).toString(16)}`,
    properties: { customer: `${number % 11}`, zone: number % 3 === 0 ? 'a' : 'b' },
  });
  plugDevices(metrics);
  return metrics;
});
setInterval(() => {
  for (const [i, { app }] of fleet.entries()) app.vcpu.exit_io_out.add(BigInt(1 + (i % 100)));
}, 500);
process.on('disconnect', () => process.exit());
process.send!('ready');
