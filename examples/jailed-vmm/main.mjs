// A VMM that opens its files, and then lives in a jail: main.mjs NAME [RUN_FOLDER LOG_FOLDER].
//
// vmm-jailed@.service is the jail. Node's permission model keeps JavaScript from all files but the program itself; the
// region and the lines are opened by native code, which systemd confines.

import { Metrics } from 'vmm-metrics';
import { firecracker } from 'vmm-metrics/firecracker';

const [, , name, run = '/run/vmm', log = '/var/log/vmm'] = process.argv;
const metrics = Metrics.open(firecracker, { id: name, file: `${run}/${name}/metrics.region` });
metrics.init(`${log}/${name}/lines.jsonl`);
metrics.captureSignals();
metrics.capturePanics();
metrics.startPeriodicFlush();

// Here the guest would start. In its place, a timer counts.
setInterval(() => metrics.app.vcpu.exit_io_out.inc(), 10);
console.log('running');
