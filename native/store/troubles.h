// Troubles collects what went wrong in a store, until the store's listener takes it: lines that did not get out, the
// loss of memory, displaced signal handlers, and what cannot be sampled of KVM any more. The listener is the thread
// that opened the store.
//
// Thread-safety:       any thread may call any function.
// Async-signal-safety: End is safe, and so are the Add functions after End; the others are not. What a signal handler
//                      finds is added at the next flush.
// Lifetime:            the listener's `call` is used from Listen to Unlisten.

#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

#include "base/signal_kinds.h"
#include "base/status.h"

namespace vmm {

class Troubles {
 public:
  // How many missed lines are kept. The oldest is dropped for the next.
  static constexpr size_t kMissedMax = 64;

  struct Taken {
    std::vector<Status> missed;
    bool is_degraded = false;
    SignalSet displaced = 0;
    bool has_lost_kvm = false;
  };

  Troubles() = default;
  Troubles(const Troubles&) = delete;
  Troubles& operator=(const Troubles&) = delete;

  // Whether there was a listener. It stays true.
  bool HasListened();
  // Makes `owner` the listener, unless there was one before. From now on, `call` is called when there is something to
  // take, on any thread and under a lock: it must not block, and must not call this object.
  bool Listen(const void* owner, std::function<void()> call);
  // Returns when no thread uses the `call` of `owner` any more. Nobody listens from then on. Harmless if `owner` is not
  // the listener.
  void Unlisten(const void* owner);

  void AddMissed(const Status& status);
  // Only the first call counts.
  void AddDegraded();
  void AddDisplaced(SignalSet signals);
  // Something that is sampled of KVM cannot be read any more; the store knows what.
  void AddLostKvm();

  // What was added since the last call.
  Taken Take();

  // The process is in exit(): from now on, the Add functions do nothing. A signal handler may have called exit() on a
  // thread that has the lock.
  void End() { has_ended_.store(true, std::memory_order_relaxed); }  // publishes nothing

 private:
  // Under the lock.
  void Tell();

  // Relaxed: publishes nothing.
  bool has_ended() const { return has_ended_.load(std::memory_order_relaxed); }

  std::mutex mutex_;
  std::atomic<bool> has_ended_{false};
  const void* owner_ = nullptr;
  std::function<void()> call_;
  bool had_owner_ = false;
  bool was_degraded_ = false;
  Taken waiting_;
};

}  // namespace vmm
