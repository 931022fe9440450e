// A process that says when it dies: crasher.js <fifo> <file for the time> <where>.

import { createRequire } from 'node:module';

import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

const [fifo, fault, where] = process.argv.slice(2);
const addon = createRequire(import.meta.url)('../../test/addon/build/Release/vmm_test.node');
const metrics = Metrics.open(firecracker, { name: 'bench' });
metrics.init(fifo!);
metrics.captureSignals();
metrics.app.vcpu.exit_io_out.inc();
console.error(addon.dieTimed(fault, where)); // why it could not
