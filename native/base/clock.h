// The clocks, and the one way to sleep.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe.
// Units:               in the names.

#pragma once

#include <time.h>

#include <cstdint>

namespace vmm {

inline uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline int64_t MonotonicMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// Nanoseconds since 1970 by the wall clock.
inline int64_t RealtimeNs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// A signal may end the sleep early: callers look again at what they wait for.
inline void SleepUs(int64_t us) {
  const timespec pause = {static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000 * 1000)};
  nanosleep(&pause, nullptr);
}

}  // namespace vmm
