// A Profiler is a store's profile, if one is running, and the way of the crash handler to it.
//
// Thread-safety:       any thread.
// Async-signal-safety: LastSamples only.
// Memory ordering:     the handler finds the profile by `visible_`, whose gate tells Stop whether a handler uses it.
// Lifetime:            the cells outlive it. A profile's figures outlive its run, with whoever keeps it.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "base/handler_gate.h"
#include "profile/profile.h"

namespace vmm {

class Profiler {
 public:
  explicit Profiler(const Cells& cells) : cells_(cells) {}
  ~Profiler() { Stop(); }
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  // kAlreadyRunning: a profile of this store runs. Otherwise as Profile::Start.
  Status Start(ProfileSpec&& spec, std::shared_ptr<Profile>* profile);

  // Ends that profile, within a second; another one can be started then. Again it gives the same result.
  ProfileResult Stop(const std::shared_ptr<Profile>& profile);

  // Ends the one that is running; without one it does nothing.
  void Stop();
  // Both for exit(), which may have been called in a signal handler on the thread that has the lock: they wait for it
  // so long at most.
  void StopAtExit(int patience_ms);
  void AskToStopAtExit(int patience_ms);

  // Whether one of `count` cells from `first` on is being sampled, or that cannot be told without waiting.
  bool Samples(uint32_t first, uint32_t count);

  // How many have ended. Relaxed: who looks late asks again.
  uint64_t ended() const { return ended_.load(std::memory_order_relaxed); }

  // From the crash handler, see Profile.
  void LastSamples(int64_t deadline_ms);

 private:
  void Forget();
  // Null without one. `patience_ms` -1: the lock is waited for as long as it takes.
  std::shared_ptr<Profile> Running(int patience_ms = -1);

  const Cells& cells_;
  std::mutex mutex_;
  std::shared_ptr<Profile> running_;
  std::atomic<uint32_t> process_{0};  // that started it, see ForkGeneration; publishes nothing
  std::atomic<uint64_t> ended_{0};
  HandlerTable<Profile, 1> visible_;
};

}  // namespace vmm
