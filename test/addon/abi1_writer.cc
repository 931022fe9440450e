// An addon that was built with version 1 of the public header: abi1/vmm_metrics.h is that header, and never changes.

#include <node_api.h>

#include <string>
#include <thread>

#include "abi1/vmm_metrics.h"

static_assert(VMM_METRICS_ABI_VERSION == 1);

namespace {

napi_value Text(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.c_str(), text.size(), &value);
  return value;
}

// Counts with everything that version 1 has. Returns what went wrong, or "".
std::string CountAll(const vmm_metrics_store& store) {
  std::string problem;
  const auto check = [&](const char* what, vmm_metrics_status status) {
    if (status != VMM_METRICS_OK && problem.empty()) problem = std::string(what) + ": " + vmm_metrics_status_text(status);
  };
  vmm_metrics_metric n = {}, level = {}, time = {}, ops = {};
  check("g.n", vmm_metrics_find(&store, "g.n", VMM_METRICS_INC, &n));
  check("g.level", vmm_metrics_find(&store, "g.level", VMM_METRICS_STORE, &level));
  check("g.time", vmm_metrics_find(&store, "g.time", VMM_METRICS_LATENCY, &time));
  vmm_metrics_device disk = {}, gone = {};
  check("disk a", vmm_metrics_alloc_device(&store, "disk", "a", 1, &disk));
  check("disk.ops", vmm_metrics_find_in_device(&store, disk, "ops", VMM_METRICS_INC, &ops));
  check("disk b", vmm_metrics_alloc_device(&store, "disk", "b", 1, &gone));
  check("release", vmm_metrics_release_device(&store, gone));
  check("remove", vmm_metrics_remove_device(&store, "disk", "b", 1));
  if (!problem.empty()) return problem;
  std::thread([&] {
    const vmm_metrics::Shard shard(store);
    for (int i = 0; i < 1'000; i++) vmm_metrics::IncMetric(n).inc(shard);
    vmm_metrics::StoreMetric(level).store(shard, 7);
    vmm_metrics::LatencyMetric(time).observe(shard, 20);
    vmm_metrics::LatencyMetric(time).observe(shard, 10);
    vmm_metrics::IncMetric(ops).add(shard, 3);
  }).join();
  vmm_metrics_shard shared;
  vmm_metrics_shared_shard(&store, &shared);
  vmm_metrics_add(&shared, n, 5);
  vmm_metrics_observe(&shared, time, 30);
  return "";
}

// countAll(external, fingerprint)
napi_value Run(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  uint64_t fingerprint = 0;
  bool is_lossless = true;
  napi_get_value_bigint_uint64(env, arguments[1], &fingerprint, &is_lossless);
  vmm_metrics_store store;
  const vmm_metrics_status status = vmm_metrics_attach(env, arguments[0], fingerprint, &store);
  if (status != VMM_METRICS_OK) return Text(env, vmm_metrics_status_text(status));
  const std::string problem = CountAll(store);
  vmm_metrics_detach(&store);
  return Text(env, problem);
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "countAll", NAPI_AUTO_LENGTH, Run, nullptr, &function);
  napi_set_named_property(env, exports, "countAll", function);
  return exports;
}
