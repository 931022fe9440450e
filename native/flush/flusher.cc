#include "flush/flusher.h"

#include <errno.h>

#include "base/clock.h"
#include "base/signal_mask.h"
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

// Says for as long as it lives that this thread is at it.
class Marked {
 public:
  explicit Marked(std::atomic<uintptr_t>& mark) : mark_(mark) { mark_.store(ThreadHandle(), std::memory_order_relaxed); }
  ~Marked() { mark_.store(0, std::memory_order_relaxed); }
  Marked(const Marked&) = delete;
  Marked& operator=(const Marked&) = delete;

 private:
  std::atomic<uintptr_t>& mark_;
};

}  // namespace

Flusher::Flusher(Cells& cells, const LineTemplate& line_template, const DeviceLists& devices, uint32_t missed_cell)
    : cells_(cells), template_(line_template), devices_(devices), missed_cell_(missed_cell) {}

Flusher::~Flusher() { sink_.Close(); }

InitResult Flusher::Init(const char* path, int descriptor, Status* status, Recoveries* recoveries) {
  Locked locked(mutex_);
  if (initialized_.load(std::memory_order_relaxed)) return InitResult::kAlready;  // set under the lock
  *status = path != nullptr ? sink_.OpenPath(path) : sink_.OpenDescriptor(descriptor);
  if (!status->ok()) return InitResult::kFailed;
  sink_.TakeTurns(FinishHeld, this);
  sink_.CopyPath(cells_.region().header().sink_path, kSinkPathBytesMax);
  if (recoveries != nullptr) recoveries_.Take(recoveries);
  // Release: pairs with the acquire load in LastLine, which may come without the lock.
  initialized_.store(true, std::memory_order_release);
  return InitResult::kDone;
}

Status Flusher::Recover() {
  Locked locked(mutex_);
  return RecoverLocked();
}

Status Flusher::RecoverLocked() {
  if (!initialized_.load(std::memory_order_relaxed) || recoveries_.is_empty()) return {};  // set under the lock
  const Marked flushing(flusher_);
  return FlushHeld();
}

Sink::Position Flusher::sink_position() const {
  Locked locked(mutex_);
  return initialized_.load(std::memory_order_relaxed) ? sink_.position() : Sink::Position{};  // set under the lock
}

Status Flusher::Fit(uint64_t line_bytes) {
  const uint32_t aggregates = AggregateMax(template_.program());
  if (Status status = line_.Fit(line_bytes, aggregates); !status.ok()) return status;
  return last_line_.Fit(line_bytes, aggregates);
}

FlushResult Flusher::Flush(Status* status, int patience_ms) {
  Locked locked(mutex_);
  return FlushWithin(status, patience_ms);
}

void Flusher::FlushAtExit(int patience_ms) {
  const int64_t deadline_ms = MonotonicMs() + patience_ms;
  for (;;) {
    if (pthread_mutex_trylock(&mutex_) == 0) {
      Status ignored;  // there is nobody left to tell; what does not get out is counted
      if (HasUnflushedLocked()) {
        FlushWithin(&ignored, patience_ms);
      } else {
        RecoverLocked();
      }
      pthread_mutex_unlock(&mutex_);
      return;
    }
    const bool is_own = flusher_.load(std::memory_order_relaxed) == ThreadHandle();
    if (is_own || MonotonicMs() >= deadline_ms) break;
    SleepUs(1'000);
  }
  // Whoever has the lock never gives it back while this thread is here.
  LastLine(MonotonicMs() + patience_ms);
}

FlushResult Flusher::FlushWithin(Status* status, int patience_ms) {
  *status = {};
  const Marked flushing(flusher_);
  // Not the sink itself: the handler of a crash on another thread may be about to open it again.
  if (!initialized_.load(std::memory_order_relaxed)) return FlushResult::kNotInitialized;  // set under the lock
  const uint64_t built = lines_built_;
  const auto attempt = [&] {
    // What is held may be this flush's own line, or that of an earlier flush, after which this one's is still to come.
    const bool is_own = HeldLine() != nullptr && lines_built_ != built;
    return is_own ? FlushHeld() : FlushOnce();
  };
  *status = sink_.RetryBy(MonotonicMs() + patience_ms, [&] {
    const Status first = attempt();
    return !first.ok() && sink_.lacks_turn() && sink_.LetOtherFinish() ? attempt() : first;
  });
  if (status->ok()) return FlushResult::kOut;
  if (missed_cell_ != kNoCell) AddShared(cells_.Shared(missed_cell_), 1);
  return FlushResult::kFailed;
}

Status Flusher::FlushOnce() {
  // Even to look at the sink takes the phase: the handler of a crash on another thread may be about to open it again.
  if (Status status = FlushHeld(); !status.ok()) return status;

  uint32_t phase = kIdle;
  // Acquire-release: a crash handler that took the phase has the line from here on.
  if (!phase_.compare_exchange_strong(phase, kBuilding, std::memory_order_acq_rel)) {
    return {Code::kCrashing, ECANCELED, "write"};
  }
  if (!line_.Build(template_, cells_, devices_, cells_.region().committed_bank() == 0 ? 1 : 0)) {
    phase = kBuilding;
    phase_.compare_exchange_strong(phase, kIdle, std::memory_order_acq_rel);  // unless a crash handler took it
    return {Code::kWrite, EMSGSIZE, "write"};
  }
  lines_built_++;
  return InSending(kBuilding, [&] { return SendRest(line_); });
}

Status Flusher::FlushHeld() {
  return InSending(kIdle, [&] { return Resume(); });
}

void Flusher::Close() {
  Locked locked(mutex_);
  initialized_.store(false, std::memory_order_relaxed);  // nobody is left who could look
  recoveries_.Close();
  sink_.Close();
}

void Flusher::Revive() {
  uint32_t phase = kTaken;
  phase_.compare_exchange_strong(phase, kIdle, std::memory_order_acq_rel);  // as for a flush that ends
}

template <typename Work>
Status Flusher::InSending(Phase from, Work work) {
  SignalMask mask;
  uint32_t phase = from;
  if (!phase_.compare_exchange_strong(phase, kSending, std::memory_order_acq_rel)) return {Code::kCrashing, ECANCELED, "write"};
  Status status;
  {
    const Marked sending(sender_);
    status = work();
  }
  // Release: pairs with the crash handler's acquire of the phase. Unless this thread's own handler took it, and the
  // process lives on.
  phase = kSending;
  phase_.compare_exchange_strong(phase, kIdle, std::memory_order_release, std::memory_order_relaxed);
  if (!status.ok()) SignalMask::Discard(status.error);
  return status;
}

Status Flusher::Resume() {
  bool replaced = false;
  if (Status status = sink_.ReopenIfReplaced(&replaced); !status.ok()) return status;
  // A tail without its head is no line: in another file, the held line is not out, and its deltas stay pending.
  if (replaced) {
    Hold(nullptr);
    recoveries_.Restart();
  }
  Line* const held = HeldLine();
  if (held != nullptr) {
    if (Status status = SendRest(*held); !status.ok()) return status;
  }
  return recoveries_.Send(sink_);
}

void Flusher::FinishHeld(void* self) {
  Flusher* const flusher = static_cast<Flusher*>(self);
  if (pthread_mutex_trylock(&flusher->mutex_) != 0) return;
  // When it fails, the tail stays held, and it is still the turn of this store.
  if (flusher->HeldLine() != nullptr || flusher->recoveries_.is_partly_sent()) flusher->FlushHeld();
  pthread_mutex_unlock(&flusher->mutex_);
}

Status Flusher::SendRest(Line& line) {
  if (!line.is_partly_sent()) {
    if (!sink_.BeginLine()) return {Code::kWrite, EAGAIN, "write"};
    // A last line does not wait for those of earlier lives, one of which may have left its half there.
    line.Begin(cells_.region(), sink_, recoveries_.HasCut(sink_));
  }
  Status status;
  sending_.store(&line, std::memory_order_relaxed);
  const size_t bytes = sink_.Write(line.unsent(), line.unsent_bytes(), &status);
  // A fault in there was mended, but its handler has settled the line already.
  if (sending_.exchange(nullptr, std::memory_order_relaxed) == nullptr) return {Code::kCrashing, ECANCELED, "write"};
  line.Sent(cells_.region(), bytes);
  if (bytes != 0) recoveries_.EndCut(sink_);
  if (status.ok()) line.Commit(cells_.region());
  Hold(line.is_partly_sent() ? &line : nullptr);
  return status;
}

void Flusher::Hold(Line* line) {
  held_.store(line, std::memory_order_relaxed);  // the phase publishes the line itself
  if (line == nullptr) Line::GiveUp(cells_.region());
}

bool Flusher::HasUnflushed() const {
  Locked locked(mutex_);
  return HasUnflushedLocked();
}

bool Flusher::HasUnflushedLocked() const {
  if (HeldLine() != nullptr) return true;
  const uint32_t bank = cells_.region().committed_bank();
  const auto is_unflushed = [&](uint32_t index) { return cells_.Total(index) != Read(cells_.region().InBank(bank, index)); };
  const ProgramView& program = template_.program();
  for (uint32_t index = 0; index < program.static_cells; index++) {
    if (is_unflushed(index)) return true;
  }
  for (uint32_t group = 0; group < program.group_count; group++) {
    for (const Device* device = FirstOf(devices_[group]); device != nullptr; device = After(*device)) {
      if (device->is_hidden && !HasAggregate(program, group)) continue;  // it stands in no line
      for (uint32_t i = 0; i < program.groups[group].cells; i++) {
        if (is_unflushed(device->first_cell + i)) return true;
      }
    }
  }
  return false;
}

bool Flusher::TryQuiet(void (*work)(void* context), void* context) {
  if (pthread_mutex_trylock(&mutex_) != 0) return false;
  const Status status = InSending(kIdle, [&] {
    work(context);
    return Status{};
  });
  pthread_mutex_unlock(&mutex_);
  return status.ok();
}

bool Flusher::LastLine(int64_t deadline_ms) {
  if (!initialized_.load(std::memory_order_acquire)) return false;
  const bool is_out = SendLastLine(deadline_ms);
  // For who reads the region, and for the next line of a process that survives.
  if (!is_out && missed_cell_ != kNoCell) AddShared(cells_.Shared(missed_cell_), 1);
  return is_out;
}

template <typename Send>
bool Flusher::SendBy(int64_t deadline_ms, Send send) {
  const SignalMask mask;  // while it waits, too: a signal that is sent now must not end the process before the line is out
  const Status outcome = sink_.RetryBy(deadline_ms, [&] {
    const Status status = send();
    if (!status.ok()) SignalMask::Discard(status.error);
    return status;
  });
  return outcome.ok();
}

bool Flusher::TakePhase(int64_t deadline_ms) {
  for (;;) {
    uint32_t phase = phase_.load(std::memory_order_acquire);
    if (phase == kTaken) return false;
    const bool is_own = phase == kSending && sender_.load(std::memory_order_relaxed) == ThreadHandle();
    if ((phase != kSending || is_own) && phase_.compare_exchange_strong(phase, kTaken, std::memory_order_acq_rel)) {
      if (is_own) SettleInterrupted();
      return true;
    }
    // Another thread is between the first byte and the commit of its line. It has its signals blocked and never waits
    // for a reader, so this is short, unless the disk itself hangs; then ours would hang too.
    if (MonotonicMs() >= deadline_ms) return false;
    SleepUs(50);
  }
}

void Flusher::SettleInterrupted() {
  Line* const line = sending_.exchange(nullptr, std::memory_order_relaxed);
  if (line == nullptr) {
    // A line of an earlier life, which its own file says is in flight; or nothing. What follows begins on a line of its
    // own.
    size_t none = 0;
    sink_.SettleInterrupted("", 0, &none);
    return;
  }
  const bool is_known = line->SettleInterrupted(cells_.region(), sink_);
  // Of what nobody can tell, all is said again: rather twice than not at all. The record says so.
  if (!is_known) cells_.region().header().unsettled.store(1, std::memory_order_relaxed);
  Hold(is_known && line->is_partly_sent() ? line : nullptr);
}

bool Flusher::SendLastLine(int64_t deadline_ms) {
  if (!TakePhase(deadline_ms)) return false;
  bool replaced = false;
  sink_.ReopenIfReplaced(&replaced);
  if (replaced) {
    Hold(nullptr);
    recoveries_.Restart();
  }
  const auto send = [&](Line& line) { return SendBy(deadline_ms, [&] { return SendRest(line); }); };
  Line* const held = HeldLine();
  if (held != nullptr && !send(*held)) return false;
  // One that is partly out must be whole first. The others are pending in their files still: the next life says them.
  if (recoveries_.is_partly_sent() && !SendBy(deadline_ms, [&] { return recoveries_.FinishSent(sink_); })) return false;
  // The process may have survived an earlier last line. What a flush was building when the phase was taken is in
  // neither bank.
  const uint32_t bank = cells_.region().committed_bank() == kCrashBank ? 1 : kCrashBank;
  if (!last_line_.Build(template_, cells_, devices_, bank)) return false;
  return send(last_line_);
}

}  // namespace vmm
