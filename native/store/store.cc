#include "store/store.h"

#include <errno.h>

#include <initializer_list>
#include <utility>

#include "base/clock.h"

namespace vmm {

namespace {

// How long the last line waits for room in a full pipe, when a store closes or a process exits.
constexpr int kLastFlushMs = 250;
// How often flushes check whether a captured signal was displaced. The check costs as much as a flush.
constexpr int64_t kLookMs = 100;
constexpr int64_t kNeverLooked = -kLookMs;

}  // namespace

Store::Store(StoreSpec&& spec)
    : spec_(std::move(spec)),
      program_(ViewOf(spec_)),
      abi_(MakeNativeAbi(this, spec_.schema_fingerprint)),
      directory_(cells_.region()),
      devices_(spec_.group_names, spec_.keys),
      kvm_(kvm_samples_, cells_),
      flusher_(cells_, template_, devices_.lists(), spec_.missed_cell, &kvm_samples_),
      periodic_([this] {
        Status ignored;  // the flusher counts a missed line, and the next line carries its deltas
        Flush(&ignored);
      }),
      profiler_(cells_, &kvm_samples_),
      leaving_(static_cast<uint32_t>(spec_.groups.size())),
      retirement_(cells_, directory_, devices_, program_) {
  capture_target_.cells = &cells_;
  capture_target_.sender = &flusher_.sender();
  capture_target_.error_cell = spec_.error_cell;
  capture_target_.last_samples = &profiler_.last_samples();
}

Store::~Store() {
  if (is_guarded_) Unguard(&cells_.region());
}

bool Store::IsSpecSound() const {
  const size_t static_cells = spec_.kinds.size(), groups = spec_.groups.size();
  if (!IsSound(program_) || spec_.group_names.size() != groups || spec_.group_kinds.size() != groups ||
      spec_.group_metrics.size() != groups) {
    return false;
  }
  for (const uint32_t cell : {spec_.missed_cell, spec_.error_cell}) {
    if (cell != kNoCell && cell >= static_cells) return false;
  }
  for (const StoreSpec::Mark& mark : spec_.marks) {
    if (mark.signal == 0 || mark.signal >= kSignals || mark.cell >= static_cells) return false;
  }
  for (size_t g = 0; g < groups; g++) {
    if (spec_.groups[g].cells != spec_.group_kinds[g].size()) return false;
  }
  for (const KvmMetric& metric : spec_.kvm_vm) {
    if (metric.cell >= static_cells) return false;
  }
  if (!spec_.kvm_vcpu.empty() && spec_.kvm_vcpu_group >= groups) return false;
  for (const KvmMetric& metric : spec_.kvm_vcpu) {
    if (metric.cell >= spec_.group_kinds[spec_.kvm_vcpu_group].size()) return false;
  }
  return true;
}

Status Store::Create(OpenConflict* conflict) {
  if (!IsSpecSound()) return {Code::kInvalid, EINVAL};
  for (const StoreSpec::Mark& mark : spec_.marks) capture_target_.marks[mark.signal] = {mark.cell, mark.is_store};

  RegionFile file(spec_.file, spec_.previous);
  RegionSpec region = {spec_.schema_fingerprint, spec_.document.data(), spec_.document.size(), -1};
  if (!spec_.file.empty()) {
    const Status status = file.Make(&region.file);
    conflict->holder = file.holder();
    if (!status.ok()) return status;
  }
  if (Status status = cells_.Create(region); !status.ok()) return status;
  if (!spec_.file.empty()) {
    if (Status status = Guard(&cells_.region()); !status.ok()) return status;
    is_guarded_ = true;
  }
  MakeTemplate(spec_, program_, &template_);
  line_bytes_ = LineBytesMax(program_);
  if (Status status = flusher_.Fit(line_bytes_); !status.ok()) return status;
  uint32_t first = 0;
  const uint32_t static_cells = static_cast<uint32_t>(spec_.kinds.size());
  if (Status status = cells_.Reserve(spec_.kinds.data(), static_cells, &first); !status.ok()) return status;
  if (Status status = retirement_.Create(spec_.group_kinds); !status.ok()) return status;
  cells_.Publish();
  if (spec_.error_cell != kNoCell) kvm_samples_.CountErrorsIn(&cells_.Shared(spec_.error_cell));
  if (spec_.file.empty()) return {};
  const Status status = file.Publish();
  conflict->holder = file.holder();
  return status;
}

void Store::Close(const Ending& ending, bool awaits_exit) {
  // Release: pairs with the acquire load in is_closed. A thread that sees the store closed starts nothing on it.
  closed_.store(true, std::memory_order_release);
  periodic_.Stop();
  profiler_.Stop();
  // The last flush checks for displaced signals, however recent the last check is. Relaxed: publishes nothing.
  looked_ms_.store(kNeverLooked, std::memory_order_relaxed);
  if (ending.state == RegionState::kClosed) {
    Status ignored;  // no caller is left to report it to; the region keeps the values
    Flush(&ignored, kLastFlushMs);
  } else {
    FlushIfChanged();
  }
  // Relaxed: publishes nothing, since Release takes the capture lock.
  if (is_captured_.load(std::memory_order_relaxed) && !Release(&capture_target_)) {
    // The process is dying, and a handler still waits for the reader of a last line. It needs the store until the end.
    Retain();
    return;
  }
  {
    // Native threads may be watching descriptors at this moment, and process.exit() may be sampling them.
    std::lock_guard<std::mutex> lock(mutex_);
    kvm_.Close();
  }
  SetEnding(ending);
  if (awaits_exit && cells_.region().file() >= 0) AwaitExitCode(cells_.region().file());
  // Other addons may still have the file mapped, but the next store that opens the path must find it free.
  cells_.region().Unlock();
  // Close the sink now, since the store's memory may live on in other addons: a reader waits for the end of the pipe.
  flusher_.Close();
}

void Store::SetEnding(const Ending& ending) {
  RegionHeader& header = cells_.region().header();
  const Ending first = ending_.Settle(ending);
  // Relaxed: the state publishes it. A code that is not known replaces none: AwaitExitCode may have let another thread
  // write the code already.
  if (first.exit_code != kExitCodeUnknown) header.exit_code.store(first.exit_code, std::memory_order_relaxed);
  // Release: publishes the exit code, and the values that were counted and flushed before, to readers of the state.
  // Whoever is second writes the same. The crash handler writes kCrashed here at any moment, without an exit code: the
  // signal ends the process, or the handler was survived, and then the last store says how the store ended.
  header.state.store(static_cast<uint32_t>(first.state), std::memory_order_release);
}

void Store::NoteEnding(const Ending& ending) {
  // Relaxed, both: this thread reads them again, in EndWithProcess.
  if (ending.state == RegionState::kPanicked) has_panicked_.store(true, std::memory_order_relaxed);
  exit_code_.store(ending.exit_code, std::memory_order_relaxed);
}

void Store::EndWithProcess(int32_t exit_code) {
  troubles_.End();
  looked_ms_.store(kNeverLooked, std::memory_order_relaxed);  // as in Close
  BeforeFlush();
  kvm_samples_.Sample();  // what KVM has counted since the last line is unflushed, too
  flusher_.FlushAtExit(kLastFlushMs);
  profiler_.StopAtExit(kExitLockMs);
  // Relaxed, both: the thread that called NoteEnding runs this, or the process ends in another way.
  const RegionState state = has_panicked_.load(std::memory_order_relaxed) ? RegionState::kPanicked : RegionState::kExited;
  SetEnding({state, exit_code != kExitCodeUnknown ? exit_code : exit_code_.load(std::memory_order_relaxed)});
}

void Store::FlushIfChanged() {
  Status ignored;  // no caller is left to report it to; the region keeps the values
  kvm_samples_.Sample();
  if (flusher_.HasUnflushed()) {
    Flush(&ignored, kLastFlushMs);
  } else {
    flusher_.Recover();
  }
}

Status Store::CaptureSignals(const CaptureOptions& options) {
  const Status status = Capture(&capture_target_, options);
  if (status.ok()) {
    // Relaxed, both: they publish nothing, since Capture has its own lock.
    displaced_.store(0, std::memory_order_relaxed);
    looked_ms_.store(kNeverLooked, std::memory_order_relaxed);
    is_captured_.store(true, std::memory_order_relaxed);
  }
  return status;
}

FlushResult Store::Flush(Status* status, int patience_ms) {
  BeforeFlush();
  const FlushResult result = flusher_.Flush(status, patience_ms);
  // Without a sink, readers of the region get new values all the same.
  if (result == FlushResult::kNotInitialized) kvm_samples_.Sample();
  NoteKvmLosses();
  if (result == FlushResult::kFailed) troubles_.AddMissed(*status);
  if (result == FlushResult::kOut && leaving_.epoch() != 0) {
    // If another thread has the lock, a later flush does this work.
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    while (lock.owns_lock() && RetireLeaving()) {
    }
  }
  return result;
}

void Store::BeforeFlush() {
  if (is_captured_.load(std::memory_order_relaxed)) {  // publishes nothing
    ReviveIfSurvived();
    // Relaxed, both: a time that publishes nothing. Even if two threads check at the same time, a signal is counted
    // only once.
    const int64_t now_ms = MonotonicMs();
    if (now_ms - looked_ms_.load(std::memory_order_relaxed) >= kLookMs) {
      looked_ms_.store(now_ms, std::memory_order_relaxed);
      CheckDisplaced();
    }
  }
  if (!is_guarded_) return;
  CountDegraded(capture_target_);
  if (cells_.region().is_degraded()) troubles_.AddDegraded();
}

SignalSet Store::CheckDisplaced() {
  // Relaxed, both: a flag and a set of bits that publish nothing but themselves.
  if (!is_captured_.load(std::memory_order_relaxed)) return 0;
  const SignalSet displaced = Displaced();
  const SignalSet fresh = displaced & ~displaced_.fetch_or(displaced, std::memory_order_relaxed);
  troubles_.AddDisplaced(fresh);
  if (fresh != 0 && spec_.error_cell != kNoCell) {
    AddShared(cells_.Shared(spec_.error_cell), static_cast<uint64_t>(__builtin_popcountll(fresh)));
  }
  return displaced;
}

void Store::RetakeSignals(SignalSet signals) {
  // Relaxed, both: a flag and a set of bits that publish nothing but themselves.
  if (!is_captured_.load(std::memory_order_relaxed)) return;
  Retake(signals);
  displaced_.fetch_and(Displaced(), std::memory_order_relaxed);
}

void Store::Unreference() {
  // Acquire-release: the last caller sees everything that the others did with the store.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

uint32_t Store::ClaimShard() {
  std::lock_guard<std::mutex> lock(mutex_);
  return cells_.Claim();
}

void Store::GiveBackShard(uint32_t shard) {
  std::lock_guard<std::mutex> lock(mutex_);
  cells_.GiveBack(shard);
}

Status Store::MapRow(uint32_t chunk, uint32_t shard, void** address) {
  std::lock_guard<std::mutex> lock(mutex_);
  return cells_.MapShard(chunk, shard, address);
}

Status Store::MapHeader(void** address) {
  std::lock_guard<std::mutex> lock(mutex_);
  return cells_.region().MapHeader(address);
}

}  // namespace vmm
