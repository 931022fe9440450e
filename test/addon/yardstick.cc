// The yardstick of the benchmarks: a native `lock xadd`, so that figures of machines and of moments can be compared.

#include <time.h>

#include <atomic>
#include <cstdint>

#include "addon.h"

namespace {

std::atomic<uint64_t> g_cells[64];

double NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// xaddNs(times): nanoseconds per relaxed fetch_add, over 64 cells.
napi_value XaddNs(napi_env env, napi_callback_info info) {
  const int times = static_cast<int>(NumberArgument(env, info, 0));
  const double began = NowNs();
  for (int i = 0; i < times; i++) g_cells[i & 63].fetch_add(1, std::memory_order_relaxed);  // publishes nothing
  napi_value ns;
  napi_create_double(env, (NowNs() - began) / times, &ns);
  return ns;
}

}  // namespace

void DefineYardstick(napi_env env, napi_value exports) { Define(env, exports, "xaddNs", XaddNs); }
