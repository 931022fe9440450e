// A process that says when it dies: crasher.js <fifo> <file for the time> <where>.

import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

import { addon } from './addon.ts';

const [fifo, fault, where] = process.argv.slice(2);
const metrics = Metrics.open(firecracker, { name: 'bench' });
metrics.init(fifo!);
metrics.captureSignals();
metrics.app.vcpu.exit_io_out.inc();
console.error(addon.dieTimed(fault!, where!)); // why it could not
