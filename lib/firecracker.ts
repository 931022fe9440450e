// The line of Firecracker v1.15.1 (commit f82c0bd0f0a7) as schemas: the same groups and fields, of the same kinds and
// in the same order. Pure: no files, no clock. `test/firecracker-schema.test.ts` compares it with the facts in
// `test/fixtures/`.

import { defineSchema, group, inc, latency, perDevice, store, utcTimestampMs } from './schema.ts';

// Firecracker never aggregates `min_us` and `max_us` over devices, so its lines show 0, and its own validator requires
// that 0.
const LIKE_FIRECRACKER = { latencyAggregate: 'zero' } as const;

const durationUs = (doc: string) => store(doc, { unit: 'us' });

// The two parts that both lines have are checked once, as schemas of their own.
const beforeRtc = defineSchema({
  utc_timestamp_ms: utcTimestampMs(),
  api_server: group({
    process_startup_time_us: store('Wall time from the start of the process until it was ready', { startTime: 'wall' }),
    process_startup_time_cpu_us: store('CPU time spent until the process was ready, with its parent process', { startTime: 'cpu' }),
  }),
  balloon: group({
    activate_fails: inc('Failed activations of the balloon'),
    inflate_count: inc('Inflate requests: the guest gives memory back to the host'),
    stats_updates_count: inc('Memory statistics received from the guest driver'),
    stats_update_fails: inc('Memory statistics that could not be taken over, such as one with an unknown tag'),
    deflate_count: inc('Deflate requests: the guest takes memory back from the host'),
    event_fails: inc('Balloon events that could not be handled'),
    free_page_report_count: inc('Free ranges that the guest reported unasked'),
    free_page_report_freed: inc('Memory given back to the host out of reported ranges', { unit: 'bytes' }),
    free_page_report_fails: inc('Reported ranges that could not be given back'),
    free_page_hint_count: inc('Free ranges that the guest named during a hinting run'),
    free_page_hint_freed: inc('Memory given back to the host out of hinted ranges', { unit: 'bytes' }),
    free_page_hint_fails: inc('Hinted ranges that could not be given back'),
  }),
  block: perDevice(
    {
      activate_fails: inc('Failed activations of the drive'),
      cfg_fails: inc('Failed accesses to the configuration space of the drive'),
      no_avail_buffer: inc('Passes over the queue that completed no request'),
      event_fails: inc('Drive events that could not be handled, and interrupts that could not be sent'),
      execute_fails: inc('Requests that could not be parsed or carried out'),
      invalid_reqs_count: inc('Requests answered with an I/O error or as unsupported'),
      flush_count: inc('Flush requests completed'),
      queue_event_count: inc('Notifications by the guest that requests are waiting'),
      rate_limiter_event_count: inc('Wake-ups by the rate limiter, with its budget refilled'),
      update_count: inc('Replacements of the backing file'),
      update_fails: inc('Replacements of the backing file that failed'),
      read_bytes: inc('Data read from the drive'),
      write_bytes: inc('Data written to the drive'),
      read_count: inc('Read requests completed'),
      write_count: inc('Write requests completed'),
      read_agg: latency('Time to carry out a read request'),
      write_agg: latency('Time to carry out a write request'),
      rate_limiter_throttled_events: inc('Times that the rate limiter held requests back'),
      io_engine_throttled_events: inc('Times that a full I/O engine held requests back'),
      remaining_reqs_count: inc('Length of the queue behind each request taken from it, added up'),
    },
    LIKE_FIRECRACKER,
  ),
  deprecated_api: group({
    deprecated_http_api_calls: inc('API requests that used a deprecated endpoint or field'),
  }),
  get_api_requests: group({
    instance_info_count: inc('GET /'),
    machine_cfg_count: inc('GET /machine-config'),
    mmds_count: inc('GET /mmds'),
    vmm_version_count: inc('GET /version'),
    hotplug_memory_count: inc('GET /hotplug/memory'),
  }),
  // The line of aarch64 has these keys too, although only an x86_64 machine has the device.
  i8042: group({
    error_count: inc('Errors of the keyboard controller, such as a reset request that got lost'),
    missed_read_count: inc('Port reads not answered: wrong width or unknown port'),
    missed_write_count: inc('Port writes without effect: wrong width or unknown port'),
    read_count: inc('Port reads answered, one byte each'),
    reset_count: inc('Resets of the machine that the guest asked for'),
    write_count: inc('Port writes carried out, one byte each'),
  }),
}).shape;

const rtc = group({
  error_count: inc('Invalid accesses to the real-time clock, missed ones included'),
  missed_read_count: inc('Clock reads at an offset without a register'),
  missed_write_count: inc('Clock writes at an offset without a register'),
});

const afterRtc = defineSchema({
  uart: group({
    error_count: inc('Errors of the serial port'),
    flush_count: inc('Flushes of the serial output'),
    missed_read_count: inc('Register reads not answered: wrong width or offset'),
    missed_write_count: inc('Writes without effect: wrong width or offset, or output that nobody took'),
    read_count: inc('Characters that the guest read'),
    write_count: inc('Characters that the guest wrote'),
  }),
  latencies_us: group({
    full_create_snapshot: durationUs('Last full snapshot, from API request to answer'),
    diff_create_snapshot: durationUs('Last diff snapshot, from API request to answer'),
    load_snapshot: durationUs('Last restore from a snapshot, from API request to answer'),
    pause_vm: durationUs('Last pause, from API request to answer'),
    resume_vm: durationUs('Last resume, from API request to answer'),
    vmm_full_create_snapshot: durationUs('Last full snapshot, the work of the VMM alone'),
    vmm_diff_create_snapshot: durationUs('Last diff snapshot, the work of the VMM alone'),
    vmm_load_snapshot: durationUs('Last restore from a snapshot, the work of the VMM alone'),
    vmm_pause_vm: durationUs('Last pause, the work of the VMM alone'),
    vmm_resume_vm: durationUs('Last resume, the work of the VMM alone'),
  }),
  logger: group({
    missed_metrics_count: inc('Flushes whose line did not get out whole', { onMissedFlush: true }),
    metrics_fails: inc('Other trouble of the metrics store', { onError: true }),
    missed_log_count: inc('Log messages that could not be written'),
  }),
  mmds: group({
    rx_accepted: inc('Guest frames handed to the metadata service in place of the network'),
    rx_accepted_err: inc('Handed over, but TCP processing failed'),
    rx_accepted_unusual: inc('Handed over, but out of the ordinary, such as IPv4 other than TCP'),
    rx_bad_eth: inc('Handed over, but with an undecodable Ethernet header'),
    rx_invalid_token: inc('Metadata reads with an unknown or expired session token'),
    rx_no_token: inc('Metadata reads without a session token'),
    rx_count: inc('TCP segments processed'),
    tx_bytes: inc('Data sent to the guest, with headers'),
    tx_count: inc('Replies made for the guest: ARP and TCP'),
    tx_errors: inc('Replies that could not be made'),
    tx_frames: inc('Frames sent to the guest'),
    connections_created: inc('TCP connections that the guest opened'),
    connections_destroyed: inc('TCP connections done with or replaced by a newer one'),
  }),
  net: perDevice(
    {
      activate_fails: inc('Failed activations of the interface'),
      cfg_fails: inc('Failed accesses to the configuration space of the interface'),
      mac_address_updates: inc('Changes of the MAC address by the guest driver'),
      no_rx_avail_buffer: inc('Frames for the guest that had to wait for a receive buffer'),
      no_tx_avail_buffer: inc('Passes over the transmit queue that found no frame'),
      event_fails: inc('Interface events that could not be handled'),
      rx_queue_event_count: inc('Notifications by the guest that receive buffers are ready'),
      rx_event_rate_limiter_count: inc('Wake-ups by the receive rate limiter, with its budget refilled'),
      rx_rate_limiter_throttled: inc('Times that the rate limiter held back frames for the guest'),
      rx_tap_event_count: inc('Notifications by the tap device that frames are waiting'),
      rx_bytes_count: inc('Data delivered to the guest', { unit: 'bytes' }),
      rx_packets_count: inc('Frames delivered to the guest'),
      rx_fails: inc('Receive buffers of the guest that were unusable'),
      rx_count: inc('Receive operations completed'),
      tap_read_fails: inc('Failed reads from the tap device'),
      tap_write_fails: inc('Failed writes to the tap device'),
      tap_write_agg: latency('Time to write a frame to the tap device'),
      tx_bytes_count: inc('Data sent by the guest', { unit: 'bytes' }),
      tx_malformed_frames: inc('Guest frames dropped for missing or broken headers'),
      tx_fails: inc('Transmit buffers of the guest that were unusable'),
      tx_count: inc('Transmit operations completed'),
      tx_packets_count: inc('Frames sent by the guest'),
      tx_queue_event_count: inc('Notifications by the guest that frames are waiting'),
      tx_rate_limiter_event_count: inc('Wake-ups by the transmit rate limiter, with its budget refilled'),
      tx_rate_limiter_throttled: inc('Times that the rate limiter held back frames of the guest'),
      tx_spoofed_mac_count: inc('Guest frames whose source is not the MAC address of the interface'),
      tx_remaining_reqs_count: inc('Length of the transmit queue behind each frame taken from it, added up'),
    },
    LIKE_FIRECRACKER,
  ),
  patch_api_requests: group({
    drive_count: inc('PATCH /drives'),
    drive_fails: inc('PATCH /drives, failed'),
    network_count: inc('PATCH /network-interfaces'),
    network_fails: inc('PATCH /network-interfaces, failed'),
    machine_cfg_count: inc('PATCH /machine-config'),
    machine_cfg_fails: inc('PATCH /machine-config, failed'),
    mmds_count: inc('PATCH /mmds'),
    mmds_fails: inc('PATCH /mmds, failed'),
    hotplug_memory_count: inc('PATCH /hotplug/memory'),
    hotplug_memory_fails: inc('PATCH /hotplug/memory, failed'),
  }),
  put_api_requests: group({
    actions_count: inc('PUT /actions'),
    actions_fails: inc('PUT /actions, failed'),
    boot_source_count: inc('PUT /boot-source'),
    boot_source_fails: inc('PUT /boot-source, failed'),
    drive_count: inc('PUT /drives'),
    drive_fails: inc('PUT /drives, failed'),
    logger_count: inc('PUT /logger'),
    logger_fails: inc('PUT /logger, failed'),
    machine_cfg_count: inc('PUT /machine-config'),
    machine_cfg_fails: inc('PUT /machine-config, failed'),
    cpu_cfg_count: inc('PUT /cpu-config'),
    cpu_cfg_fails: inc('PUT /cpu-config, failed'),
    metrics_count: inc('PUT /metrics'),
    metrics_fails: inc('PUT /metrics, failed'),
    network_count: inc('PUT /network-interfaces'),
    network_fails: inc('PUT /network-interfaces, failed'),
    mmds_count: inc('PUT /mmds and /mmds/config'),
    mmds_fails: inc('PUT /mmds and /mmds/config, failed'),
    vsock_count: inc('PUT /vsock'),
    vsock_fails: inc('PUT /vsock, failed'),
    pmem_count: inc('PUT /pmem'),
    pmem_fails: inc('PUT /pmem, failed'),
    serial_count: inc('PUT /serial'),
    serial_fails: inc('PUT /serial, failed'),
    hotplug_memory_count: inc('PUT /hotplug/memory'),
    hotplug_memory_fails: inc('PUT /hotplug/memory, failed'),
  }),
  seccomp: group({
    num_faults: store('Set to 1 by SIGSYS: a system call that the filter forbids', { onSignal: 'SIGSYS' }),
  }),
  // The mean time of an exit is its `_agg.sum_us` divided by the counter of the same name.
  vcpu: group({
    exit_io_in: inc('KVM exits for a port read'),
    exit_io_out: inc('KVM exits for a port write'),
    exit_mmio_read: inc('KVM exits for a read of device memory'),
    exit_mmio_write: inc('KVM exits for a write to device memory'),
    failures: inc('KVM exits that mean an error, and failed runs of a vCPU'),
    kvmclock_ctrl_fails: inc('Failures to tell the guest clock of a pause (ioctl KVM_KVMCLOCK_CTRL)'),
    exit_io_in_agg: latency('Time to emulate a port read'),
    exit_io_out_agg: latency('Time to emulate a port write'),
    exit_mmio_read_agg: latency('Time to emulate a read of device memory'),
    exit_mmio_write_agg: latency('Time to emulate a write to device memory'),
  }),
  vmm: group({
    panic_count: store('Set to 1 by a panic or an abort of the VMM', { onPanic: true, onSignal: 'SIGABRT' }),
  }),
  signals: group({
    sigbus: store('Set to 1 by SIGBUS: memory that its backing no longer provides', { onSignal: 'SIGBUS' }),
    sigsegv: store('Set to 1 by SIGSEGV: an invalid memory access', { onSignal: 'SIGSEGV' }),
    sigxfsz: store('Set to 1 by SIGXFSZ: a file grew to its size limit', { onSignal: 'SIGXFSZ' }),
    sigxcpu: store('Set to 1 by SIGXCPU: the CPU time limit was reached', { onSignal: 'SIGXCPU' }),
    sigpipe: inc('SIGPIPE received: a write to a pipe or socket that nobody reads', { onSignal: 'SIGPIPE' }),
    sighup: store('Set to 1 by SIGHUP: the controlling terminal is gone', { onSignal: 'SIGHUP' }),
    sigill: store('Set to 1 by SIGILL: an invalid instruction', { onSignal: 'SIGILL' }),
  }),
  vsock: group({
    activate_fails: inc('Failed activations of the vsock device'),
    cfg_fails: inc('Failed accesses to the configuration space of the vsock device'),
    rx_queue_event_fails: inc('Receive queue events that could not be handled'),
    tx_queue_event_fails: inc('Transmit queue events that could not be handled'),
    ev_queue_event_fails: inc('Event queue events that could not be handled'),
    muxer_event_fails: inc('Events of the host sockets that could not be handled or dispatched'),
    conn_event_fails: inc('Events of a single connection that could not be handled'),
    rx_queue_event_count: inc('Notifications by the guest that receive buffers are ready'),
    tx_queue_event_count: inc('Notifications by the guest that packets are waiting'),
    rx_bytes_count: inc('Data from the host to the guest', { unit: 'bytes' }),
    tx_bytes_count: inc('Data from the guest to the host', { unit: 'bytes' }),
    rx_packets_count: inc('Packets from the host to the guest'),
    tx_packets_count: inc('Packets from the guest to the host'),
    conns_added: inc('Connections opened'),
    conns_killed: inc('Connections ended by force, with a reset to the guest'),
    conns_removed: inc('Connections closed and forgotten'),
    killq_resync: inc('Rebuilds of the queue of connections that are to be ended by force'),
    tx_flush_fails: inc('Failures to pass buffered guest data on to the host socket'),
    tx_write_fails: inc('Failed writes of guest data to the host socket'),
    rx_read_fails: inc('Failed reads from the host socket'),
  }),
  entropy: group({
    activate_fails: inc('Failed activations of the entropy device'),
    entropy_event_fails: inc('Requests and events that could not be handled'),
    entropy_event_count: inc('Requests for random bytes taken from the queue'),
    entropy_bytes: inc('Random bytes given to the guest'),
    host_rng_fails: inc('Times that the host had no random bytes to give'),
    entropy_rate_limiter_throttled: inc('Times that the rate limiter held a request back'),
    rate_limiter_event_count: inc('Wake-ups by the rate limiter, and notifications while it blocked'),
  }),
  pmem: perDevice(
    {
      activate_fails: inc('Failed activations of the pmem device'),
      cfg_fails: inc('Failed accesses to the configuration space of the pmem device'),
      event_fails: inc('Flush requests and queue events that could not be handled'),
      queue_event_count: inc('Notifications by the guest that flush requests are waiting'),
    },
    LIKE_FIRECRACKER,
  ),
  // Devices are allocated as `'block_' + id`: the line then has Firecracker's key, `vhost_user_block_<id>`.
  vhost_user: perDevice(
    {
      activate_fails: inc('Failed activations of the vhost-user device'),
      cfg_fails: inc('Failed accesses to the configuration space of the vhost-user device'),
      init_time_us: store('Time to connect to the backend and agree on features'),
      activate_time_us: store('Time of the last activation'),
      config_change_time_us: store('Time to take over the last change of configuration from the backend'),
    },
    { aggregate: false },
  ),
  interrupts: group({
    triggers: inc('Interrupts sent to the guest by its devices'),
    config_updates: inc('Changes of an interrupt vector (MSI-X) by the guest'),
  }),
  memory_hotplug: group({
    activate_fails: inc('Failed activations of the memory device'),
    queue_event_fails: inc('Queue events that could not be handled'),
    queue_event_count: inc('Notifications by the guest that requests are waiting'),
    plug_agg: latency('Time to serve a plug request'),
    plug_count: inc('Plug requests: the guest takes memory into use'),
    plug_bytes: inc('Memory plugged'),
    plug_fails: inc('Plug requests that failed'),
    unplug_agg: latency('Time to serve an unplug request'),
    unplug_count: inc('Unplug requests: the guest gives memory up'),
    unplug_bytes: inc('Memory unplugged, without what unplug-all requests gave up'),
    unplug_fails: inc('Unplug requests that failed'),
    unplug_discard_fails: inc('Unplugged ranges that the host could not reclaim'),
    unplug_all_agg: latency('Time to serve an unplug-all request'),
    unplug_all_count: inc('Unplug-all requests: the guest gives up all of it'),
    unplug_all_fails: inc('Unplug-all requests that failed'),
    state_agg: latency('Time to serve a state request'),
    state_count: inc('State requests: the guest asks whether a range is plugged'),
    state_fails: inc('State requests that failed'),
  }),
}).shape;

/**
 * The metrics line of Firecracker v1.15.1 on x86_64, on whatever machine this process runs.
 *
 * For the architecture of this process, open {@link firecracker}.
 *
 * ```ts
 * const metrics = Metrics.open(firecrackerX86_64);
 * metrics.app.i8042.reset_count.inc();
 * ```
 */
export const firecrackerX86_64 = defineSchema({ ...beforeRtc, ...afterRtc });

/**
 * The metrics line of Firecracker v1.15.1 on aarch64, on whatever machine this process runs: the line of x86_64, with
 * `rtc` between `i8042` and `uart`.
 *
 * ```ts
 * const metrics = Metrics.open(firecrackerAarch64);
 * metrics.app.rtc.missed_read_count.inc();
 * ```
 */
export const firecrackerAarch64 = defineSchema({ ...beforeRtc, rtc, ...afterRtc });

/**
 * The metrics line of Firecracker v1.15.1 on the architecture of this process. A consumer of Firecracker's metrics can
 * read its lines: same keys, same order, same kinds of values.
 *
 * Its type has what both architectures have; for `rtc`, open {@link firecrackerAarch64}.
 *
 * ```ts
 * import { Metrics } from 'vmm-metrics';
 * import { firecracker } from 'vmm-metrics/firecracker';
 *
 * const metrics = Metrics.open(firecracker);
 * metrics.app.vcpu.exit_io_out.inc();
 * metrics.app.block.alloc('rootfs').read_count.inc(); // in the line: block_rootfs
 * metrics.app.vhost_user.alloc('block_data').cfg_fails.inc(); // in the line: vhost_user_block_data
 * ```
 */
export const firecracker: typeof firecrackerX86_64 = process.arch === 'arm64' ? firecrackerAarch64 : firecrackerX86_64;
