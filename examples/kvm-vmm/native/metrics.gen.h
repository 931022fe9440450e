// clang-format off
// The metrics of 'firecrackerX86_64' of firecracker for native code, as typed constants with fixed offsets.
// `vmm-metrics codegen` wrote this file: do not edit it.
//
//     vmm_metrics_store store;
//     std::string problem = metrics::attach(env, external, &store);  // "", or why not
//     vmm_metrics::Shard shard(store);                     // on each thread that counts
//
// Thread-safety, async-signal-safety, memory ordering, units and lifetime: see vmm_metrics.hpp.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "vmm_metrics.h"

namespace metrics {

// Identifies the schema.
inline constexpr ::std::uint64_t fingerprint = 0x2bc257f45430c20b;

namespace api_server {
// Wall time from the start of the process until it was ready
inline constexpr ::vmm_metrics::StoreMetric process_startup_time_us{::vmm_metrics_metric{0}};
// CPU time spent until the process was ready, with its parent process
inline constexpr ::vmm_metrics::StoreMetric process_startup_time_cpu_us{::vmm_metrics_metric{8}};
}  // namespace api_server

namespace balloon {
// Failed activations of the balloon
inline constexpr ::vmm_metrics::IncMetric activate_fails{::vmm_metrics_metric{16}};
// Inflate requests: the guest gives memory back to the host
inline constexpr ::vmm_metrics::IncMetric inflate_count{::vmm_metrics_metric{24}};
// Memory statistics received from the guest driver
inline constexpr ::vmm_metrics::IncMetric stats_updates_count{::vmm_metrics_metric{32}};
// Memory statistics that could not be taken over, such as one with an unknown tag
inline constexpr ::vmm_metrics::IncMetric stats_update_fails{::vmm_metrics_metric{40}};
// Deflate requests: the guest takes memory back from the host
inline constexpr ::vmm_metrics::IncMetric deflate_count{::vmm_metrics_metric{48}};
// Balloon events that could not be handled
inline constexpr ::vmm_metrics::IncMetric event_fails{::vmm_metrics_metric{56}};
// Free ranges that the guest reported unasked
inline constexpr ::vmm_metrics::IncMetric free_page_report_count{::vmm_metrics_metric{64}};
// Memory given back to the host out of reported ranges
inline constexpr ::vmm_metrics::IncMetric free_page_report_freed{::vmm_metrics_metric{72}};
// Reported ranges that could not be given back
inline constexpr ::vmm_metrics::IncMetric free_page_report_fails{::vmm_metrics_metric{80}};
// Free ranges that the guest named during a hinting run
inline constexpr ::vmm_metrics::IncMetric free_page_hint_count{::vmm_metrics_metric{88}};
// Memory given back to the host out of hinted ranges
inline constexpr ::vmm_metrics::IncMetric free_page_hint_freed{::vmm_metrics_metric{96}};
// Hinted ranges that could not be given back
inline constexpr ::vmm_metrics::IncMetric free_page_hint_fails{::vmm_metrics_metric{104}};
}  // namespace balloon

namespace block {
// A device of the group 'block'. A device that alloc() has not made counts nowhere.
struct Device : ::vmm_metrics::Device {
  // Failed activations of the drive
  ::vmm_metrics::IncMetric activate_fails;
  // Failed accesses to the configuration space of the drive
  ::vmm_metrics::IncMetric cfg_fails;
  // Passes over the queue that completed no request
  ::vmm_metrics::IncMetric no_avail_buffer;
  // Drive events that could not be handled, and interrupts that could not be sent
  ::vmm_metrics::IncMetric event_fails;
  // Requests that could not be parsed or carried out
  ::vmm_metrics::IncMetric execute_fails;
  // Requests answered with an I/O error or as unsupported
  ::vmm_metrics::IncMetric invalid_reqs_count;
  // Flush requests completed
  ::vmm_metrics::IncMetric flush_count;
  // Notifications by the guest that requests are waiting
  ::vmm_metrics::IncMetric queue_event_count;
  // Wake-ups by the rate limiter, with its budget refilled
  ::vmm_metrics::IncMetric rate_limiter_event_count;
  // Replacements of the backing file
  ::vmm_metrics::IncMetric update_count;
  // Replacements of the backing file that failed
  ::vmm_metrics::IncMetric update_fails;
  // Data read from the drive
  ::vmm_metrics::IncMetric read_bytes;
  // Data written to the drive
  ::vmm_metrics::IncMetric write_bytes;
  // Read requests completed
  ::vmm_metrics::IncMetric read_count;
  // Write requests completed
  ::vmm_metrics::IncMetric write_count;
  // Time to carry out a read request
  ::vmm_metrics::LatencyMetric read_agg;
  // Time to carry out a write request
  ::vmm_metrics::LatencyMetric write_agg;
  // Times that the rate limiter held requests back
  ::vmm_metrics::IncMetric rate_limiter_throttled_events;
  // Times that a full I/O engine held requests back
  ::vmm_metrics::IncMetric io_engine_throttled_events;
  // Length of the queue behind each request taken from it, added up
  ::vmm_metrics::IncMetric remaining_reqs_count;
};

// Finds the device `id`, or makes it. If that fails, `*problem` says why, and the device counts in the aggregate.
inline Device alloc(const ::vmm_metrics_store& store, ::std::string_view id, ::std::string* problem = nullptr) {
  Device device;
  const ::vmm_metrics::DeviceCells cells(store, "block", id, &device, problem);
  cells.find(0, &device.activate_fails);
  cells.find(1, &device.cfg_fails);
  cells.find(2, &device.no_avail_buffer);
  cells.find(3, &device.event_fails);
  cells.find(4, &device.execute_fails);
  cells.find(5, &device.invalid_reqs_count);
  cells.find(6, &device.flush_count);
  cells.find(7, &device.queue_event_count);
  cells.find(8, &device.rate_limiter_event_count);
  cells.find(9, &device.update_count);
  cells.find(10, &device.update_fails);
  cells.find(11, &device.read_bytes);
  cells.find(12, &device.write_bytes);
  cells.find(13, &device.read_count);
  cells.find(14, &device.write_count);
  cells.find(15, &device.read_agg);
  cells.find(19, &device.write_agg);
  cells.find(23, &device.rate_limiter_throttled_events);
  cells.find(24, &device.io_engine_throttled_events);
  cells.find(25, &device.remaining_reqs_count);
  return device;
}

// Releases what alloc() returned: no thread counts on it any more. False if it was released already.
inline bool release(const ::vmm_metrics_store& store, const Device& device) {
  return ::vmm_metrics::release(store, device);
}

// Takes the device `id` out of the line. False if there is no such device.
inline bool remove(const ::vmm_metrics_store& store, ::std::string_view id) {
  return ::vmm_metrics::remove(store, "block", id);
}
}  // namespace block

namespace deprecated_api {
// API requests that used a deprecated endpoint or field
inline constexpr ::vmm_metrics::IncMetric deprecated_http_api_calls{::vmm_metrics_metric{112}};
}  // namespace deprecated_api

namespace get_api_requests {
// GET /
inline constexpr ::vmm_metrics::IncMetric instance_info_count{::vmm_metrics_metric{120}};
// GET /machine-config
inline constexpr ::vmm_metrics::IncMetric machine_cfg_count{::vmm_metrics_metric{128}};
// GET /mmds
inline constexpr ::vmm_metrics::IncMetric mmds_count{::vmm_metrics_metric{136}};
// GET /version
inline constexpr ::vmm_metrics::IncMetric vmm_version_count{::vmm_metrics_metric{144}};
// GET /hotplug/memory
inline constexpr ::vmm_metrics::IncMetric hotplug_memory_count{::vmm_metrics_metric{152}};
}  // namespace get_api_requests

namespace i8042 {
// Errors of the keyboard controller, such as a reset request that got lost
inline constexpr ::vmm_metrics::IncMetric error_count{::vmm_metrics_metric{160}};
// Port reads not answered: wrong width or unknown port
inline constexpr ::vmm_metrics::IncMetric missed_read_count{::vmm_metrics_metric{168}};
// Port writes without effect: wrong width or unknown port
inline constexpr ::vmm_metrics::IncMetric missed_write_count{::vmm_metrics_metric{176}};
// Port reads answered, one byte each
inline constexpr ::vmm_metrics::IncMetric read_count{::vmm_metrics_metric{184}};
// Resets of the machine that the guest asked for
inline constexpr ::vmm_metrics::IncMetric reset_count{::vmm_metrics_metric{192}};
// Port writes carried out, one byte each
inline constexpr ::vmm_metrics::IncMetric write_count{::vmm_metrics_metric{200}};
}  // namespace i8042

namespace uart {
// Errors of the serial port
inline constexpr ::vmm_metrics::IncMetric error_count{::vmm_metrics_metric{208}};
// Flushes of the serial output
inline constexpr ::vmm_metrics::IncMetric flush_count{::vmm_metrics_metric{216}};
// Register reads not answered: wrong width or offset
inline constexpr ::vmm_metrics::IncMetric missed_read_count{::vmm_metrics_metric{224}};
// Writes without effect: wrong width or offset, or output that nobody took
inline constexpr ::vmm_metrics::IncMetric missed_write_count{::vmm_metrics_metric{232}};
// Characters that the guest read
inline constexpr ::vmm_metrics::IncMetric read_count{::vmm_metrics_metric{240}};
// Characters that the guest wrote
inline constexpr ::vmm_metrics::IncMetric write_count{::vmm_metrics_metric{248}};
}  // namespace uart

namespace latencies_us {
// Last full snapshot, from API request to answer
inline constexpr ::vmm_metrics::StoreMetric full_create_snapshot{::vmm_metrics_metric{256}};
// Last diff snapshot, from API request to answer
inline constexpr ::vmm_metrics::StoreMetric diff_create_snapshot{::vmm_metrics_metric{264}};
// Last restore from a snapshot, from API request to answer
inline constexpr ::vmm_metrics::StoreMetric load_snapshot{::vmm_metrics_metric{272}};
// Last pause, from API request to answer
inline constexpr ::vmm_metrics::StoreMetric pause_vm{::vmm_metrics_metric{280}};
// Last resume, from API request to answer
inline constexpr ::vmm_metrics::StoreMetric resume_vm{::vmm_metrics_metric{288}};
// Last full snapshot, the work of the VMM alone
inline constexpr ::vmm_metrics::StoreMetric vmm_full_create_snapshot{::vmm_metrics_metric{296}};
// Last diff snapshot, the work of the VMM alone
inline constexpr ::vmm_metrics::StoreMetric vmm_diff_create_snapshot{::vmm_metrics_metric{304}};
// Last restore from a snapshot, the work of the VMM alone
inline constexpr ::vmm_metrics::StoreMetric vmm_load_snapshot{::vmm_metrics_metric{312}};
// Last pause, the work of the VMM alone
inline constexpr ::vmm_metrics::StoreMetric vmm_pause_vm{::vmm_metrics_metric{320}};
// Last resume, the work of the VMM alone
inline constexpr ::vmm_metrics::StoreMetric vmm_resume_vm{::vmm_metrics_metric{328}};
}  // namespace latencies_us

namespace logger {
// Flushes whose line did not get out whole
inline constexpr ::vmm_metrics::IncMetric missed_metrics_count{::vmm_metrics_metric{336}};
// Other trouble of the metrics store
inline constexpr ::vmm_metrics::IncMetric metrics_fails{::vmm_metrics_metric{344}};
// Log messages that could not be written
inline constexpr ::vmm_metrics::IncMetric missed_log_count{::vmm_metrics_metric{352}};
}  // namespace logger

namespace mmds {
// Guest frames handed to the metadata service in place of the network
inline constexpr ::vmm_metrics::IncMetric rx_accepted{::vmm_metrics_metric{360}};
// Handed over, but TCP processing failed
inline constexpr ::vmm_metrics::IncMetric rx_accepted_err{::vmm_metrics_metric{368}};
// Handed over, but out of the ordinary, such as IPv4 other than TCP
inline constexpr ::vmm_metrics::IncMetric rx_accepted_unusual{::vmm_metrics_metric{376}};
// Handed over, but with an undecodable Ethernet header
inline constexpr ::vmm_metrics::IncMetric rx_bad_eth{::vmm_metrics_metric{384}};
// Metadata reads with an unknown or expired session token
inline constexpr ::vmm_metrics::IncMetric rx_invalid_token{::vmm_metrics_metric{392}};
// Metadata reads without a session token
inline constexpr ::vmm_metrics::IncMetric rx_no_token{::vmm_metrics_metric{400}};
// TCP segments processed
inline constexpr ::vmm_metrics::IncMetric rx_count{::vmm_metrics_metric{408}};
// Data sent to the guest, with headers
inline constexpr ::vmm_metrics::IncMetric tx_bytes{::vmm_metrics_metric{416}};
// Replies made for the guest: ARP and TCP
inline constexpr ::vmm_metrics::IncMetric tx_count{::vmm_metrics_metric{424}};
// Replies that could not be made
inline constexpr ::vmm_metrics::IncMetric tx_errors{::vmm_metrics_metric{432}};
// Frames sent to the guest
inline constexpr ::vmm_metrics::IncMetric tx_frames{::vmm_metrics_metric{440}};
// TCP connections that the guest opened
inline constexpr ::vmm_metrics::IncMetric connections_created{::vmm_metrics_metric{448}};
// TCP connections done with or replaced by a newer one
inline constexpr ::vmm_metrics::IncMetric connections_destroyed{::vmm_metrics_metric{456}};
}  // namespace mmds

namespace net {
// A device of the group 'net'. A device that alloc() has not made counts nowhere.
struct Device : ::vmm_metrics::Device {
  // Failed activations of the interface
  ::vmm_metrics::IncMetric activate_fails;
  // Failed accesses to the configuration space of the interface
  ::vmm_metrics::IncMetric cfg_fails;
  // Changes of the MAC address by the guest driver
  ::vmm_metrics::IncMetric mac_address_updates;
  // Frames for the guest that had to wait for a receive buffer
  ::vmm_metrics::IncMetric no_rx_avail_buffer;
  // Passes over the transmit queue that found no frame
  ::vmm_metrics::IncMetric no_tx_avail_buffer;
  // Interface events that could not be handled
  ::vmm_metrics::IncMetric event_fails;
  // Notifications by the guest that receive buffers are ready
  ::vmm_metrics::IncMetric rx_queue_event_count;
  // Wake-ups by the receive rate limiter, with its budget refilled
  ::vmm_metrics::IncMetric rx_event_rate_limiter_count;
  // Times that the rate limiter held back frames for the guest
  ::vmm_metrics::IncMetric rx_rate_limiter_throttled;
  // Notifications by the tap device that frames are waiting
  ::vmm_metrics::IncMetric rx_tap_event_count;
  // Data delivered to the guest
  ::vmm_metrics::IncMetric rx_bytes_count;
  // Frames delivered to the guest
  ::vmm_metrics::IncMetric rx_packets_count;
  // Receive buffers of the guest that were unusable
  ::vmm_metrics::IncMetric rx_fails;
  // Receive operations completed
  ::vmm_metrics::IncMetric rx_count;
  // Failed reads from the tap device
  ::vmm_metrics::IncMetric tap_read_fails;
  // Failed writes to the tap device
  ::vmm_metrics::IncMetric tap_write_fails;
  // Time to write a frame to the tap device
  ::vmm_metrics::LatencyMetric tap_write_agg;
  // Data sent by the guest
  ::vmm_metrics::IncMetric tx_bytes_count;
  // Guest frames dropped for missing or broken headers
  ::vmm_metrics::IncMetric tx_malformed_frames;
  // Transmit buffers of the guest that were unusable
  ::vmm_metrics::IncMetric tx_fails;
  // Transmit operations completed
  ::vmm_metrics::IncMetric tx_count;
  // Frames sent by the guest
  ::vmm_metrics::IncMetric tx_packets_count;
  // Notifications by the guest that frames are waiting
  ::vmm_metrics::IncMetric tx_queue_event_count;
  // Wake-ups by the transmit rate limiter, with its budget refilled
  ::vmm_metrics::IncMetric tx_rate_limiter_event_count;
  // Times that the rate limiter held back frames of the guest
  ::vmm_metrics::IncMetric tx_rate_limiter_throttled;
  // Guest frames whose source is not the MAC address of the interface
  ::vmm_metrics::IncMetric tx_spoofed_mac_count;
  // Length of the transmit queue behind each frame taken from it, added up
  ::vmm_metrics::IncMetric tx_remaining_reqs_count;
};

// Finds the device `id`, or makes it. If that fails, `*problem` says why, and the device counts in the aggregate.
inline Device alloc(const ::vmm_metrics_store& store, ::std::string_view id, ::std::string* problem = nullptr) {
  Device device;
  const ::vmm_metrics::DeviceCells cells(store, "net", id, &device, problem);
  cells.find(0, &device.activate_fails);
  cells.find(1, &device.cfg_fails);
  cells.find(2, &device.mac_address_updates);
  cells.find(3, &device.no_rx_avail_buffer);
  cells.find(4, &device.no_tx_avail_buffer);
  cells.find(5, &device.event_fails);
  cells.find(6, &device.rx_queue_event_count);
  cells.find(7, &device.rx_event_rate_limiter_count);
  cells.find(8, &device.rx_rate_limiter_throttled);
  cells.find(9, &device.rx_tap_event_count);
  cells.find(10, &device.rx_bytes_count);
  cells.find(11, &device.rx_packets_count);
  cells.find(12, &device.rx_fails);
  cells.find(13, &device.rx_count);
  cells.find(14, &device.tap_read_fails);
  cells.find(15, &device.tap_write_fails);
  cells.find(16, &device.tap_write_agg);
  cells.find(20, &device.tx_bytes_count);
  cells.find(21, &device.tx_malformed_frames);
  cells.find(22, &device.tx_fails);
  cells.find(23, &device.tx_count);
  cells.find(24, &device.tx_packets_count);
  cells.find(25, &device.tx_queue_event_count);
  cells.find(26, &device.tx_rate_limiter_event_count);
  cells.find(27, &device.tx_rate_limiter_throttled);
  cells.find(28, &device.tx_spoofed_mac_count);
  cells.find(29, &device.tx_remaining_reqs_count);
  return device;
}

// Releases what alloc() returned: no thread counts on it any more. False if it was released already.
inline bool release(const ::vmm_metrics_store& store, const Device& device) {
  return ::vmm_metrics::release(store, device);
}

// Takes the device `id` out of the line. False if there is no such device.
inline bool remove(const ::vmm_metrics_store& store, ::std::string_view id) {
  return ::vmm_metrics::remove(store, "net", id);
}
}  // namespace net

namespace patch_api_requests {
// PATCH /drives
inline constexpr ::vmm_metrics::IncMetric drive_count{::vmm_metrics_metric{464}};
// PATCH /drives, failed
inline constexpr ::vmm_metrics::IncMetric drive_fails{::vmm_metrics_metric{472}};
// PATCH /network-interfaces
inline constexpr ::vmm_metrics::IncMetric network_count{::vmm_metrics_metric{480}};
// PATCH /network-interfaces, failed
inline constexpr ::vmm_metrics::IncMetric network_fails{::vmm_metrics_metric{488}};
// PATCH /machine-config
inline constexpr ::vmm_metrics::IncMetric machine_cfg_count{::vmm_metrics_metric{496}};
// PATCH /machine-config, failed
inline constexpr ::vmm_metrics::IncMetric machine_cfg_fails{::vmm_metrics_metric{504}};
// PATCH /mmds
inline constexpr ::vmm_metrics::IncMetric mmds_count{::vmm_metrics_metric{512}};
// PATCH /mmds, failed
inline constexpr ::vmm_metrics::IncMetric mmds_fails{::vmm_metrics_metric{520}};
// PATCH /hotplug/memory
inline constexpr ::vmm_metrics::IncMetric hotplug_memory_count{::vmm_metrics_metric{528}};
// PATCH /hotplug/memory, failed
inline constexpr ::vmm_metrics::IncMetric hotplug_memory_fails{::vmm_metrics_metric{536}};
}  // namespace patch_api_requests

namespace put_api_requests {
// PUT /actions
inline constexpr ::vmm_metrics::IncMetric actions_count{::vmm_metrics_metric{544}};
// PUT /actions, failed
inline constexpr ::vmm_metrics::IncMetric actions_fails{::vmm_metrics_metric{552}};
// PUT /boot-source
inline constexpr ::vmm_metrics::IncMetric boot_source_count{::vmm_metrics_metric{560}};
// PUT /boot-source, failed
inline constexpr ::vmm_metrics::IncMetric boot_source_fails{::vmm_metrics_metric{568}};
// PUT /drives
inline constexpr ::vmm_metrics::IncMetric drive_count{::vmm_metrics_metric{576}};
// PUT /drives, failed
inline constexpr ::vmm_metrics::IncMetric drive_fails{::vmm_metrics_metric{584}};
// PUT /logger
inline constexpr ::vmm_metrics::IncMetric logger_count{::vmm_metrics_metric{592}};
// PUT /logger, failed
inline constexpr ::vmm_metrics::IncMetric logger_fails{::vmm_metrics_metric{600}};
// PUT /machine-config
inline constexpr ::vmm_metrics::IncMetric machine_cfg_count{::vmm_metrics_metric{608}};
// PUT /machine-config, failed
inline constexpr ::vmm_metrics::IncMetric machine_cfg_fails{::vmm_metrics_metric{616}};
// PUT /cpu-config
inline constexpr ::vmm_metrics::IncMetric cpu_cfg_count{::vmm_metrics_metric{624}};
// PUT /cpu-config, failed
inline constexpr ::vmm_metrics::IncMetric cpu_cfg_fails{::vmm_metrics_metric{632}};
// PUT /metrics
inline constexpr ::vmm_metrics::IncMetric metrics_count{::vmm_metrics_metric{640}};
// PUT /metrics, failed
inline constexpr ::vmm_metrics::IncMetric metrics_fails{::vmm_metrics_metric{648}};
// PUT /network-interfaces
inline constexpr ::vmm_metrics::IncMetric network_count{::vmm_metrics_metric{656}};
// PUT /network-interfaces, failed
inline constexpr ::vmm_metrics::IncMetric network_fails{::vmm_metrics_metric{664}};
// PUT /mmds and /mmds/config
inline constexpr ::vmm_metrics::IncMetric mmds_count{::vmm_metrics_metric{672}};
// PUT /mmds and /mmds/config, failed
inline constexpr ::vmm_metrics::IncMetric mmds_fails{::vmm_metrics_metric{680}};
// PUT /vsock
inline constexpr ::vmm_metrics::IncMetric vsock_count{::vmm_metrics_metric{688}};
// PUT /vsock, failed
inline constexpr ::vmm_metrics::IncMetric vsock_fails{::vmm_metrics_metric{696}};
// PUT /pmem
inline constexpr ::vmm_metrics::IncMetric pmem_count{::vmm_metrics_metric{704}};
// PUT /pmem, failed
inline constexpr ::vmm_metrics::IncMetric pmem_fails{::vmm_metrics_metric{712}};
// PUT /serial
inline constexpr ::vmm_metrics::IncMetric serial_count{::vmm_metrics_metric{720}};
// PUT /serial, failed
inline constexpr ::vmm_metrics::IncMetric serial_fails{::vmm_metrics_metric{728}};
// PUT /hotplug/memory
inline constexpr ::vmm_metrics::IncMetric hotplug_memory_count{::vmm_metrics_metric{736}};
// PUT /hotplug/memory, failed
inline constexpr ::vmm_metrics::IncMetric hotplug_memory_fails{::vmm_metrics_metric{744}};
}  // namespace put_api_requests

namespace seccomp {
// Set to 1 by SIGSYS: a system call that the filter forbids
inline constexpr ::vmm_metrics::StoreMetric num_faults{::vmm_metrics_metric{752}};
}  // namespace seccomp

namespace vcpu {
// KVM exits for a port read
inline constexpr ::vmm_metrics::IncMetric exit_io_in{::vmm_metrics_metric{760}};
// KVM exits for a port write
inline constexpr ::vmm_metrics::IncMetric exit_io_out{::vmm_metrics_metric{768}};
// KVM exits for a read of device memory
inline constexpr ::vmm_metrics::IncMetric exit_mmio_read{::vmm_metrics_metric{776}};
// KVM exits for a write to device memory
inline constexpr ::vmm_metrics::IncMetric exit_mmio_write{::vmm_metrics_metric{784}};
// KVM exits that mean an error, and failed runs of a vCPU
inline constexpr ::vmm_metrics::IncMetric failures{::vmm_metrics_metric{792}};
// Failures to tell the guest clock of a pause (ioctl KVM_KVMCLOCK_CTRL)
inline constexpr ::vmm_metrics::IncMetric kvmclock_ctrl_fails{::vmm_metrics_metric{800}};
// Time to emulate a port read
inline constexpr ::vmm_metrics::LatencyMetric exit_io_in_agg{::vmm_metrics_metric{808}};
// Time to emulate a port write
inline constexpr ::vmm_metrics::LatencyMetric exit_io_out_agg{::vmm_metrics_metric{840}};
// Time to emulate a read of device memory
inline constexpr ::vmm_metrics::LatencyMetric exit_mmio_read_agg{::vmm_metrics_metric{872}};
// Time to emulate a write to device memory
inline constexpr ::vmm_metrics::LatencyMetric exit_mmio_write_agg{::vmm_metrics_metric{904}};
}  // namespace vcpu

namespace vmm {
// Set to 1 by a panic or an abort of the VMM
inline constexpr ::vmm_metrics::StoreMetric panic_count{::vmm_metrics_metric{936}};
}  // namespace vmm

namespace signals {
// Set to 1 by SIGBUS: memory that its backing no longer provides
inline constexpr ::vmm_metrics::StoreMetric sigbus{::vmm_metrics_metric{944}};
// Set to 1 by SIGSEGV: an invalid memory access
inline constexpr ::vmm_metrics::StoreMetric sigsegv{::vmm_metrics_metric{952}};
// Set to 1 by SIGXFSZ: a file grew to its size limit
inline constexpr ::vmm_metrics::StoreMetric sigxfsz{::vmm_metrics_metric{960}};
// Set to 1 by SIGXCPU: the CPU time limit was reached
inline constexpr ::vmm_metrics::StoreMetric sigxcpu{::vmm_metrics_metric{968}};
// SIGPIPE received: a write to a pipe or socket that nobody reads
inline constexpr ::vmm_metrics::IncMetric sigpipe{::vmm_metrics_metric{976}};
// Set to 1 by SIGHUP: the controlling terminal is gone
inline constexpr ::vmm_metrics::StoreMetric sighup{::vmm_metrics_metric{984}};
// Set to 1 by SIGILL: an invalid instruction
inline constexpr ::vmm_metrics::StoreMetric sigill{::vmm_metrics_metric{992}};
}  // namespace signals

namespace vsock {
// Failed activations of the vsock device
inline constexpr ::vmm_metrics::IncMetric activate_fails{::vmm_metrics_metric{1000}};
// Failed accesses to the configuration space of the vsock device
inline constexpr ::vmm_metrics::IncMetric cfg_fails{::vmm_metrics_metric{1008}};
// Receive queue events that could not be handled
inline constexpr ::vmm_metrics::IncMetric rx_queue_event_fails{::vmm_metrics_metric{1016}};
// Transmit queue events that could not be handled
inline constexpr ::vmm_metrics::IncMetric tx_queue_event_fails{::vmm_metrics_metric{1024}};
// Event queue events that could not be handled
inline constexpr ::vmm_metrics::IncMetric ev_queue_event_fails{::vmm_metrics_metric{1032}};
// Events of the host sockets that could not be handled or dispatched
inline constexpr ::vmm_metrics::IncMetric muxer_event_fails{::vmm_metrics_metric{1040}};
// Events of a single connection that could not be handled
inline constexpr ::vmm_metrics::IncMetric conn_event_fails{::vmm_metrics_metric{1048}};
// Notifications by the guest that receive buffers are ready
inline constexpr ::vmm_metrics::IncMetric rx_queue_event_count{::vmm_metrics_metric{1056}};
// Notifications by the guest that packets are waiting
inline constexpr ::vmm_metrics::IncMetric tx_queue_event_count{::vmm_metrics_metric{1064}};
// Data from the host to the guest
inline constexpr ::vmm_metrics::IncMetric rx_bytes_count{::vmm_metrics_metric{1072}};
// Data from the guest to the host
inline constexpr ::vmm_metrics::IncMetric tx_bytes_count{::vmm_metrics_metric{1080}};
// Packets from the host to the guest
inline constexpr ::vmm_metrics::IncMetric rx_packets_count{::vmm_metrics_metric{1088}};
// Packets from the guest to the host
inline constexpr ::vmm_metrics::IncMetric tx_packets_count{::vmm_metrics_metric{1096}};
// Connections opened
inline constexpr ::vmm_metrics::IncMetric conns_added{::vmm_metrics_metric{1104}};
// Connections ended by force, with a reset to the guest
inline constexpr ::vmm_metrics::IncMetric conns_killed{::vmm_metrics_metric{1112}};
// Connections closed and forgotten
inline constexpr ::vmm_metrics::IncMetric conns_removed{::vmm_metrics_metric{1120}};
// Rebuilds of the queue of connections that are to be ended by force
inline constexpr ::vmm_metrics::IncMetric killq_resync{::vmm_metrics_metric{1128}};
// Failures to pass buffered guest data on to the host socket
inline constexpr ::vmm_metrics::IncMetric tx_flush_fails{::vmm_metrics_metric{1136}};
// Failed writes of guest data to the host socket
inline constexpr ::vmm_metrics::IncMetric tx_write_fails{::vmm_metrics_metric{1144}};
// Failed reads from the host socket
inline constexpr ::vmm_metrics::IncMetric rx_read_fails{::vmm_metrics_metric{1152}};
}  // namespace vsock

namespace entropy {
// Failed activations of the entropy device
inline constexpr ::vmm_metrics::IncMetric activate_fails{::vmm_metrics_metric{1160}};
// Requests and events that could not be handled
inline constexpr ::vmm_metrics::IncMetric entropy_event_fails{::vmm_metrics_metric{1168}};
// Requests for random bytes taken from the queue
inline constexpr ::vmm_metrics::IncMetric entropy_event_count{::vmm_metrics_metric{1176}};
// Random bytes given to the guest
inline constexpr ::vmm_metrics::IncMetric entropy_bytes{::vmm_metrics_metric{1184}};
// Times that the host had no random bytes to give
inline constexpr ::vmm_metrics::IncMetric host_rng_fails{::vmm_metrics_metric{1192}};
// Times that the rate limiter held a request back
inline constexpr ::vmm_metrics::IncMetric entropy_rate_limiter_throttled{::vmm_metrics_metric{1200}};
// Wake-ups by the rate limiter, and notifications while it blocked
inline constexpr ::vmm_metrics::IncMetric rate_limiter_event_count{::vmm_metrics_metric{1208}};
}  // namespace entropy

namespace pmem {
// A device of the group 'pmem'. A device that alloc() has not made counts nowhere.
struct Device : ::vmm_metrics::Device {
  // Failed activations of the pmem device
  ::vmm_metrics::IncMetric activate_fails;
  // Failed accesses to the configuration space of the pmem device
  ::vmm_metrics::IncMetric cfg_fails;
  // Flush requests and queue events that could not be handled
  ::vmm_metrics::IncMetric event_fails;
  // Notifications by the guest that flush requests are waiting
  ::vmm_metrics::IncMetric queue_event_count;
};

// Finds the device `id`, or makes it. If that fails, `*problem` says why, and the device counts in the aggregate.
inline Device alloc(const ::vmm_metrics_store& store, ::std::string_view id, ::std::string* problem = nullptr) {
  Device device;
  const ::vmm_metrics::DeviceCells cells(store, "pmem", id, &device, problem);
  cells.find(0, &device.activate_fails);
  cells.find(1, &device.cfg_fails);
  cells.find(2, &device.event_fails);
  cells.find(3, &device.queue_event_count);
  return device;
}

// Releases what alloc() returned: no thread counts on it any more. False if it was released already.
inline bool release(const ::vmm_metrics_store& store, const Device& device) {
  return ::vmm_metrics::release(store, device);
}

// Takes the device `id` out of the line. False if there is no such device.
inline bool remove(const ::vmm_metrics_store& store, ::std::string_view id) {
  return ::vmm_metrics::remove(store, "pmem", id);
}
}  // namespace pmem

namespace vhost_user {
// A device of the group 'vhost_user'. A device that alloc() has not made counts nowhere.
struct Device : ::vmm_metrics::Device {
  // Failed activations of the vhost-user device
  ::vmm_metrics::IncMetric activate_fails;
  // Failed accesses to the configuration space of the vhost-user device
  ::vmm_metrics::IncMetric cfg_fails;
  // Time to connect to the backend and agree on features
  ::vmm_metrics::StoreMetric init_time_us;
  // Time of the last activation
  ::vmm_metrics::StoreMetric activate_time_us;
  // Time to take over the last change of configuration from the backend
  ::vmm_metrics::StoreMetric config_change_time_us;
};

// Finds the device `id`, or makes it. If that fails, `*problem` says why, and the device counts in the aggregate.
inline Device alloc(const ::vmm_metrics_store& store, ::std::string_view id, ::std::string* problem = nullptr) {
  Device device;
  const ::vmm_metrics::DeviceCells cells(store, "vhost_user", id, &device, problem);
  cells.find(0, &device.activate_fails);
  cells.find(1, &device.cfg_fails);
  cells.find(2, &device.init_time_us);
  cells.find(3, &device.activate_time_us);
  cells.find(4, &device.config_change_time_us);
  return device;
}

// Releases what alloc() returned: no thread counts on it any more. False if it was released already.
inline bool release(const ::vmm_metrics_store& store, const Device& device) {
  return ::vmm_metrics::release(store, device);
}

// Takes the device `id` out of the line. False if there is no such device.
inline bool remove(const ::vmm_metrics_store& store, ::std::string_view id) {
  return ::vmm_metrics::remove(store, "vhost_user", id);
}
}  // namespace vhost_user

namespace interrupts {
// Interrupts sent to the guest by its devices
inline constexpr ::vmm_metrics::IncMetric triggers{::vmm_metrics_metric{1216}};
// Changes of an interrupt vector (MSI-X) by the guest
inline constexpr ::vmm_metrics::IncMetric config_updates{::vmm_metrics_metric{1224}};
}  // namespace interrupts

namespace memory_hotplug {
// Failed activations of the memory device
inline constexpr ::vmm_metrics::IncMetric activate_fails{::vmm_metrics_metric{1232}};
// Queue events that could not be handled
inline constexpr ::vmm_metrics::IncMetric queue_event_fails{::vmm_metrics_metric{1240}};
// Notifications by the guest that requests are waiting
inline constexpr ::vmm_metrics::IncMetric queue_event_count{::vmm_metrics_metric{1248}};
// Time to serve a plug request
inline constexpr ::vmm_metrics::LatencyMetric plug_agg{::vmm_metrics_metric{1256}};
// Plug requests: the guest takes memory into use
inline constexpr ::vmm_metrics::IncMetric plug_count{::vmm_metrics_metric{1288}};
// Memory plugged
inline constexpr ::vmm_metrics::IncMetric plug_bytes{::vmm_metrics_metric{1296}};
// Plug requests that failed
inline constexpr ::vmm_metrics::IncMetric plug_fails{::vmm_metrics_metric{1304}};
// Time to serve an unplug request
inline constexpr ::vmm_metrics::LatencyMetric unplug_agg{::vmm_metrics_metric{1312}};
// Unplug requests: the guest gives memory up
inline constexpr ::vmm_metrics::IncMetric unplug_count{::vmm_metrics_metric{1344}};
// Memory unplugged, without what unplug-all requests gave up
inline constexpr ::vmm_metrics::IncMetric unplug_bytes{::vmm_metrics_metric{1352}};
// Unplug requests that failed
inline constexpr ::vmm_metrics::IncMetric unplug_fails{::vmm_metrics_metric{1360}};
// Unplugged ranges that the host could not reclaim
inline constexpr ::vmm_metrics::IncMetric unplug_discard_fails{::vmm_metrics_metric{1368}};
// Time to serve an unplug-all request
inline constexpr ::vmm_metrics::LatencyMetric unplug_all_agg{::vmm_metrics_metric{1376}};
// Unplug-all requests: the guest gives up all of it
inline constexpr ::vmm_metrics::IncMetric unplug_all_count{::vmm_metrics_metric{1408}};
// Unplug-all requests that failed
inline constexpr ::vmm_metrics::IncMetric unplug_all_fails{::vmm_metrics_metric{1416}};
// Time to serve a state request
inline constexpr ::vmm_metrics::LatencyMetric state_agg{::vmm_metrics_metric{1424}};
// State requests: the guest asks whether a range is plugged
inline constexpr ::vmm_metrics::IncMetric state_count{::vmm_metrics_metric{1456}};
// State requests that failed
inline constexpr ::vmm_metrics::IncMetric state_fails{::vmm_metrics_metric{1464}};
}  // namespace memory_hotplug

// What attach() compares with the schema of the store.
inline constexpr ::vmm_metrics_fact facts[] = {
    {"utc_timestamp_ms", "utcTimestampMs()", VMM_METRICS_NO_CELL},
    {"api_server", "group()", VMM_METRICS_NO_CELL},
    {"api_server.process_startup_time_us", "store(startTime: wall)", 0},
    {"api_server.process_startup_time_cpu_us", "store(startTime: cpu)", 1},
    {"balloon", "group()", VMM_METRICS_NO_CELL},
    {"balloon.activate_fails", "inc()", 2},
    {"balloon.inflate_count", "inc()", 3},
    {"balloon.stats_updates_count", "inc()", 4},
    {"balloon.stats_update_fails", "inc()", 5},
    {"balloon.deflate_count", "inc()", 6},
    {"balloon.event_fails", "inc()", 7},
    {"balloon.free_page_report_count", "inc()", 8},
    {"balloon.free_page_report_freed", "inc()", 9},
    {"balloon.free_page_report_fails", "inc()", 10},
    {"balloon.free_page_hint_count", "inc()", 11},
    {"balloon.free_page_hint_freed", "inc()", 12},
    {"balloon.free_page_hint_fails", "inc()", 13},
    {"block", "perDevice(aggregate: true, latencyAggregate: zero)", VMM_METRICS_NO_CELL},
    {"block.activate_fails", "inc()", 0},
    {"block.cfg_fails", "inc()", 1},
    {"block.no_avail_buffer", "inc()", 2},
    {"block.event_fails", "inc()", 3},
    {"block.execute_fails", "inc()", 4},
    {"block.invalid_reqs_count", "inc()", 5},
    {"block.flush_count", "inc()", 6},
    {"block.queue_event_count", "inc()", 7},
    {"block.rate_limiter_event_count", "inc()", 8},
    {"block.update_count", "inc()", 9},
    {"block.update_fails", "inc()", 10},
    {"block.read_bytes", "inc()", 11},
    {"block.write_bytes", "inc()", 12},
    {"block.read_count", "inc()", 13},
    {"block.write_count", "inc()", 14},
    {"block.read_agg", "latency(counted)", 15},
    {"block.write_agg", "latency(counted)", 19},
    {"block.rate_limiter_throttled_events", "inc()", 23},
    {"block.io_engine_throttled_events", "inc()", 24},
    {"block.remaining_reqs_count", "inc()", 25},
    {"deprecated_api", "group()", VMM_METRICS_NO_CELL},
    {"deprecated_api.deprecated_http_api_calls", "inc()", 14},
    {"get_api_requests", "group()", VMM_METRICS_NO_CELL},
    {"get_api_requests.instance_info_count", "inc()", 15},
    {"get_api_requests.machine_cfg_count", "inc()", 16},
    {"get_api_requests.mmds_count", "inc()", 17},
    {"get_api_requests.vmm_version_count", "inc()", 18},
    {"get_api_requests.hotplug_memory_count", "inc()", 19},
    {"i8042", "group()", VMM_METRICS_NO_CELL},
    {"i8042.error_count", "inc()", 20},
    {"i8042.missed_read_count", "inc()", 21},
    {"i8042.missed_write_count", "inc()", 22},
    {"i8042.read_count", "inc()", 23},
    {"i8042.reset_count", "inc()", 24},
    {"i8042.write_count", "inc()", 25},
    {"uart", "group()", VMM_METRICS_NO_CELL},
    {"uart.error_count", "inc()", 26},
    {"uart.flush_count", "inc()", 27},
    {"uart.missed_read_count", "inc()", 28},
    {"uart.missed_write_count", "inc()", 29},
    {"uart.read_count", "inc()", 30},
    {"uart.write_count", "inc()", 31},
    {"latencies_us", "group()", VMM_METRICS_NO_CELL},
    {"latencies_us.full_create_snapshot", "store()", 32},
    {"latencies_us.diff_create_snapshot", "store()", 33},
    {"latencies_us.load_snapshot", "store()", 34},
    {"latencies_us.pause_vm", "store()", 35},
    {"latencies_us.resume_vm", "store()", 36},
    {"latencies_us.vmm_full_create_snapshot", "store()", 37},
    {"latencies_us.vmm_diff_create_snapshot", "store()", 38},
    {"latencies_us.vmm_load_snapshot", "store()", 39},
    {"latencies_us.vmm_pause_vm", "store()", 40},
    {"latencies_us.vmm_resume_vm", "store()", 41},
    {"logger", "group()", VMM_METRICS_NO_CELL},
    {"logger.missed_metrics_count", "inc(onMissedFlush: true)", 42},
    {"logger.metrics_fails", "inc(onError: true)", 43},
    {"logger.missed_log_count", "inc()", 44},
    {"mmds", "group()", VMM_METRICS_NO_CELL},
    {"mmds.rx_accepted", "inc()", 45},
    {"mmds.rx_accepted_err", "inc()", 46},
    {"mmds.rx_accepted_unusual", "inc()", 47},
    {"mmds.rx_bad_eth", "inc()", 48},
    {"mmds.rx_invalid_token", "inc()", 49},
    {"mmds.rx_no_token", "inc()", 50},
    {"mmds.rx_count", "inc()", 51},
    {"mmds.tx_bytes", "inc()", 52},
    {"mmds.tx_count", "inc()", 53},
    {"mmds.tx_errors", "inc()", 54},
    {"mmds.tx_frames", "inc()", 55},
    {"mmds.connections_created", "inc()", 56},
    {"mmds.connections_destroyed", "inc()", 57},
    {"net", "perDevice(aggregate: true, latencyAggregate: zero)", VMM_METRICS_NO_CELL},
    {"net.activate_fails", "inc()", 0},
    {"net.cfg_fails", "inc()", 1},
    {"net.mac_address_updates", "inc()", 2},
    {"net.no_rx_avail_buffer", "inc()", 3},
    {"net.no_tx_avail_buffer", "inc()", 4},
    {"net.event_fails", "inc()", 5},
    {"net.rx_queue_event_count", "inc()", 6},
    {"net.rx_event_rate_limiter_count", "inc()", 7},
    {"net.rx_rate_limiter_throttled", "inc()", 8},
    {"net.rx_tap_event_count", "inc()", 9},
    {"net.rx_bytes_count", "inc()", 10},
    {"net.rx_packets_count", "inc()", 11},
    {"net.rx_fails", "inc()", 12},
    {"net.rx_count", "inc()", 13},
    {"net.tap_read_fails", "inc()", 14},
    {"net.tap_write_fails", "inc()", 15},
    {"net.tap_write_agg", "latency(counted)", 16},
    {"net.tx_bytes_count", "inc()", 20},
    {"net.tx_malformed_frames", "inc()", 21},
    {"net.tx_fails", "inc()", 22},
    {"net.tx_count", "inc()", 23},
    {"net.tx_packets_count", "inc()", 24},
    {"net.tx_queue_event_count", "inc()", 25},
    {"net.tx_rate_limiter_event_count", "inc()", 26},
    {"net.tx_rate_limiter_throttled", "inc()", 27},
    {"net.tx_spoofed_mac_count", "inc()", 28},
    {"net.tx_remaining_reqs_count", "inc()", 29},
    {"patch_api_requests", "group()", VMM_METRICS_NO_CELL},
    {"patch_api_requests.drive_count", "inc()", 58},
    {"patch_api_requests.drive_fails", "inc()", 59},
    {"patch_api_requests.network_count", "inc()", 60},
    {"patch_api_requests.network_fails", "inc()", 61},
    {"patch_api_requests.machine_cfg_count", "inc()", 62},
    {"patch_api_requests.machine_cfg_fails", "inc()", 63},
    {"patch_api_requests.mmds_count", "inc()", 64},
    {"patch_api_requests.mmds_fails", "inc()", 65},
    {"patch_api_requests.hotplug_memory_count", "inc()", 66},
    {"patch_api_requests.hotplug_memory_fails", "inc()", 67},
    {"put_api_requests", "group()", VMM_METRICS_NO_CELL},
    {"put_api_requests.actions_count", "inc()", 68},
    {"put_api_requests.actions_fails", "inc()", 69},
    {"put_api_requests.boot_source_count", "inc()", 70},
    {"put_api_requests.boot_source_fails", "inc()", 71},
    {"put_api_requests.drive_count", "inc()", 72},
    {"put_api_requests.drive_fails", "inc()", 73},
    {"put_api_requests.logger_count", "inc()", 74},
    {"put_api_requests.logger_fails", "inc()", 75},
    {"put_api_requests.machine_cfg_count", "inc()", 76},
    {"put_api_requests.machine_cfg_fails", "inc()", 77},
    {"put_api_requests.cpu_cfg_count", "inc()", 78},
    {"put_api_requests.cpu_cfg_fails", "inc()", 79},
    {"put_api_requests.metrics_count", "inc()", 80},
    {"put_api_requests.metrics_fails", "inc()", 81},
    {"put_api_requests.network_count", "inc()", 82},
    {"put_api_requests.network_fails", "inc()", 83},
    {"put_api_requests.mmds_count", "inc()", 84},
    {"put_api_requests.mmds_fails", "inc()", 85},
    {"put_api_requests.vsock_count", "inc()", 86},
    {"put_api_requests.vsock_fails", "inc()", 87},
    {"put_api_requests.pmem_count", "inc()", 88},
    {"put_api_requests.pmem_fails", "inc()", 89},
    {"put_api_requests.serial_count", "inc()", 90},
    {"put_api_requests.serial_fails", "inc()", 91},
    {"put_api_requests.hotplug_memory_count", "inc()", 92},
    {"put_api_requests.hotplug_memory_fails", "inc()", 93},
    {"seccomp", "group()", VMM_METRICS_NO_CELL},
    {"seccomp.num_faults", "store(onSignal: SIGSYS)", 94},
    {"vcpu", "group()", VMM_METRICS_NO_CELL},
    {"vcpu.exit_io_in", "inc()", 95},
    {"vcpu.exit_io_out", "inc()", 96},
    {"vcpu.exit_mmio_read", "inc()", 97},
    {"vcpu.exit_mmio_write", "inc()", 98},
    {"vcpu.failures", "inc()", 99},
    {"vcpu.kvmclock_ctrl_fails", "inc()", 100},
    {"vcpu.exit_io_in_agg", "latency(counted)", 101},
    {"vcpu.exit_io_out_agg", "latency(counted)", 105},
    {"vcpu.exit_mmio_read_agg", "latency(counted)", 109},
    {"vcpu.exit_mmio_write_agg", "latency(counted)", 113},
    {"vmm", "group()", VMM_METRICS_NO_CELL},
    {"vmm.panic_count", "store(onSignal: SIGABRT, onPanic: true)", 117},
    {"signals", "group()", VMM_METRICS_NO_CELL},
    {"signals.sigbus", "store(onSignal: SIGBUS)", 118},
    {"signals.sigsegv", "store(onSignal: SIGSEGV)", 119},
    {"signals.sigxfsz", "store(onSignal: SIGXFSZ)", 120},
    {"signals.sigxcpu", "store(onSignal: SIGXCPU)", 121},
    {"signals.sigpipe", "inc(onSignal: SIGPIPE)", 122},
    {"signals.sighup", "store(onSignal: SIGHUP)", 123},
    {"signals.sigill", "store(onSignal: SIGILL)", 124},
    {"vsock", "group()", VMM_METRICS_NO_CELL},
    {"vsock.activate_fails", "inc()", 125},
    {"vsock.cfg_fails", "inc()", 126},
    {"vsock.rx_queue_event_fails", "inc()", 127},
    {"vsock.tx_queue_event_fails", "inc()", 128},
    {"vsock.ev_queue_event_fails", "inc()", 129},
    {"vsock.muxer_event_fails", "inc()", 130},
    {"vsock.conn_event_fails", "inc()", 131},
    {"vsock.rx_queue_event_count", "inc()", 132},
    {"vsock.tx_queue_event_count", "inc()", 133},
    {"vsock.rx_bytes_count", "inc()", 134},
    {"vsock.tx_bytes_count", "inc()", 135},
    {"vsock.rx_packets_count", "inc()", 136},
    {"vsock.tx_packets_count", "inc()", 137},
    {"vsock.conns_added", "inc()", 138},
    {"vsock.conns_killed", "inc()", 139},
    {"vsock.conns_removed", "inc()", 140},
    {"vsock.killq_resync", "inc()", 141},
    {"vsock.tx_flush_fails", "inc()", 142},
    {"vsock.tx_write_fails", "inc()", 143},
    {"vsock.rx_read_fails", "inc()", 144},
    {"entropy", "group()", VMM_METRICS_NO_CELL},
    {"entropy.activate_fails", "inc()", 145},
    {"entropy.entropy_event_fails", "inc()", 146},
    {"entropy.entropy_event_count", "inc()", 147},
    {"entropy.entropy_bytes", "inc()", 148},
    {"entropy.host_rng_fails", "inc()", 149},
    {"entropy.entropy_rate_limiter_throttled", "inc()", 150},
    {"entropy.rate_limiter_event_count", "inc()", 151},
    {"pmem", "perDevice(aggregate: true, latencyAggregate: zero)", VMM_METRICS_NO_CELL},
    {"pmem.activate_fails", "inc()", 0},
    {"pmem.cfg_fails", "inc()", 1},
    {"pmem.event_fails", "inc()", 2},
    {"pmem.queue_event_count", "inc()", 3},
    {"vhost_user", "perDevice(aggregate: false, latencyAggregate: extremum)", VMM_METRICS_NO_CELL},
    {"vhost_user.activate_fails", "inc()", 0},
    {"vhost_user.cfg_fails", "inc()", 1},
    {"vhost_user.init_time_us", "store()", 2},
    {"vhost_user.activate_time_us", "store()", 3},
    {"vhost_user.config_change_time_us", "store()", 4},
    {"interrupts", "group()", VMM_METRICS_NO_CELL},
    {"interrupts.triggers", "inc()", 152},
    {"interrupts.config_updates", "inc()", 153},
    {"memory_hotplug", "group()", VMM_METRICS_NO_CELL},
    {"memory_hotplug.activate_fails", "inc()", 154},
    {"memory_hotplug.queue_event_fails", "inc()", 155},
    {"memory_hotplug.queue_event_count", "inc()", 156},
    {"memory_hotplug.plug_agg", "latency(counted)", 157},
    {"memory_hotplug.plug_count", "inc()", 161},
    {"memory_hotplug.plug_bytes", "inc()", 162},
    {"memory_hotplug.plug_fails", "inc()", 163},
    {"memory_hotplug.unplug_agg", "latency(counted)", 164},
    {"memory_hotplug.unplug_count", "inc()", 168},
    {"memory_hotplug.unplug_bytes", "inc()", 169},
    {"memory_hotplug.unplug_fails", "inc()", 170},
    {"memory_hotplug.unplug_discard_fails", "inc()", 171},
    {"memory_hotplug.unplug_all_agg", "latency(counted)", 172},
    {"memory_hotplug.unplug_all_count", "inc()", 176},
    {"memory_hotplug.unplug_all_fails", "inc()", 177},
    {"memory_hotplug.state_agg", "latency(counted)", 178},
    {"memory_hotplug.state_count", "inc()", 182},
    {"memory_hotplug.state_fails", "inc()", 183},
};

#ifndef VMM_METRICS_WITHOUT_NODE_API
// Attaches to the store of `external`, which is `metrics.native`, on the JS thread of `env`. Returns "", or a
// sentence that says why not: the first difference between the schemas, if they differ. With VMM_METRICS_BEGINNING, the
// schema of the store may have more behind the metrics of this header. Detach with vmm_metrics_detach().
inline ::std::string attach(napi_env env, napi_value external, ::vmm_metrics_store* store,
                            ::vmm_metrics_match match = VMM_METRICS_WHOLE) {
  return ::vmm_metrics::attach(env, external, facts, sizeof(facts) / sizeof(facts[0]), match, store);
}
#endif

}  // namespace metrics
