// The schema of the native writers. metrics.gen.h is made from it:
//
//     npx vmm-metrics codegen schema.mjs -o metrics.gen.h

import { defineSchema, group, histogram, inc, latency, perDevice, store, utcTimestampMs } from 'vmm-metrics';

export default defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({
    exit_io_out: inc('KVM exits for a port write'),
    exit_io_out_agg: latency('Time to handle a port write'),
    halt_agg: latency('Time that the vCPU was halted', { histogram: true }),
    state: store('What the vCPU does: 0 it is stopped, 1 it runs'),
  }),
  pmem: perDevice({
    flush_count: inc('Flush requests of the guest'),
    event_fails: inc('Queue events that could not be handled'),
    flush_bytes: histogram('Data of one flush', { unit: 'bytes', max: 2 ** 30 }),
  }),
});
