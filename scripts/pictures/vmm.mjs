// The program of the pictures: a VMM whose guest does port I/O, reads its disk and sends packets, or claims to do so.
// vmm.mjs NAME [CALM]: the file NAME.region, and the lines NAME.jsonl, in the working directory.

import { defineSchema, group, inc, latency, Metrics, perDevice, store, utcTimestampMs } from 'vmm-metrics';

const schema = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  vcpu: group({
    exit_io_out: inc('Exits for port output'),
    exit_mmio_write: inc('Exits for memory-mapped output'),
    exit_agg: latency('Time to handle an exit', { histogram: true }),
  }),
  memory: group({ used_bytes: store('Memory that the guest uses') }),
  signals: group({ sigsegv: store('Set to 1 by SIGSEGV', { onSignal: 'SIGSEGV' }) }),
  block: perDevice({ read_bytes: inc('Bytes read'), read_agg: latency('Time to read') }, { aggregate: false }),
  net: perDevice({ tx_bytes: inc('Bytes sent'), rx_bytes: inc('Bytes received') }, { aggregate: false }),
});

const [, , name, calm = '1'] = process.argv;
const metrics = Metrics.open(schema, { id: name, file: `${name}.region`, properties: { zone: 'a' } });
metrics.init(`${name}.jsonl`);
metrics.captureSignals();
metrics.capturePanics();
metrics.startPeriodicFlush({ intervalMs: 1000 });

const { vcpu, memory } = metrics.app;
const drive = metrics.app.block.alloc('rootfs');
const card = metrics.app.net.alloc('eth0');
let turn = 0;
setInterval(() => {
  turn++;
  const busy = (2 + Math.sin(turn / 40)) / Number(calm);
  for (let i = 0; i < 40 * busy; i++) {
    vcpu.exit_io_out.inc();
    // Most exits take a few microseconds. A few wait for the host.
    const unlucky = Math.random() < 0.03 ? 400 : 0;
    vcpu.exit_agg.observe(Math.round(3 + 6 * Math.random() ** 4 * 10 + unlucky * Math.random()));
  }
  vcpu.exit_mmio_write.add(Math.round(9 * busy));
  memory.used_bytes.store(Math.round(2e8 + 5e7 * busy));
  drive.read_bytes.add(4096 * Math.round(3 * busy));
  drive.read_agg.observe(Math.round(80 + 60 * Math.random()));
  card.tx_bytes.add(Math.round(900 * busy));
  card.rx_bytes.add(Math.round(1400 * busy));
}, 10);
if (process.argv[4] === 'panic')
  setTimeout(() => {
    throw new Error('the guest is gone');
  }, 300);
