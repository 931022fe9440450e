// The clocks, and the only ways in which this library sleeps.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe; system calls only.
// Units:               in the names.

#pragma once

#include <time.h>

#include <cstdint>

namespace vmm {

inline int64_t ClockNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// Since an arbitrary moment. This clock never goes back, and stands still while the machine is suspended.
inline uint64_t MonotonicNs() { return static_cast<uint64_t>(ClockNs(CLOCK_MONOTONIC)); }
inline int64_t MonotonicMs() { return ClockNs(CLOCK_MONOTONIC) / 1'000'000; }

// Since 1970. An administrator may set this clock back.
inline int64_t RealtimeNs() { return ClockNs(CLOCK_REALTIME); }

// Since the machine was started, including the time for which it was suspended.
inline int64_t BoottimeNs() { return ClockNs(CLOCK_BOOTTIME); }

// Until a moment of MonotonicNs(). As with SleepUs, a signal may end the sleep early.
inline void SleepUntilNs(uint64_t moment_ns) {
  const timespec moment = {static_cast<time_t>(moment_ns / 1'000'000'000), static_cast<long>(moment_ns % 1'000'000'000)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr);
}

// A signal may end the sleep early: callers check again what they wait for.
inline void SleepUs(int64_t us) {
  const timespec pause = {static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000 * 1000)};
  nanosleep(&pause, nullptr);
}

}  // namespace vmm
