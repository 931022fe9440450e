#include "flush/line_sender.h"

#include <errno.h>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "base/this_thread.h"

namespace vmm {

LineSender::LineSender(Cells& cells, const LineTemplate& line_template, const DeviceLists& devices, uint32_t missed_cell,
                       const KvmSamples* kvm)
    : cells_(cells), template_(line_template), devices_(devices), missed_cell_(missed_cell), kvm_(kvm) {}

Status LineSender::Open(const char* path, int descriptor, FinishLine finish, void* flusher, Recoveries* recoveries) {
  if (Status status = path != nullptr ? sink_.OpenPath(path) : sink_.OpenDescriptor(descriptor); !status.ok()) return status;
  sink_.TakeTurns(finish, flusher);
  sink_.CopyPath(cells_.region().header().sink_path, kSinkPathBytesMax);
  if (recoveries != nullptr) recoveries_.Take(recoveries);
  is_open_.store(true, std::memory_order_release);  // pairs with the acquires in LastLine and WaitsForTurn
  return {};
}

void LineSender::Close() {
  is_open_.store(false, std::memory_order_relaxed);  // nobody is left who could look
  recoveries_.Close();
  sink_.Close();
}

Status LineSender::Fit(uint64_t line_bytes) {
  const uint32_t aggregates = AggregateMax(template_.program());
  if (Status status = line_.Fit(line_bytes, aggregates); !status.ok()) return status;
  return last_line_.Fit(line_bytes, aggregates);
}

void LineSender::CountMissed() {
  if (missed_cell_ != kNoCell) AddShared(cells_.Shared(missed_cell_), 1);
}

// ---- flushes

Status LineSender::SendNew() {
  if (HasEarlier()) {
    if (Status status = SendHeld(); !status.ok()) return status;
  }
  const ShardSelection& shards = cells_.idle().Select(cells_);
  if (!PassPhase(kIdle, kBuilding)) return {Code::kCrashing, ECANCELED, "write"};
  if (!Build(line_, shards, cells_.region().committed_bank() == 0 ? 1 : 0)) {
    PassPhase(kBuilding, kIdle);
    return {Code::kWrite, EMSGSIZE, "write"};
  }
  lines_built_++;
  return InSending(kBuilding, [&] {
    if (Status status = Reopen(); !status.ok()) return status;
    return SendRest(line_);
  });
}

Status LineSender::SendHeld() {
  return InSending(kIdle, [&] { return Resume(); });
}

Status LineSender::SendNewBy(int64_t deadline_ms) {
  const uint64_t built = lines_built_;
  const auto attempt = [&] {
    // A held line may be the new one. If it is the line of an earlier flush, the new one is still to come.
    const bool is_new = HeldLine() != nullptr && lines_built_ != built;
    return is_new ? SendHeld() : SendNew();
  };
  return sink_.RetryBy(deadline_ms, [&] {
    const Status first = attempt();
    return !first.ok() && sink_.lacks_turn() && sink_.LetOtherFinish() ? attempt() : first;
  });
}

bool LineSender::PassPhase(uint32_t from, uint32_t to) {
  // Acquire-release: the line, the sink and what is held go from one owner of the phase to the next one.
  return phase_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
}

template <typename Work>
Status LineSender::InSending(Phase from, Work work) {
  SignalMask mask;
  if (!PassPhase(from, kSending)) return {Code::kCrashing, ECANCELED, "write"};
  Status status;
  {
    const ThreadMark sending(sending_thread_);
    status = work();
  }
  PassPhase(kSending, kIdle);  // fails when this thread's own handler took the phase, and the process lives on
  if (!status.ok()) SignalMask::Discard(status.error);
  return status;
}

Status LineSender::Reopen() {
  bool replaced = false;
  const Status status = sink_.ReopenIfReplaced(&replaced);
  // A tail without its head is no line: the held line is not out, and its deltas stay pending.
  if (replaced) {
    Hold(nullptr);
    recoveries_.Restart();
  }
  return status;
}

Status LineSender::Resume() {
  if (Status status = Reopen(); !status.ok()) return status;
  if (Line* const held = HeldLine(); held != nullptr) {
    if (Status status = SendRest(*held); !status.ok()) return status;
  }
  return recoveries_.Send(sink_);
}

bool LineSender::Build(Line& line, const ShardSelection& shards, uint32_t bank) {
  if (kvm_ != nullptr) kvm_->Sample();
  return line.Build(template_, cells_, shards, devices_, bank);
}

Status LineSender::SendRest(Line& line) {
  if (!line.is_partly_sent()) {
    if (!sink_.BeginLine()) return {Code::kWrite, EAGAIN, "write"};
    // A last line does not wait for the lines of earlier lives. One of them may have left half a line there.
    line.Begin(cells_.region(), sink_, recoveries_.HasHalfLineIn(sink_));
  }
  Status status;
  sending_.store(&line, std::memory_order_relaxed);
  const size_t bytes = sink_.Write(line.unsent(), line.unsent_bytes(), &status);
  // Null: there was a fault in Write. It was repaired, but our handler has settled the line already.
  if (sending_.exchange(nullptr, std::memory_order_relaxed) == nullptr) return {Code::kCrashing, ECANCELED, "write"};
  line.Sent(cells_.region(), bytes);
  if (bytes != 0) recoveries_.EndHalfLineIn(sink_);
  if (status.ok()) line.Commit(cells_.region());
  Hold(line.is_partly_sent() ? &line : nullptr);
  return status;
}

void LineSender::Hold(Line* line) {
  held_.store(line, std::memory_order_relaxed);  // the phase publishes the line itself
  if (line == nullptr) Line::GiveUp(cells_.region());
}

bool LineSender::HasUnflushed() const {
  if (HeldLine() != nullptr) return true;
  const uint32_t bank = cells_.region().committed_bank();
  const auto is_unflushed = [&](uint32_t index) { return cells_.Total(index) != Read(cells_.region().InBank(bank, index)); };
  const ProgramView& program = template_.program();
  for (uint32_t index = 0; index < program.static_cells; index++) {
    if (is_unflushed(index)) return true;
  }
  for (uint32_t group = 0; group < program.group_count; group++) {
    for (const Device* device = FirstOf(devices_[group]); device != nullptr; device = After(*device)) {
      if (device->is_hidden && !HasAggregate(program, group)) continue;  // no line shows it
      for (uint32_t i = 0; i < program.groups[group].cells; i++) {
        if (is_unflushed(device->first_cell + i)) return true;
      }
    }
  }
  return false;
}

bool LineSender::DoQuiet(void (*work)(void* context), void* context) {
  // Between two calls, the phase is free for less time than a waiting handler sleeps.
  if (waiting_.load(std::memory_order_relaxed) != 0) return false;
  const Status status = InSending(kIdle, [&] {
    work(context);
    return Status{};
  });
  return status.ok();
}

// ---- the last line

bool LineSender::LastLine(int64_t deadline_ms) {
  if (!is_open_.load(std::memory_order_acquire)) {
    if (kvm_ != nullptr) kvm_->Sample();  // for readers of the region
    return false;
  }
  const bool is_out = SendLastLine(deadline_ms);
  // For readers of the region, and for the next line of a process that survives.
  if (!is_out) CountMissed();
  return is_out;
}

bool LineSender::SendLastLine(int64_t deadline_ms) {
  if (!TakePhase(deadline_ms)) return false;
  Reopen();  // when it fails, what is open is still the best there is
  const auto send = [&](Line& line) { return SendBy(deadline_ms, [&] { return SendRest(line); }); };
  Line* const held = HeldLine();
  if (held != nullptr && !send(*held)) return false;
  // If a line of an earlier life is partly out, its rest goes first. The other lines of earlier lives stay pending in
  // their files, and the next life sends them.
  if (recoveries_.is_partly_sent() && !SendBy(deadline_ms, [&] { return recoveries_.FinishSent(sink_); })) return false;
  // Usually the crash bank: a flush that was building its line has written nothing there. But if the process has
  // survived an earlier last line, the crash bank may be the committed one.
  const uint32_t bank = cells_.region().committed_bank() == kCrashBank ? 1 : kCrashBank;
  const ShardSelection shards = ShardSelection::All(cells_.shards_used());
  if (!Build(last_line_, shards, bank)) return false;
  return send(last_line_);
}

template <typename Send>
bool LineSender::SendBy(int64_t deadline_ms, Send send) {
  const SignalMask mask;  // while it waits, too: a signal that is sent now must not end the process before the line is out
  const Status outcome = sink_.RetryBy(deadline_ms, [&] {
    const Status status = send();
    if (!status.ok()) SignalMask::Discard(status.error);
    return status;
  });
  return outcome.ok();
}

bool LineSender::TakePhase(int64_t deadline_ms) {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  const bool is_taken = TryPhaseUntil(deadline_ms);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return is_taken;
}

bool LineSender::TryPhaseUntil(int64_t deadline_ms) {
  for (;;) {
    uint32_t phase = phase_.load(std::memory_order_acquire);
    if (phase == kTaken) return false;
    const bool is_own = phase == kSending && sending_thread_.load(std::memory_order_relaxed) == ThreadHandle();
    if ((phase != kSending || is_own) && phase_.compare_exchange_strong(phase, kTaken, std::memory_order_acq_rel)) {
      if (is_own) SettleInterrupted();
      return true;
    }
    // Another thread is between the first byte and the commit of its line, or retires devices. That thread has its
    // signals blocked and never waits for a reader, so our wait is short. It is long only if the disk hangs, and then
    // our own write would hang too.
    if (MonotonicMs() >= deadline_ms) return false;
    SleepUs(50);
  }
}

void LineSender::SettleInterrupted() {
  Line* const line = sending_.exchange(nullptr, std::memory_order_relaxed);
  if (line == nullptr) {
    // The fault was in no line, or in a line of an earlier life. The file of that life says that the line is in flight.
    // What follows begins on a line of its own.
    size_t none = 0;
    sink_.SettleInterrupted("", 0, &none);
    return;
  }
  const bool is_known = line->SettleInterrupted(cells_.region(), sink_);
  // If nobody can tell how much is out, all deltas stay pending: a delta that is out twice is better than one that is
  // lost. The header records this.
  if (!is_known) cells_.region().header().unsettled.store(1, std::memory_order_relaxed);
  Hold(is_known && line->is_partly_sent() ? line : nullptr);
}

void LineSender::Revive() {
  PassPhase(kTaken, kIdle);  // unless the phase is taken, nothing changes
}

}  // namespace vmm
