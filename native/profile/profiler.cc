#include "profile/profiler.h"

#include <errno.h>

#include <utility>

#include "base/lock_within.h"

namespace vmm {

Status Profiler::Start(ProfileSpec&& spec, std::shared_ptr<Profile>* profile) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (running_ != nullptr) {
    if (running_->is_own()) return {Code::kAlreadyRunning, EALREADY};
    Forget();  // a forked child: the profile runs in the parent only
  }
  if (Status status = Profile::Start(cells_, kvm_, std::move(spec), profile); !status.ok()) return status;
  running_ = *profile;
  process_.store(ForkGeneration::Own(), std::memory_order_relaxed);
  last_samples_.Add(&running_->output());
  return {};
}

ProfileResult Profiler::Stop(const std::shared_ptr<Profile>& profile) {
  if (!profile->is_own()) return {};  // a forked child, where a thread that does not exist may have the lock
  const ProfileResult result = profile->Stop();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (running_ == profile) Forget();
  return result;
}

void Profiler::Stop() {
  if (const auto running = Running(); running != nullptr) Stop(running);
}

void Profiler::StopAtExit(int patience_ms) {
  if (const auto running = Running(patience_ms); running != nullptr) running->StopAtExit(patience_ms);
}

void Profiler::AskToStopAtExit(int patience_ms) {
  if (const auto running = Running(patience_ms); running != nullptr) running->AskToStop();
}

std::shared_ptr<Profile> Profiler::Running(int patience_ms) {
  // Nothing runs, or this is a forked child, as above.
  if (!ForkGeneration::IsOwn(process_.load(std::memory_order_relaxed))) return nullptr;
  std::unique_lock<std::mutex> lock(mutex_, std::defer_lock);
  if (patience_ms < 0) {
    lock.lock();
  } else if (!LockWithin(lock, patience_ms)) {
    return nullptr;
  }
  return running_;
}

bool Profiler::Samples(uint32_t first, uint32_t count) {
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return true;
  return running_ != nullptr && running_->is_own() && running_->Samples(first, count);
}

void Profiler::Forget() {
  if (!last_samples_.Remove(&running_->output()) || !running_->is_own()) {
    // A crash handler still uses the profile, or the profile belongs to the parent: its memory is never freed.
    new std::shared_ptr<Profile>(running_);
  } else {
    running_->FreeRows();
  }
  running_.reset();
  ended_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace vmm
