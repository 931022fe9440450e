#include "store/store.h"

#include <errno.h>

#include <utility>

namespace vmm {

namespace {

// How long the last line of an orderly end waits for a pipe that is full.
constexpr int kLastFlushMs = 250;

}  // namespace

Store::Store(StoreSpec&& spec)
    : spec_(std::move(spec)),
      program_(ViewOf(spec_)),
      abi_(MakeNativeAbi(this, spec_.schema_fingerprint)),
      directory_(cells_.region()),
      devices_(spec_.group_names, spec_.keys),
      flusher_(cells_, program_, devices_.lists(), spec_.missed_cell),
      periodic_([this] {
        Status ignored;  // a line that did not get out is counted, and its deltas are in the next
        Flush(&ignored);
      }),
      profiler_(cells_),
      leaving_(static_cast<uint32_t>(spec_.groups.size())),
      retirement_(cells_, directory_, devices_, program_) {
  capture_target_.cells = &cells_;
  capture_target_.flusher = &flusher_;
  capture_target_.error_cell = spec_.error_cell;
  capture_target_.last_samples = &profiler_.last_samples();
}

Store::~Store() {
  if (is_guarded_) Unguard(&cells_.region());
}

Status Store::Create(OpenConflict* conflict) {
  const uint32_t static_cells = static_cast<uint32_t>(spec_.kinds.size());
  bool sound = IsSound(program_) && spec_.groups.size() == spec_.group_names.size() &&
               spec_.groups.size() == spec_.group_kinds.size() && spec_.groups.size() == spec_.group_metrics.size() &&
               (spec_.missed_cell == Flusher::kNoCell || spec_.missed_cell < static_cells) &&
               (spec_.error_cell == Flusher::kNoCell || spec_.error_cell < static_cells);
  for (const StoreSpec::Mark& mark : spec_.marks) {
    sound = sound && mark.signal > 0 && mark.signal < kSignals && mark.cell < static_cells;
  }
  for (size_t g = 0; sound && g < spec_.groups.size(); g++) sound = spec_.groups[g].cells == spec_.group_kinds[g].size();
  if (!sound) return {Code::kInvalid, EINVAL};
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
  line_bytes_ = LineBytesMax(program_);
  if (Status status = flusher_.Fit(line_bytes_); !status.ok()) return status;
  uint32_t first = 0;
  if (Status status = cells_.Reserve(spec_.kinds.data(), static_cells, &first); !status.ok()) return status;
  if (Status status = retirement_.Create(spec_.group_kinds); !status.ok()) return status;
  cells_.Publish();
  if (spec_.file.empty()) return {};
  const Status status = file.Publish();
  conflict->holder = file.holder();
  return status;
}

void Store::Close(const Ending& ending, bool awaits_exit) {
  // Release: who sees it closed does not start anything on it any more.
  closed_.store(true, std::memory_order_release);
  periodic_.Stop();
  profiler_.Stop();
  if (ending.state == RegionState::kClosed) {
    Status ignored;  // there is nobody left to tell; the region has the values
    Flush(&ignored, kLastFlushMs);
  } else {
    FlushIfChanged();
  }
  if (is_captured_.load(std::memory_order_relaxed) && !Release(&capture_target_)) {
    // The process is dying, and a handler still waits for the reader of a last line: it needs all of this until the
    // end.
    Retain();
    return;
  }
  SetEnding(ending);
  if (awaits_exit && cells_.region().file() >= 0) AwaitExitCode(cells_.region().file());
  // Whoever opens the file next finds it closed, though other addons may have it mapped still.
  cells_.region().Unlock();
  // Now, and not with the memory, which may live on in other addons: a reader waits for the end of the pipe.
  flusher_.Close();
}

void Store::SetEnding(const Ending& ending) {
  RegionHeader& header = cells_.region().header();
  header.exit_code = ending.exit_code;
  // Release: publishes the exit code, and what was counted and flushed before, to who reads the state.
  header.state.store(static_cast<uint32_t>(ending.state), std::memory_order_release);
}

void Store::NoteEnding(const Ending& ending) {
  // Relaxed, both: of this thread, which goes on to the end of the process.
  if (ending.state == RegionState::kPanicked) has_panicked_.store(true, std::memory_order_relaxed);
  exit_code_.store(ending.exit_code, std::memory_order_relaxed);
}

void Store::EndWithProcess(int32_t exit_code) {
  BeforeFlush();
  flusher_.FlushAtExit(kLastFlushMs);
  profiler_.StopAtExit(kExitLockMs);
  // Relaxed, both: whoever noted it goes on to the end of the process, or is this thread.
  const RegionState state = has_panicked_.load(std::memory_order_relaxed) ? RegionState::kPanicked : RegionState::kExited;
  SetEnding({state, exit_code != kExitCodeUnknown ? exit_code : exit_code_.load(std::memory_order_relaxed)});
}

void Store::FlushIfChanged() {
  Status ignored;  // as above
  if (flusher_.HasUnflushed()) {
    Flush(&ignored, kLastFlushMs);
  } else {
    flusher_.Recover();
  }
}

Status Store::CaptureSignals(const CaptureOptions& options) {
  const Status status = Capture(&capture_target_, options);
  if (status.ok()) {
    displaced_.store(0, std::memory_order_relaxed);       // they are in their places again
    is_captured_.store(true, std::memory_order_relaxed);  // publishes nothing: Capture has its own lock
  }
  return status;
}

FlushResult Store::Flush(Status* status, int patience_ms) {
  BeforeFlush();
  const FlushResult result = flusher_.Flush(status, patience_ms);
  if (result == FlushResult::kOut && leaving_.epoch() != 0) {
    // Another thread that has the lock now does the same later.
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    while (lock.owns_lock() && Recycle()) {
    }
  }
  return result;
}

void Store::BeforeFlush() {
  if (is_captured_.load(std::memory_order_relaxed)) {
    ReviveIfSurvived();
    CheckDisplaced();
  }
  if (is_guarded_) CountDegraded(capture_target_);
}

SignalSet Store::CheckDisplaced() {
  if (!is_captured_.load(std::memory_order_relaxed)) return 0;
  const SignalSet displaced = Displaced();
  // Relaxed: a set of bits that publishes nothing but itself.
  const SignalSet fresh = displaced & ~displaced_.fetch_or(displaced, std::memory_order_relaxed);
  if (fresh != 0 && spec_.error_cell != Flusher::kNoCell) {
    AddShared(cells_.Shared(spec_.error_cell), static_cast<uint64_t>(__builtin_popcountll(fresh)));
  }
  return displaced;
}

void Store::RetakeSignals(SignalSet signals) {
  if (!is_captured_.load(std::memory_order_relaxed)) return;
  Retake(signals);
  displaced_.fetch_and(Displaced(), std::memory_order_relaxed);  // a set of bits that publishes nothing
}

void Store::Unreference() {
  // Acquire-release: the last one sees everything that the others did before they let go.
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

}  // namespace vmm
