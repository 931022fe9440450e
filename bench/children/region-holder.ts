// A process with a region of the Firecracker schema and 35 devices: region-holder.js FILE [counting]. With the second
// argument, the process increments metrics without pause.

import { COUNTED } from '../profile-names.ts';
import { counters, opened, plugDevices } from '../store.ts';

const [file, mode] = process.argv.slice(2);
const metrics = await opened(file);
plugDevices(metrics);
for (const { metric } of counters(metrics, Number.POSITIVE_INFINITY)) metric.inc();
process.on('disconnect', () => process.exit());
process.send!('ready');

const counted = COUNTED.map((name) => metrics.app.vcpu[name]);
const count = () => {
  for (let i = 0; i < 500_000; i++) for (const metric of counted) metric.inc();
  setImmediate(count);
};
if (mode === 'counting') count();
