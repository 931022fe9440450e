import { readFileSync } from 'node:fs';

import { defineSchema, group, inc, latency, Metrics, perDevice, store, utcTimestampMs } from 'vmm-metrics';

// Every metric is named once, here; types, cells and the line follow.
const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({
    exit_io_out: inc('KVM exits for port output'),
    exit_io_out_agg: latency('Time to handle one'),
  }),
  signals: group({ sigsegv: store('Set when a SIGSEGV was captured', { onSignal: 'SIGSEGV' }) }),
  block: perDevice({ read_bytes: inc('Data read from the drive') }),
});

const metrics = Metrics.open(schema, { name: 'vm0' }); // the same call in a worker attaches to the same values
metrics.init('metrics.jsonl'); // a file, a named pipe, or a descriptor
metrics.captureSignals(); // a last line when the process dies
metrics.startPeriodicFlush({ intervalMs: 10_000 });

const { exit_io_out, exit_io_out_agg } = metrics.app.vcpu;
const rootfs = metrics.app.block.alloc('rootfs');

const record = exit_io_out_agg.record(); // or: using _ = exit_io_out_agg.record();
exit_io_out.inc();
rootfs.read_bytes.add(4096);
record[Symbol.dispose]();

console.log(exit_io_out.count(), metrics.snapshot().block.devices['rootfs']); // 1n { read_bytes: 4096n }

metrics.close(); // flushes a last line
console.log(readFileSync('metrics.jsonl', 'utf8'));
