// The yardsticks of the benchmarks, so that figures of machines and of moments can be compared: a native `lock xadd`,
// and loops that only keep time.

#include <sys/prctl.h>
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

// keepTime(intervalNs, ms, spinNs): of the ticks in that time, which part a loop met before the next one that does
// nothing but wait for them: by sleeping until so long before a tick, and then by reading the clock.
napi_value KeepTime(napi_env env, napi_callback_info info) {
  const double interval_ns = NumberArgument(env, info, 0);
  const double spin_ns = NumberArgument(env, info, 2);
  const int slack_ns = prctl(PR_GET_TIMERSLACK);
  prctl(PR_SET_TIMERSLACK, 1);
  const double began = NowNs(), end = began + NumberArgument(env, info, 1) * 1e6;
  double met = 0, missed = 0;
  for (double due = began + interval_ns; due < end;) {
    const double now = NowNs();
    if (now < due - spin_ns) {
      const auto until_ns = static_cast<uint64_t>(due - spin_ns);
      const timespec until = {static_cast<time_t>(until_ns / 1'000'000'000), static_cast<long>(until_ns % 1'000'000'000)};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    }
    if (now < due) continue;
    met++;
    const double passed = static_cast<double>(static_cast<int64_t>((now - due) / interval_ns));
    missed += passed;
    due += (passed + 1) * interval_ns;
  }
  prctl(PR_SET_TIMERSLACK, slack_ns);
  napi_value part;
  napi_create_double(env, met / (met + missed), &part);
  return part;
}

}  // namespace

void DefineYardstick(napi_env env, napi_value exports) {
  Define(env, exports, "xaddNs", XaddNs);
  Define(env, exports, "keepTime", KeepTime);
}
