// The yardsticks of the benchmarks: a native `lock xadd`, and loops that only keep time. With them, figures of
// different machines and different moments can be compared.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "addon.h"
#include "base/clock.h"

namespace {

std::atomic<uint64_t> g_cells[64];

double NowNs() { return static_cast<double>(vmm::MonotonicNs()); }

// xaddNs(times): nanoseconds per relaxed fetch_add, over 64 cells.
Napi::Value XaddNs(const Napi::CallbackInfo& info) {
  const int times = info[0].As<Napi::Number>().Int32Value();
  const double began = NowNs();
  for (int i = 0; i < times; i++) g_cells[i & 63].fetch_add(1, std::memory_order_relaxed);  // publishes nothing
  return Napi::Number::New(info.Env(), (NowNs() - began) / times);
}

// threadCpuNs(): the processor time that this thread has used.
Napi::Value ThreadCpuNs(const Napi::CallbackInfo& info) {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Napi::Number::New(info.Env(), static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec));
}

// childrenCpuNs(): the processor time of all children that have ended, with all their threads.
Napi::Value ChildrenCpuNs(const Napi::CallbackInfo& info) {
  rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto ns = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
  };
  return Napi::Number::New(info.Env(), ns(usage.ru_utime) + ns(usage.ru_stime));
}

// keepTime(intervalNs, ms, spinNs): runs a loop that only waits for ticks, for `ms` milliseconds. The loop sleeps until
// `spinNs` before a tick, and then reads the clock. Returns the fraction of the ticks for which the loop was there
// before the next tick.
Napi::Value KeepTime(const Napi::CallbackInfo& info) {
  const double interval_ns = info[0].As<Napi::Number>();
  const double ms = info[1].As<Napi::Number>();
  const double spin_ns = info[2].As<Napi::Number>();
  const int slack_ns = prctl(PR_GET_TIMERSLACK);
  prctl(PR_SET_TIMERSLACK, 1);
  const double began = NowNs(), end = began + ms * 1e6;
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
  return Napi::Number::New(info.Env(), met / (met + missed));
}

}  // namespace

void DefineYardstick(Napi::Env env, Napi::Object exports) {
  exports["xaddNs"] = Napi::Function::New(env, XaddNs);
  exports["threadCpuNs"] = Napi::Function::New(env, ThreadCpuNs);
  exports["childrenCpuNs"] = Napi::Function::New(env, ChildrenCpuNs);
  exports["keepTime"] = Napi::Function::New(env, KeepTime);
}
