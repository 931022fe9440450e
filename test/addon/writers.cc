// Native threads that count into a store through the public header.

#include <string.h>

#include <atomic>
#include <thread>
#include <vector>

#include "addon.h"
#include "vmm_metrics.h"

extern "C" vmm_metrics_status count_in_c(const vmm_metrics_store* store, const char* path, uint64_t n);

namespace {

vmm_metrics_store g_store = {nullptr};

napi_value Said(napi_env env, vmm_metrics_status status) { return Text(env, vmm_metrics_status_text(status)); }

// attach(external, fingerprint): the status as text.
napi_value Attach(napi_env env, napi_callback_info info) {
  uint64_t fingerprint = 0;
  bool lossless = true;
  napi_get_value_bigint_uint64(env, Argument(env, info, 1), &fingerprint, &lossless);
  vmm_metrics_store store;
  const vmm_metrics_status status = vmm_metrics_attach(env, Argument(env, info, 0), fingerprint, &store);
  if (status == VMM_METRICS_OK) {
    vmm_metrics_detach(&g_store);
    g_store = store;
  }
  return Said(env, status);
}

// attachOlder(isOlder): attaches to a copy of the attached store's table. An older table ends before the first function
// of ABI 2.
napi_value AttachOlder(napi_env env, napi_callback_info info) {
  static vmm_metrics_abi table;
  table = *g_store.abi;
  bool is_older = false;
  napi_get_value_bool(env, Argument(env, info, 0), &is_older);
  if (is_older) table.struct_bytes = offsetof(vmm_metrics_abi, current);
  napi_value external;
  napi_create_external(env, &table, nullptr, nullptr, &external);
  napi_type_tag_object(env, external, &vmm_metrics_type_tag);
  vmm_metrics_store store;
  const vmm_metrics_status status = vmm_metrics_attach(env, external, 0, &store);
  if (status == VMM_METRICS_OK) vmm_metrics_detach(&store);
  return Said(env, status);
}

napi_value Detach(napi_env env, napi_callback_info) {
  vmm_metrics_detach(&g_store);
  return Text(env, "ok");
}

// find(path, kind)
napi_value Find(napi_env env, napi_callback_info info) {
  vmm_metrics_metric metric;
  const auto kind = static_cast<vmm_metrics_kind>(NumberArgument(env, info, 1));
  return Said(env, vmm_metrics_find(&g_store, StringArgument(env, info, 0).c_str(), kind, &metric));
}

// count(path, threads, times, how): each thread makes `times` increments by 1, in its own shard or in the shared shard.
napi_value Count(napi_env env, napi_callback_info info) {
  const std::string path = StringArgument(env, info, 0);
  const int threads = static_cast<int>(NumberArgument(env, info, 1));
  const uint64_t times = static_cast<uint64_t>(NumberArgument(env, info, 2));
  const bool shared = StringArgument(env, info, 3) == "shared";
  vmm_metrics_metric metric;
  const vmm_metrics_status status = vmm_metrics_find(&g_store, path.c_str(), VMM_METRICS_INC, &metric);
  if (status != VMM_METRICS_OK) return Said(env, status);
  std::vector<std::thread> running;
  for (int t = 0; t < threads; t++) {
    running.emplace_back([=] {
      if (shared) {
        vmm_metrics_shard shard;
        vmm_metrics_shared_shard(&g_store, &shard);
        for (uint64_t i = 0; i < times; i++) vmm_metrics_add(&shard, metric, 1);
      } else {
        const vmm_metrics::Shard shard(g_store);
        const vmm_metrics::IncMetric inc(metric);
        for (uint64_t i = 0; i < times; i++) inc.inc(shard);
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  return Text(env, "ok");
}

napi_value CountInC(napi_env env, napi_callback_info info) {
  return Said(env,
              count_in_c(&g_store, StringArgument(env, info, 0).c_str(), static_cast<uint64_t>(NumberArgument(env, info, 1))));
}

// observe(path, us, how); set(path, value)
napi_value Observe(napi_env env, napi_callback_info info) {
  vmm_metrics_metric metric;
  const vmm_metrics_status status =
      vmm_metrics_find(&g_store, StringArgument(env, info, 0).c_str(), VMM_METRICS_LATENCY, &metric);
  if (status != VMM_METRICS_OK) return Said(env, status);
  const uint64_t us = static_cast<uint64_t>(NumberArgument(env, info, 1));
  if (StringArgument(env, info, 2) == "shared") {
    vmm_metrics_shard shard;
    vmm_metrics_shared_shard(&g_store, &shard);
    vmm_metrics_observe(&shard, metric, us);
  } else {
    std::thread([=] { vmm_metrics::LatencyMetric(metric).observe(vmm_metrics::Shard(g_store), us); }).join();
  }
  return Text(env, "ok");
}

// bucketsOf(path, values): replaces each value of a BigUint64Array, in the unit of the table, by its bucket.
napi_value BucketsOf(napi_env env, napi_callback_info info) {
  vmm_metrics_histogram histogram;
  const vmm_metrics_status status =
      vmm_metrics_find_histogram(&g_store, nullptr, StringArgument(env, info, 0).c_str(), &histogram);
  if (status != VMM_METRICS_OK) return Said(env, status);
  size_t count = 0;
  void* data = nullptr;
  napi_get_typedarray_info(env, Argument(env, info, 1), nullptr, &count, &data, nullptr, nullptr);
  uint64_t* const values = static_cast<uint64_t*>(data);
  for (size_t i = 0; i < count; i++) values[i] = vmm_metrics_bucket_of(histogram.buckets, values[i]);
  return Text(env, "ok");
}

// measure(path, value, how): `how` is "own", "shared" or "ns", which means nanoseconds in an own shard.
napi_value Measure(napi_env env, napi_callback_info info) {
  vmm_metrics::HistogramMetric metric;
  const std::string problem = vmm_metrics::find(g_store, StringArgument(env, info, 0), &metric);
  if (!problem.empty()) return Text(env, problem.c_str());
  const uint64_t value = static_cast<uint64_t>(NumberArgument(env, info, 1));
  const std::string how = StringArgument(env, info, 2);
  if (how == "shared") {
    vmm_metrics_histogram histogram;
    vmm_metrics_find_histogram(&g_store, nullptr, StringArgument(env, info, 0).c_str(), &histogram);
    vmm_metrics_shard shard;
    vmm_metrics_shared_shard(&g_store, &shard);
    vmm_metrics_histogram_observe(&shard, histogram, value);
  } else {
    std::thread([=] {
      const vmm_metrics::Shard shard(g_store);
      how == "ns" ? metric.observe_ns(shard, value) : metric.observe(shard, value);
    }).join();
  }
  return Text(env, "ok");
}

// measureForever(path, threads, ledger): each thread acknowledges each of its values in the first word of the ledger.
napi_value MeasureForever(napi_env env, napi_callback_info info) {
  vmm_metrics::HistogramMetric metric;
  const std::string problem = vmm_metrics::find(g_store, StringArgument(env, info, 0), &metric);
  if (!problem.empty()) return Text(env, problem.c_str());
  void* words = nullptr;
  napi_get_arraybuffer_info(env, Argument(env, info, 2), &words, nullptr);
  for (int t = 0; t < static_cast<int>(NumberArgument(env, info, 1)); t++) {
    std::thread([=] {
      const vmm_metrics::Shard shard(g_store);
      for (uint64_t i = 0;; i++) {
        metric.observe(shard, i * 7919 % 100'000);
        __atomic_fetch_add(static_cast<uint32_t*>(words), 1, __ATOMIC_SEQ_CST);
      }
    }).detach();
  }
  return Text(env, "ok");
}

napi_value SetTo(napi_env env, napi_callback_info info) {
  vmm_metrics_metric metric;
  const vmm_metrics_status status = vmm_metrics_find(&g_store, StringArgument(env, info, 0).c_str(), VMM_METRICS_STORE, &metric);
  if (status != VMM_METRICS_OK) return Said(env, status);
  vmm_metrics_shard shard;
  vmm_metrics_shared_shard(&g_store, &shard);
  vmm_metrics_set(&shard, metric, static_cast<uint64_t>(NumberArgument(env, info, 1)));
  return Text(env, "ok");
}

// countOnDevice(group, id, field, n)
napi_value CountOnDevice(napi_env env, napi_callback_info info) {
  const std::string id = StringArgument(env, info, 1);
  vmm_metrics_device device;
  vmm_metrics_metric metric;
  vmm_metrics_status status =
      vmm_metrics_alloc_device(&g_store, StringArgument(env, info, 0).c_str(), id.data(), id.size(), &device);
  if (status != VMM_METRICS_OK) return Said(env, status);
  status = vmm_metrics_find_in_device(&g_store, device, StringArgument(env, info, 2).c_str(), VMM_METRICS_INC, &metric);
  if (status != VMM_METRICS_OK) return Said(env, status);
  vmm_metrics_shard shard;
  status = vmm_metrics_claim(&g_store, &shard);
  if (status != VMM_METRICS_OK) return Said(env, status);
  vmm_metrics_add(&shard, metric, static_cast<uint64_t>(NumberArgument(env, info, 3)));
  vmm_metrics_give_back(&g_store, &shard);
  return Text(env, "ok");
}

// claim(n): makes n claims on one thread and gives all back; returns how many claims got a shard of their own.
napi_value ClaimMany(napi_env env, napi_callback_info info) {
  std::vector<vmm_metrics_shard> shards(static_cast<size_t>(NumberArgument(env, info, 0)));
  int own = 0;
  for (vmm_metrics_shard& shard : shards) {
    if (vmm_metrics_claim(&g_store, &shard) == VMM_METRICS_OK && shard.number != VMM_METRICS_SHARED_SHARD) own++;
  }
  for (vmm_metrics_shard& shard : shards) vmm_metrics_give_back(&g_store, &shard);
  napi_value count;
  napi_create_int32(env, own, &count);
  return count;
}

std::vector<vmm_metrics_shard> g_held;

// holdShards(n) claims n shards, so that others cannot; releaseShards() gives them back.
napi_value HoldShards(napi_env env, napi_callback_info info) {
  g_held.resize(static_cast<size_t>(NumberArgument(env, info, 0)));
  for (vmm_metrics_shard& shard : g_held) vmm_metrics_claim(&g_store, &shard);
  return nullptr;
}

napi_value ReleaseShards(napi_env, napi_callback_info) {
  for (vmm_metrics_shard& shard : g_held) vmm_metrics_give_back(&g_store, &shard);
  g_held.clear();
  return nullptr;
}

}  // namespace

const vmm_metrics_store& AttachedStore() { return g_store; }

void DefineWriters(napi_env env, napi_value exports) {
  Define(env, exports, "attach", Attach);
  Define(env, exports, "attachOlder", AttachOlder);
  Define(env, exports, "detach", Detach);
  Define(env, exports, "find", Find);
  Define(env, exports, "count", Count);
  Define(env, exports, "countInC", CountInC);
  Define(env, exports, "observe", Observe);
  Define(env, exports, "set", SetTo);
  Define(env, exports, "bucketsOf", BucketsOf);
  Define(env, exports, "measure", Measure);
  Define(env, exports, "measureForever", MeasureForever);
  Define(env, exports, "countOnDevice", CountOnDevice);
  Define(env, exports, "claim", ClaimMany);
  Define(env, exports, "holdShards", HoldShards);
  Define(env, exports, "releaseShards", ReleaseShards);
}
