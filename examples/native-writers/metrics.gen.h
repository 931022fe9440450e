// clang-format off
// The metrics of schema.mjs for native code, as typed constants with fixed offsets. `vmm-metrics codegen` wrote this
// file: do not edit it.
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
inline constexpr ::std::uint64_t fingerprint = 0x753d2fb02e2977f3;

namespace vcpu {
// KVM exits for a port write
inline constexpr ::vmm_metrics::IncMetric exit_io_out{::vmm_metrics_metric{0}};
// Time to handle a port write
inline constexpr ::vmm_metrics::LatencyMetric exit_io_out_agg{::vmm_metrics_metric{8}};
// What the vCPU does: 0 it is stopped, 1 it runs
inline constexpr ::vmm_metrics::StoreMetric state{::vmm_metrics_metric{40}};
}  // namespace vcpu

namespace pmem {
// A device of the group 'pmem'. A device that alloc() has not made counts nowhere.
struct Device : ::vmm_metrics::Device {
  // Flush requests of the guest
  ::vmm_metrics::IncMetric flush_count;
  // Queue events that could not be handled
  ::vmm_metrics::IncMetric event_fails;
};

// Finds the device `id`, or makes it. If that fails, `*problem` says why, and the device counts in the aggregate.
inline Device alloc(const ::vmm_metrics_store& store, ::std::string_view id, ::std::string* problem = nullptr) {
  Device device;
  const ::vmm_metrics::DeviceCells cells(store, "pmem", id, &device, problem);
  cells.find(0, &device.flush_count);
  cells.find(1, &device.event_fails);
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

// What attach() compares with the schema of the store.
inline constexpr ::vmm_metrics_fact facts[] = {
    {"utc_timestamp_ms", "utcTimestampMs()", VMM_METRICS_NO_CELL},
    {"vcpu", "group()", VMM_METRICS_NO_CELL},
    {"vcpu.exit_io_out", "inc()", 0},
    {"vcpu.exit_io_out_agg", "latency(counted)", 1},
    {"vcpu.state", "store()", 5},
    {"pmem", "perDevice(aggregate: true, latencyAggregate: extremum)", VMM_METRICS_NO_CELL},
    {"pmem.flush_count", "inc()", 0},
    {"pmem.event_fails", "inc()", 1},
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
