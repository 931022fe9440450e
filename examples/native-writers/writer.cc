// A native writer in C++, with the header that `vmm-metrics codegen` made from schema.mjs.

#include <node_api.h>

#include <string>
#include <thread>
#include <vector>

#include "metrics.gen.h"

namespace {

// A device function needs no shard from its caller.
void HandleFlush(const vmm_metrics_store& store, const metrics::pmem::Device& drive, uint64_t bytes) {
  const vmm_metrics::Shard shard = vmm_metrics::Shard::current(store);
  drive.flush_count.inc(shard);
  drive.flush_bytes.observe(shard, bytes);
}

void RunVcpu(const vmm_metrics_store& store, const metrics::pmem::Device& drive, uint32_t times) {
  const vmm_metrics::Shard shard(store);
  metrics::vcpu::state.store(shard, 1);
  for (uint32_t i = 0; i < times; i++) {
    const vmm_metrics::LatencyRecord record(shard, metrics::vcpu::exit_io_out_agg);
    metrics::vcpu::exit_io_out.inc(shard);
    metrics::vcpu::halt_agg.observe_ns(shard, 1'000 * i + 999);
    if (i % 10 == 0) HandleFlush(store, drive, i);
  }
  metrics::vcpu::state.store(shard, 0);
}

std::string Run(napi_env env, napi_value external, uint32_t threads, uint32_t times) {
  vmm_metrics_store store;
  std::string problem = metrics::attach(env, external, &store);
  if (!problem.empty()) return problem;
  const metrics::pmem::Device drive = metrics::pmem::alloc(store, "drv0", &problem);
  if (problem.empty()) {
    std::vector<std::thread> vcpus;
    for (uint32_t i = 0; i < threads; i++) vcpus.emplace_back([&] { RunVcpu(store, drive, times); });
    for (std::thread& vcpu : vcpus) vcpu.join();
    metrics::pmem::release(store, drive);
  }
  vmm_metrics_detach(&store);
  return problem;
}

// run(metrics.native, threads, times): "", or why nothing was counted.
napi_value RunFromJavaScript(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3;
  uint32_t threads = 0, times = 0;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  napi_get_value_uint32(env, arguments[1], &threads);
  napi_get_value_uint32(env, arguments[2], &times);
  const std::string problem = Run(env, arguments[0], threads, times);
  napi_value text;
  napi_create_string_utf8(env, problem.c_str(), problem.size(), &text);
  return text;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value run;
  napi_create_function(env, "run", NAPI_AUTO_LENGTH, RunFromJavaScript, nullptr, &run);
  napi_set_named_property(env, exports, "run", run);
  return exports;
}
