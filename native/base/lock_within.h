// LockWithin takes a lock, or gives up: for exit(), which a signal handler may call on the very thread that has the
// lock.
//
// Thread-safety:       any thread.
// Async-signal-safety: none.
// Units:               milliseconds.

#pragma once

#include <mutex>

#include "base/clock.h"

namespace vmm {

// `lock` has not got its mutex yet. False: it was not to be had for `patience_ms`.
inline bool LockWithin(std::unique_lock<std::mutex>& lock, int patience_ms) {
  for (const int64_t deadline_ms = MonotonicMs() + patience_ms; !lock.try_lock();) {
    if (MonotonicMs() >= deadline_ms) return false;
    SleepUs(1'000);
  }
  return true;
}

}  // namespace vmm
