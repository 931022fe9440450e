#include "vmm_counters.h"

namespace kvm_vmm {

std::string VmmCounters::Find(const vmm_metrics_store& store, const std::string& disk) {
  std::string problem;
  const auto check = [&problem](const std::string& name, vmm_metrics_status status) {
    if (status != VMM_METRICS_OK && problem.empty()) problem = name + ": " + vmm_metrics_status_text(status);
  };
  const auto inc = [&](const char* path, vmm_metrics::IncMetric* out) {
    vmm_metrics_metric metric = {};
    check(path, vmm_metrics_find(&store, path, VMM_METRICS_INC, &metric));
    *out = vmm_metrics::IncMetric(metric);
  };
  const auto latency = [&](const char* path, vmm_metrics::LatencyMetric* out) {
    vmm_metrics_metric metric = {};
    check(path, vmm_metrics_find(&store, path, VMM_METRICS_LATENCY, &metric));
    *out = vmm_metrics::LatencyMetric(metric);
  };
  inc("vcpu.exit_io_in", &exit_io_in);
  inc("vcpu.exit_io_out", &exit_io_out);
  inc("vcpu.exit_mmio_read", &exit_mmio_read);
  inc("vcpu.exit_mmio_write", &exit_mmio_write);
  inc("vcpu.failures", &failures);
  latency("vcpu.exit_io_in_agg", &exit_io_in_agg);
  latency("vcpu.exit_io_out_agg", &exit_io_out_agg);
  latency("vcpu.exit_mmio_read_agg", &exit_mmio_read_agg);
  latency("vcpu.exit_mmio_write_agg", &exit_mmio_write_agg);
  inc("uart.read_count", &uart_read_count);
  inc("uart.write_count", &uart_write_count);
  inc("uart.missed_write_count", &uart_missed_write_count);
  inc("interrupts.triggers", &interrupt_triggers);

  vmm_metrics_device device = {};
  const vmm_metrics_status made = vmm_metrics_alloc_device(&store, "block", disk.data(), disk.size(), &device);
  check("block device " + disk, made);
  if (made != VMM_METRICS_OK) return problem;
  const auto of_disk = [&](const char* field, vmm_metrics::IncMetric* out) {
    vmm_metrics_metric metric = {};
    check(std::string("block.") + field, vmm_metrics_find_in_device(&store, device, field, VMM_METRICS_INC, &metric));
    *out = vmm_metrics::IncMetric(metric);
  };
  of_disk("queue_event_count", &disk_queue_event_count);
  of_disk("no_avail_buffer", &disk_no_avail_buffer);
  of_disk("invalid_reqs_count", &disk_invalid_reqs_count);
  of_disk("io_engine_throttled_events", &disk_io_engine_throttled_events);
  return problem;
}

}  // namespace kvm_vmm
