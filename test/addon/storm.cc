// A storm: native threads count without pause, and signals hit every thread of the process, those of JavaScript too.
// The handler counts into the same metric.

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "addon.h"
#include "vmm_metrics.h"

namespace {

constexpr int kSignal = SIGUSR2;

// Relaxed: the threads are started after the metric is known.
std::atomic<uint64_t> g_offset{0};
std::atomic<bool> g_is_over{false};
// Relaxed: read after the threads have ended.
std::atomic<uint64_t> g_added{0};
// How many handlers have begun and have ended. Sequentially consistent, with the add between them: who reads the ended
// ones, then the metric, and then as many begun ones, has a count with every handler's add or without it.
std::atomic<uint64_t> g_begun{0}, g_ended{0};
std::vector<std::thread> g_threads;

vmm_metrics_metric Metric() { return {g_offset.load(std::memory_order_relaxed)}; }

void Handle(int) {
  g_begun.fetch_add(1);
  vmm_metrics::IncMetric(Metric()).inc(vmm_metrics::Shard::in_handler(AttachedStore()));
  g_ended.fetch_add(1);
}

// Signals each thread that the process has now.
void SignalAll() {
  DIR* const folder = opendir("/proc/self/task");
  if (folder == nullptr) return;
  while (const dirent* const entry = readdir(folder)) {
    const int thread = atoi(entry->d_name);
    if (thread > 0) syscall(SYS_tgkill, getpid(), thread, kSignal);
  }
  closedir(folder);
}

void Count(bool is_shared) {
  uint64_t mine = 0;
  for (; !g_is_over.load(std::memory_order_relaxed); mine += 1'000) {
    if (is_shared) {
      vmm_metrics_shard shard;
      vmm_metrics_shared_shard(&AttachedStore(), &shard);
      for (int i = 0; i < 1'000; i++) vmm_metrics_add(&shard, Metric(), 1);
    } else {
      const vmm_metrics::Shard shard = vmm_metrics::Shard::current(AttachedStore());
      const vmm_metrics::IncMetric inc(Metric());
      for (int i = 0; i < 1'000; i++) inc.inc(shard);
    }
  }
  g_added.fetch_add(mine, std::memory_order_relaxed);
}

// startStorm(path, threads): begins to count in that many threads, and to signal all threads of the process.
napi_value Start(napi_env env, napi_callback_info info) {
  vmm_metrics_metric metric;
  const vmm_metrics_status status =
      vmm_metrics_find(&AttachedStore(), StringArgument(env, info, 0).c_str(), VMM_METRICS_INC, &metric);
  if (status != VMM_METRICS_OK) return Text(env, vmm_metrics_status_text(status));
  g_offset.store(metric.offset, std::memory_order_relaxed);
  struct sigaction action = {};
  action.sa_handler = Handle;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigaction(kSignal, &action, nullptr);
  const int threads = static_cast<int>(NumberArgument(env, info, 1));
  for (int t = 0; t < threads; t++) g_threads.emplace_back(Count, t % 8 == 7);  // some have no shard of their own
  g_threads.emplace_back([] {
    while (!g_is_over.load(std::memory_order_relaxed)) SignalAll();
  });
  return Text(env, "ok");
}

napi_value Number(napi_env env, uint64_t value) {
  napi_value number;
  napi_create_bigint_uint64(env, value, &number);
  return number;
}

// endStorm(): what the threads have added. Signals that were sent may still arrive.
napi_value End(napi_env env, napi_callback_info) {
  g_is_over.store(true, std::memory_order_relaxed);
  for (std::thread& thread : g_threads) thread.join();
  g_threads.clear();
  return Number(env, g_added.load(std::memory_order_relaxed));
}

napi_value Begun(napi_env env, napi_callback_info) { return Number(env, g_begun.load()); }
napi_value Ended(napi_env env, napi_callback_info) { return Number(env, g_ended.load()); }

}  // namespace

void DefineStorm(napi_env env, napi_value exports) {
  Define(env, exports, "startStorm", Start);
  Define(env, exports, "endStorm", End);
  Define(env, exports, "begunHandlers", Begun);
  Define(env, exports, "endedHandlers", Ended);
}
