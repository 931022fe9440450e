// Native code that counts into a store through the public header, in loops of its own.

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "abi1_writers.h"
#include "addon.h"
#include "vmm_metrics.h"

namespace {

vmm_metrics_store g_store = {nullptr};

// What went wrong, as an exception.
void Check(Napi::Env env, vmm_metrics_status status) {
  if (status != VMM_METRICS_OK) throw Napi::Error::New(env, vmm_metrics_status_text(status));
}

// attach(external): selects the store that the functions below count into, for the rest of the process.
void Attach(const Napi::CallbackInfo& info) { Check(info.Env(), vmm_metrics_attach(info.Env(), info[0], 0, &g_store)); }

vmm_metrics_metric Find(Napi::Env env, const Napi::Value& path, vmm_metrics_kind kind) {
  vmm_metrics_metric metric;
  Check(env, vmm_metrics_find(&g_store, path.As<Napi::String>().Utf8Value().c_str(), kind, &metric));
  return metric;
}

std::array<vmm_metrics_metric, 64> Find64(const Napi::CallbackInfo& info) {
  const auto paths = info[0].As<Napi::Array>();
  std::array<vmm_metrics_metric, 64> metrics;
  for (uint32_t i = 0; i < 64; i++) metrics[i] = Find(info.Env(), paths[i], VMM_METRICS_INC);
  return metrics;
}

// In the loops below no add is merged with the next one, since compilers leave atomic operations as they are.

// inc(paths, times): increments 64 metrics in turn, in a shard of this thread's own.
void Inc(const Napi::CallbackInfo& info) {
  const auto metrics = Find64(info);
  const vmm_metrics::Shard shard(g_store);
  const int times = info[1].As<Napi::Number>().Int32Value();
  for (int i = 0; i < times; i++) vmm_metrics::IncMetric(metrics[i & 63]).inc(shard);
}

std::array<std::string, 4> FourPaths(const Napi::Value& value) {
  const auto paths = value.As<Napi::Array>();
  std::array<std::string, 4> four;
  for (uint32_t i = 0; i < 4; i++) four[i] = paths.Get(i).As<Napi::String>().Utf8Value();
  return four;
}

// incConstants(paths, times): increments four metrics in turn, which are constants, as in a generated header: the
// metrics of the first four cells. `paths` are their names.
void IncConstants(const Napi::CallbackInfo& info) {
  constexpr vmm_metrics::IncMetric a{vmm_metrics_metric{0}}, b{vmm_metrics_metric{8}}, c{vmm_metrics_metric{16}},
      d{vmm_metrics_metric{24}};
  const std::array<std::string, 4> paths = FourPaths(info[0]);
  for (uint32_t i = 0; i < 4; i++) {
    vmm_metrics_metric metric = {};
    Check(info.Env(), vmm_metrics_find(&g_store, paths[i].c_str(), VMM_METRICS_INC, &metric));
    if (metric.offset != 8 * i) throw Napi::Error::New(info.Env(), paths[i] + " is not in cell " + std::to_string(i));
  }
  const vmm_metrics::Shard shard(g_store);
  const int times = info[1].As<Napi::Number>().Int32Value();
  for (int i = 0; i < times; i += 4) {
    a.inc(shard);
    b.inc(shard);
    c.inc(shard);
    d.inc(shard);
  }
}

// incWithAbi1(external, paths, times): the same with version 1 of the header, in whose code names are looked up.
void IncWithOlderHeader(const Napi::CallbackInfo& info) {
  const char* const problem = IncWithAbi1(info.Env(), info[0], FourPaths(info[1]), info[2].As<Napi::Number>().Int32Value());
  if (problem != nullptr) throw Napi::Error::New(info.Env(), problem);
}

int64_t ThreadCpuNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

// together(path, threads, times): each thread increments the metric `times` times, at the same time as the others.
// Returns the longest processor time of a thread, in nanoseconds.
Napi::Value Together(const Napi::CallbackInfo& info) {
  const vmm_metrics::IncMetric metric(Find(info.Env(), info[0], VMM_METRICS_INC));
  const uint32_t threads = info[1].As<Napi::Number>().Uint32Value();
  const uint32_t times = info[2].As<Napi::Number>().Uint32Value();
  std::atomic<uint32_t> waiting{threads};
  std::vector<int64_t> took_ns(threads);
  std::vector<std::thread> running;
  for (uint32_t t = 0; t < threads; t++) {
    running.emplace_back([&, t] {
      const vmm_metrics::Shard shard(g_store);
      waiting.fetch_sub(1);
      while (waiting.load() != 0) std::this_thread::yield();
      const int64_t began_ns = ThreadCpuNs();
      for (uint32_t i = 0; i < times; i++) metric.inc(shard);
      took_ns[t] = ThreadCpuNs() - began_ns;
    });
  }
  for (std::thread& thread : running) thread.join();
  return Napi::Number::New(info.Env(), static_cast<double>(*std::max_element(took_ns.begin(), took_ns.end())));
}

// incShared(paths, times): increments 64 metrics in turn, in shard 0, which all threads share.
void IncShared(const Napi::CallbackInfo& info) {
  const auto metrics = Find64(info);
  vmm_metrics_shard shard;
  vmm_metrics_shared_shard(&g_store, &shard);
  const int times = info[1].As<Napi::Number>().Int32Value();
  for (int i = 0; i < times; i++) vmm_metrics_add(&shard, metrics[i & 63], 1);
}

// observe(path, values, times): observes the durations of a Uint32Array in turn, in microseconds and in a shard of this
// thread's own. The length of the array is a power of two.
void Observe(const Napi::CallbackInfo& info) {
  const vmm_metrics::Shard shard(g_store);
  const auto array = info[1].As<Napi::Uint32Array>();
  const uint32_t* const values = array.Data();
  const size_t mask = array.ElementLength() - 1;
  const size_t times = info[2].As<Napi::Number>().Uint32Value();
#ifdef VMM_METRICS_FIRST_BUCKET  // not in the headers of older trees
  vmm_metrics::HistogramMetric histogram;
  if (vmm_metrics::find(g_store, info[0].As<Napi::String>().Utf8Value(), &histogram).empty()) {
    for (size_t i = 0; i < times; i++) histogram.observe(shard, values[i & mask]);
    return;
  }
#endif
  const vmm_metrics::LatencyMetric metric(Find(info.Env(), info[0], VMM_METRICS_LATENCY));
  for (size_t i = 0; i < times; i++) metric.observe(shard, values[i & mask]);
}

// The shards that Claim has claimed in the selected store; they stay claimed.
std::vector<vmm_metrics::Shard> g_shards;

// claim(shards): claims as many shards in the selected store. observeInEach() writes to them.
void Claim(const Napi::CallbackInfo& info) {
  g_shards.clear();
  for (uint32_t i = info[0].As<Napi::Number>().Uint32Value(); i != 0; i--) {
    g_shards.emplace_back(g_store);
    if (g_shards.back().is_shared()) throw Napi::Error::New(info.Env(), "there are fewer shards than that");
  }
}

// observeInEach(path, values, first, count): observes `count` values of a Uint32Array in each shard that claim() has
// claimed: another part of the array in each, from index `first` on. The length of the array is a power of two.
Napi::Value ObserveInEach(const Napi::CallbackInfo& info) {
#ifdef VMM_METRICS_FIRST_BUCKET  // not in the headers of older trees
  vmm_metrics::HistogramMetric histogram;
  const std::string problem = vmm_metrics::find(g_store, info[0].As<Napi::String>().Utf8Value(), &histogram);
  if (!problem.empty()) throw Napi::Error::New(info.Env(), problem);
  const auto array = info[1].As<Napi::Uint32Array>();
  const size_t mask = array.ElementLength() - 1;
  size_t at = info[2].As<Napi::Number>().Uint32Value();
  const uint32_t count = info[3].As<Napi::Number>().Uint32Value();
  for (const vmm_metrics::Shard& shard : g_shards) {
    for (uint32_t i = 0; i < count; i++) histogram.observe(shard, array.Data()[at++ & mask]);
  }
  return Napi::Boolean::New(info.Env(), true);
#else
  return Napi::Boolean::New(info.Env(), false);
#endif
}

// Calls `observe_ns` where the public header has it.
template <typename Metric>
auto ObserveNsIn(const Metric& metric, const vmm_metrics::Shard& shard, uint64_t ns, int)
    -> decltype(metric.observe_ns(shard, ns), true) {
  metric.observe_ns(shard, ns);
  return true;
}
template <typename Metric>
bool ObserveNsIn(const Metric&, const vmm_metrics::Shard&, uint64_t, long) {
  return false;
}

// observeNs(path, values, times): like observe(), with nanoseconds. False: the public header has no observe_ns.
Napi::Value ObserveNs(const Napi::CallbackInfo& info) {
  const vmm_metrics::LatencyMetric metric(Find(info.Env(), info[0], VMM_METRICS_LATENCY));
  const vmm_metrics::Shard shard(g_store);
  const auto array = info[1].As<Napi::Uint32Array>();
  const uint32_t* const values = array.Data();
  const size_t mask = array.ElementLength() - 1;
  const size_t times = info[2].As<Napi::Number>().Uint32Value();
  bool is_there = true;
  for (size_t i = 0; i < times; i++) is_there = ObserveNsIn(metric, shard, values[i & mask], 0);
  return Napi::Boolean::New(info.Env(), is_there);
}

// live(path, shards): starts as many threads, which live at the same time, count once each, and end.
void Live(const Napi::CallbackInfo& info) {
  const vmm_metrics_metric metric = Find(info.Env(), info[0], VMM_METRICS_INC);
  std::vector<vmm_metrics_shard> shards(info[1].As<Napi::Number>().Uint32Value());
  for (vmm_metrics_shard& shard : shards) {
    Check(info.Env(), vmm_metrics_claim(&g_store, &shard));
    if (shard.number == VMM_METRICS_SHARED_SHARD) throw Napi::Error::New(info.Env(), "there are fewer shards than that");
    vmm_metrics_add(&shard, metric, 1);
  }
  for (vmm_metrics_shard& shard : shards) vmm_metrics_give_back(&g_store, &shard);
}

}  // namespace

void DefineWriters(Napi::Env env, Napi::Object exports) {
  exports["attach"] = Napi::Function::New(env, Attach);
  exports["inc"] = Napi::Function::New(env, Inc);
  exports["incConstants"] = Napi::Function::New(env, IncConstants);
  exports["incWithAbi1"] = Napi::Function::New(env, IncWithOlderHeader);
  exports["together"] = Napi::Function::New(env, Together);
  exports["incShared"] = Napi::Function::New(env, IncShared);
  exports["observe"] = Napi::Function::New(env, Observe);
  exports["observeNs"] = Napi::Function::New(env, ObserveNs);
  exports["claim"] = Napi::Function::New(env, Claim);
  exports["observeInEach"] = Napi::Function::New(env, ObserveInEach);
  exports["live"] = Napi::Function::New(env, Live);
}
