#include "node/tick_wait.h"

#include <sys/prctl.h>

#include <cstdint>

#include "base/clock.h"

namespace vmm {

namespace {

constexpr unsigned long kTimerSlackNs = 1;  // 50 us by default

}  // namespace

Napi::Value WaitForTick(const Napi::CallbackInfo& info) {
  const auto moment_ns = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
  const auto spin_ns = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  uint64_t now_ns = MonotonicNs();
  if (now_ns + spin_ns < moment_ns) {
    prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
    SleepUntilNs(moment_ns - spin_ns);
    now_ns = MonotonicNs();
  }
  while (now_ns < moment_ns && moment_ns - now_ns <= spin_ns) now_ns = MonotonicNs();
  return Napi::Number::New(info.Env(), static_cast<double>(now_ns));
}

}  // namespace vmm
