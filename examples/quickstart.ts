import { readFileSync } from 'node:fs';

import { defineSchema, group, inc, latency, Metrics, perDevice, store, utcTimestampMs } from 'vmm-metrics';

// The schema names every metric once. Types, memory layout and the line follow from it.
const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({
    exit_io_out: inc('KVM exits for port output'),
    exit_io_out_agg: latency('Time to handle a port output'),
  }),
  balloon: group({ actual_bytes: store('Size of the balloon') }),
  signals: group({ sigsegv: store('Set to 1 by SIGSEGV', { onSignal: 'SIGSEGV' }) }),
  block: perDevice({ read_bytes: inc('Data read from the drive') }),
});

const metrics = Metrics.open(schema, { name: 'vm0' }); // the same call in a worker attaches to the same values
metrics.init('metrics.jsonl'); // where lines go: a file, a named pipe, or a descriptor
metrics.captureSignals(); // write a last line if a signal kills the process
metrics.capturePanics(); // write a last line if an uncaught exception ends it
metrics.startPeriodicFlush({ intervalMs: 10_000 });

const { vcpu, balloon } = metrics.app;
const rootfs = metrics.app.block.alloc('rootfs'); // a device that is plugged in

const record = vcpu.exit_io_out_agg.record(); // starts a timer; or: using _ = vcpu.exit_io_out_agg.record();
vcpu.exit_io_out.inc();
rootfs.read_bytes.add(4096);
balloon.actual_bytes.store(268_435_456);
record.end(); // stops the timer

console.log(vcpu.exit_io_out.count(), metrics.snapshot().block.devices['rootfs']); // 1n { read_bytes: 4096n }

metrics.close(); // writes what is left as a last line
console.log(readFileSync('metrics.jsonl', 'utf8'));
