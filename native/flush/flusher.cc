#include "flush/flusher.h"

#include "base/clock.h"
#include "base/this_thread.h"

namespace vmm {

namespace {

class Locked {
 public:
  explicit Locked(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
  ~Locked() { pthread_mutex_unlock(&mutex_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  pthread_mutex_t& mutex_;
};

}  // namespace

InitResult Flusher::Init(const char* path, int descriptor, Status* status, Recoveries* recoveries) {
  const Locked locked(mutex_);
  if (sender_.is_open()) return InitResult::kAlready;
  *status = sender_.Open(path, descriptor, FinishHeld, this, recoveries);
  return status->ok() ? InitResult::kDone : InitResult::kFailed;
}

Status Flusher::Recover() {
  const Locked locked(mutex_);
  return RecoverLocked();
}

Status Flusher::RecoverLocked() {
  if (!sender_.is_open() || !sender_.HasRecoveries()) return {};
  const ThreadMark flushing(flushing_thread_);
  return sender_.SendHeld();
}

void Flusher::Close() {
  const Locked locked(mutex_);
  sender_.Close();
}

Sink::Position Flusher::sink_position() const {
  const Locked locked(mutex_);
  return sender_.is_open() ? sender_.sink_position() : Sink::Position{};
}

FlushResult Flusher::Flush(Status* status, int patience_ms) {
  const Locked locked(mutex_);
  return FlushLocked(status, patience_ms);
}

FlushResult Flusher::FlushLocked(Status* status, int patience_ms) {
  *status = {};
  const ThreadMark flushing(flushing_thread_);
  if (!sender_.is_open()) return FlushResult::kNotInitialized;
  *status = sender_.SendNewBy(patience_ms == 0 ? 0 : MonotonicMs() + patience_ms);
  if (status->ok()) return FlushResult::kOut;
  sender_.CountMissed();
  return FlushResult::kFailed;
}

void Flusher::FlushAtExit(int patience_ms) {
  const int64_t deadline_ms = MonotonicMs() + patience_ms;
  for (;;) {
    if (pthread_mutex_trylock(&mutex_) == 0) {
      Status ignored;  // nobody is left to report a failure to; a line that does not get out is counted
      if (sender_.HasUnflushed()) {
        FlushLocked(&ignored, patience_ms);
      } else {
        RecoverLocked();
      }
      pthread_mutex_unlock(&mutex_);
      return;
    }
    const bool is_own = flushing_thread_.load(std::memory_order_relaxed) == ThreadHandle();
    if (is_own || MonotonicMs() >= deadline_ms) break;
    SleepUs(1'000);
  }
  // The lock was not released in time. The thread that holds the lock may be this one.
  sender_.LastLine(MonotonicMs() + patience_ms);
}

bool Flusher::HasUnflushed() const {
  const Locked locked(mutex_);
  return sender_.HasUnflushed();
}

bool Flusher::TryQuiet(void (*work)(void* context), void* context) {
  if (pthread_mutex_trylock(&mutex_) != 0) return false;
  const bool was_quiet = sender_.DoQuiet(work, context);
  pthread_mutex_unlock(&mutex_);
  return was_quiet;
}

void Flusher::FinishHeld(void* self) {
  Flusher* const flusher = static_cast<Flusher*>(self);
  if (pthread_mutex_trylock(&flusher->mutex_) != 0) return;
  // If the sending fails, the tail stays held, and this store keeps its turn.
  if (flusher->sender_.HasTail()) flusher->sender_.SendHeld();
  pthread_mutex_unlock(&flusher->mutex_);
}

}  // namespace vmm
