// A process that dies and records when: crasher.js FILE WHERE [FIFO]. FILE gets the time of the fault. With a FIFO the
// process captures signals, and its last line goes there. Without a FIFO the process has no metrics.

import { addon } from '../addon.ts';
import { opened } from '../store.ts';

const [fault, where, fifo] = process.argv.slice(2);
if (fifo !== undefined) {
  const metrics = await opened();
  metrics.init(fifo);
  metrics.captureSignals();
  metrics.app.vcpu.exit_io_out.inc();
}
console.error(addon.dieTimed(fault!, where!)); // why it could not
