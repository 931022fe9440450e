// LockWithin takes a lock, or gives up after a time. It is for code that runs in exit(): a signal handler may call
// exit() on the same thread that holds the lock.
//
// Thread-safety:       any thread.
// Async-signal-safety: none.
// Units:               milliseconds.

#pragma once

#include <mutex>

#include "base/clock.h"

namespace vmm {

// `lock` does not own its mutex yet. False: the mutex was not free within `patience_ms`.
inline bool LockWithin(std::unique_lock<std::mutex>& lock, int patience_ms) {
  for (const int64_t deadline_ms = MonotonicMs() + patience_ms; !lock.try_lock();) {
    if (MonotonicMs() >= deadline_ms) return false;
    SleepUs(1'000);
  }
  return true;
}

}  // namespace vmm
