// A Periodic calls a function at fixed intervals on a thread of its own, whatever the event loop does.
//
// Thread-safety:       any thread, except that the function itself must call neither Start nor Stop.
// Async-signal-safety: none. Its thread blocks signals, see AsynchronousSignalsBlocked, so the host's handlers never
//                      run on it.
// Units:               milliseconds.
// Lifetime:            the thread runs from the first Start to Stop.

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

  // Starts the calls; the first one comes after one interval. If the calls run already, changes their interval.
  Status Start(uint64_t interval_ms);

  // Returns when the thread has ended. A second call is harmless.
  void Stop();

 private:
  void Run();

  const std::function<void()> tick_;
  // Start and Stop hold this lock from beginning to end, so that only one of them makes or joins the thread at a time.
  std::mutex control_;
  std::thread thread_;
  std::mutex mutex_;  // guards the members below, which the thread uses too
  std::condition_variable changed_;
  std::chrono::milliseconds interval_{0};
  bool restarted_ = false;
  bool stopping_ = false;
};

}  // namespace vmm
