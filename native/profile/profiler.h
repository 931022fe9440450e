// A Profiler runs the profiles of one store, one at a time.
//
// Thread-safety:       any thread.
// Async-signal-safety: none. A crash handler uses last_samples() alone.
// Lifetime:            the cells outlive it. The figures of a profile stay available as long as a caller holds it.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "profile/last_samples.h"
#include "profile/profile.h"

namespace vmm {

class Profiler {
 public:
  // `kvm` is sampled for the columns that show it. Null: there is nothing to sample.
  explicit Profiler(const Cells& cells, const KvmSamples* kvm = nullptr) : cells_(cells), kvm_(kvm) {}
  ~Profiler() { Stop(); }
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  // kAlreadyRunning: a profile of this store runs. Otherwise as Profile::Start.
  Status Start(ProfileSpec&& spec, std::shared_ptr<Profile>* profile);

  // Ends that profile within a second; then another profile can be started. A second call gives the same result.
  ProfileResult Stop(const std::shared_ptr<Profile>& profile);

  // Ends the running profile, if there is one.
  void Stop();
  // Both are for exit(), which a signal handler may have called on the thread that has the lock. If the lock is not
  // free within `patience_ms`, they do nothing.
  void StopAtExit(int patience_ms);
  void AskToStopAtExit(int patience_ms);

  // Whether a profile samples any of the `count` cells from `first` on. Returns true also when another thread has the
  // lock, since this never waits.
  bool Samples(uint32_t first, uint32_t count);

  // How many profiles have ended. Relaxed: it publishes nothing, and a caller that reads it too early asks again.
  uint64_t ended() const { return ended_.load(std::memory_order_relaxed); }

  LastSamples& last_samples() { return last_samples_; }

 private:
  void Forget();
  // The running profile. Null: no profile runs, this is a forked child, or the lock was not free within `patience_ms`.
  // With -1, waits for the lock without limit.
  std::shared_ptr<Profile> Running(int patience_ms = -1);

  const Cells& cells_;
  const KvmSamples* const kvm_;
  std::mutex mutex_;
  std::shared_ptr<Profile> running_;
  std::atomic<uint32_t> process_{0};  // the process that started `running_`, see ForkGeneration; relaxed: publishes nothing
  std::atomic<uint64_t> ended_{0};
  LastSamples last_samples_;
};

}  // namespace vmm
