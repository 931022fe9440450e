// The metrics that the vCPU thread counts, looked up by name once. Their values live in the store that JavaScript
// opened.
//
// Thread-safety: plain handles; any thread may read them after Find.
// Units:         latencies in microseconds.

#pragma once

#include <string>

#include "vmm_metrics.h"

namespace kvm_vmm {

struct VmmCounters {
  // Looks up all metrics. If one is missing, returns its name and the reason, otherwise "". `disk` is the id of the
  // block device; its metrics are the same as those of metrics.app.block.alloc(disk) in JavaScript.
  std::string Find(const vmm_metrics_store& store, const std::string& disk);

  vmm_metrics::IncMetric exit_io_in, exit_io_out, exit_mmio_read, exit_mmio_write, failures;
  vmm_metrics::LatencyMetric exit_io_in_agg, exit_io_out_agg, exit_mmio_read_agg, exit_mmio_write_agg;
  vmm_metrics::IncMetric uart_read_count, uart_write_count, uart_missed_write_count;
  vmm_metrics::IncMetric interrupt_triggers;
  vmm_metrics::IncMetric disk_queue_event_count, disk_no_avail_buffer, disk_invalid_reqs_count, disk_io_engine_throttled_events;
};

}  // namespace kvm_vmm
