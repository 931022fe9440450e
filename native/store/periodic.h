// Periodic calls a function every so many milliseconds on a thread of its own, whatever the event loop does.
//
// Thread-safety:       any thread, except that the function itself must call neither Start nor Stop.
// Async-signal-safety: none. The thread has every signal blocked but the synchronous ones, so that the host's handlers
// never
//                      run on it.
// Lifetime:            one thread from the first Start to Stop.

#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/status.h"

namespace vmm {

class Periodic {
 public:
  explicit Periodic(std::function<void()> tick) : tick_(std::move(tick)) {}
  ~Periodic() { Stop(); }
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

  // Starts the ticks, the first one an interval from now; when they run already, changes their interval.
  Status Start(uint64_t interval_ms);

  // Returns when the thread is gone. Twice is harmless.
  void Stop();

 private:
  void Run();

  const std::function<void()> tick_;
  // Held by Start and Stop from beginning to end, so that no two of them make or join the thread at once.
  std::mutex control_;
  std::thread thread_;
  std::mutex mutex_;  // what is below, which the thread uses too
  std::condition_variable changed_;
  std::chrono::milliseconds interval_{0};
  bool restarted_ = false;
  bool stopping_ = false;
};

}  // namespace vmm
