#include "store.h"

#include <errno.h>

#include <condition_variable>
#include <cstdlib>
#include <map>
#include <utility>

#include "clock.h"
#include "lock_within.h"
#include "process_mark.h"

namespace vmm {

namespace {

// How long the last line of an orderly end waits for a pipe that is full.
constexpr int kLastFlushMs = 250;
// How long exit() waits for somebody who opens or closes a store.
constexpr int kExitLockMs = 250;

// A store by its name. Whoever makes or closes it does so without the registry's lock, since files may be slow; the others that
// want the name, or the file that is being given up, wait.
struct Registered {
  Store* store = nullptr;  // null: it is being made
  bool is_closing = false;
  std::string file;
};

// The stores of this process. Leaked on purpose: worker threads may still detach while statics are destroyed.
struct Registry {
  std::mutex mutex;
  std::condition_variable changed;
  ProcessMark process;
  std::map<std::string, Registered> stores;

  // Whether somebody who wants this name and file must wait. Under the lock.
  bool IsBusy(const std::string& name, const std::string& file) const {
    for (const auto& [taken, one] : stores) {
      if (taken == name && (one.store == nullptr || one.is_closing)) return true;
      if (!file.empty() && one.file == file && one.is_closing) return true;
    }
    return false;
  }

  // A forked child: the stores are its parent's, and who was making or closing one is not here. Under the lock.
  void AdoptProcess() {
    if (process.IsHere()) return;
    stores.clear();
    process.Set();
  }
};

Registry& TheRegistry() {
  static Registry* const registry = [] {
    AtProcessExit(Store::EndAllWithProcess);
    Registry* const made = new Registry;
    made->process.Set();
    return made;
  }();
  return *registry;
}

ProgramView ViewOf(const StoreSpec& spec) {
  return {spec.code.data(),
          static_cast<uint32_t>(spec.code.size()),
          spec.main_end,
          spec.groups.data(),
          static_cast<uint32_t>(spec.groups.size()),
          spec.literals.data(),
          static_cast<uint32_t>(spec.literals.size()),
          static_cast<uint32_t>(spec.kinds.size())};
}

}  // namespace

// process.exit() ends the process without running the cleanup hooks of its environment, so nobody has detached.
void Store::EndAllWithProcess(int32_t exit_code) {
  Registry& registry = TheRegistry();
  if (!registry.process.IsHere()) return;  // a forked child; the stores are its parent's
  SettleExitCodes(exit_code);
  // Linked and not listed: exit() may have been called in a signal handler that interrupted the allocation of memory.
  Store* first = nullptr;
  {
    // Or on the thread that has the lock. It is never held for long otherwise.
    std::unique_lock<std::mutex> lock(registry.mutex, std::defer_lock);
    if (!LockWithin(lock, kExitLockMs)) return;
    for (const auto& [name, one] : registry.stores) {
      if (one.store == nullptr) continue;
      one.store->Retain();  // never given back: the process ends
      one.store->next_at_exit_ = std::exchange(first, one.store);
    }
  }
  // All together, so that they take a second at most, and not a second each.
  for (Store* store = first; store != nullptr; store = store->next_at_exit_) store->profiler().AskToStopAtExit(kExitLockMs);
  for (Store* store = first; store != nullptr; store = store->next_at_exit_) store->EndWithProcess(exit_code);
}

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
  captured_.cells = &cells_;
  captured_.flusher = &flusher_;
  captured_.error_cell = spec_.error_cell;
  captured_.profiler = &profiler_;
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
  if (!sound) return {Code::kFull, EINVAL, "load"};
  for (const StoreSpec::Mark& mark : spec_.marks) captured_.marks[mark.signal] = {mark.cell, mark.is_store};

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

void Store::VisitOpen(void (*visit)(void* context, const char* name, uint64_t schema_fingerprint), void* context) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  if (!registry.process.IsHere()) return;  // a forked child; the stores are its parent's
  for (const auto& [name, one] : registry.stores) {
    if (one.store != nullptr && !one.is_closing) visit(context, name.c_str(), one.store->spec_.schema_fingerprint);
  }
}

Status Store::Open(StoreSpec&& spec, Store** store, OpenConflict* conflict) {
  *store = nullptr;
  Registry& registry = TheRegistry();
  std::unique_lock<std::mutex> lock(registry.mutex);
  registry.AdoptProcess();
  registry.changed.wait(lock, [&] { return !registry.IsBusy(spec.name, spec.file); });
  const auto found = registry.stores.find(spec.name);
  if (found != registry.stores.end()) {
    Store* const there = found->second.store;
    if (there->spec_.schema_text != spec.schema_text) {
      conflict->other_schema = there->spec_.schema_text;
      return {};
    }
    there->Retain();
    there->attachments_++;
    *store = there;
    return {};
  }
  const std::string name = spec.name;
  Registered& place = registry.stores[name];  // which stays where it is, whatever comes and goes
  place.file = spec.file;
  lock.unlock();

  Store* made = nullptr;
  Status status;
  try {
    made = new Store(std::move(spec));
    status = made->Create(conflict);
  } catch (const std::bad_alloc&) {
    status = {Code::kMemory, ENOMEM, "malloc"};
  }
  if (!status.ok() && made != nullptr) made->Unreference();

  lock.lock();
  if (status.ok()) {
    made->attachments_ = 1;
    place.store = made;
    *store = made;
  } else {
    registry.stores.erase(name);
  }
  registry.changed.notify_all();
  return status;
}

void Store::Detach(const Ending& ending, bool awaits_exit) {
  Registry& registry = TheRegistry();
  bool last;
  {
    std::lock_guard<std::mutex> lock(registry.mutex);
    last = --attachments_ == 0;
    const auto found = registry.stores.find(spec_.name);
    if (last && found != registry.stores.end() && found->second.store == this) found->second.is_closing = true;
  }
  if (last) {
    Close(ending, awaits_exit);
    std::lock_guard<std::mutex> lock(registry.mutex);
    const auto found = registry.stores.find(spec_.name);
    if (found != registry.stores.end() && found->second.store == this) registry.stores.erase(found);
    registry.changed.notify_all();
  }
  Unreference();
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
    FlushNews();
  }
  if (is_captured_.load(std::memory_order_relaxed) && !Release(&captured_)) {
    // The process is dying, and a handler still waits for the reader of a last line: it needs all of this until the end.
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

void Store::FlushNews() {
  Status ignored;  // as above
  if (flusher_.HasNews()) {
    Flush(&ignored, kLastFlushMs);
  } else {
    flusher_.Recover();
  }
}

Status Store::CaptureSignals(const CaptureOptions& options) {
  const Status status = Capture(&captured_, options);
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
  if (is_guarded_) CountDegraded(captured_);
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

// How many devices are retired at once: what a crash handler may have to wait for takes some milliseconds at most.
constexpr size_t kRetiredAtOnce = 256;

// How long devices that have left wait for others, unless there are so many, or no room: who reads the region in another process
// needs some time without a retirement.
constexpr int64_t kRetirementGapMs = 20;
constexpr size_t kWaitingMax = 64;

Status Store::AllocDevice(uint32_t group, const std::string& id, const Device** device, bool is_pinned) {
  std::lock_guard<std::mutex> lock(mutex_);
  *device = devices_.Find(group, id);
  if (*device == nullptr) {
    if (!retirement_.HasRun(group) && (leaving_.count() >= kWaitingMax || MonotonicMs() >= may_recycle_ms_)) {
      while (Recycle()) {
      }
    }
    Status status = MakeDevice(group, id, device);
    const bool lacks_room = status.code == Code::kFull || status.code == Code::kMemory;
    if (lacks_room && leaving_.HasAny()) {
      Recycle();
      status = MakeDevice(group, id, device);
    }
    if (!status.ok()) return status;
  }
  if (is_pinned) leaving_.Pin(*device);
  return {};
}

Status Store::MakeDevice(uint32_t group, const std::string& id, const Device** device) {
  if (devices_.IsKeyTaken(group, id)) return {Code::kTaken, EEXIST, "alloc"};
  // A device that kept its key kept its room too.
  const uint64_t more_bytes = devices_.HasKey(group, id) ? 0 : devices_.KeyBytes(group, id) + DeviceBytesMax(program_, group);
  const uint64_t line_bytes = line_bytes_ + more_bytes;
  if (line_bytes > kLineBytesMax) return {Code::kFull, 0, "line"};
  // The room in the line before the device: a flush that sees the device has the room.
  if (Status status = flusher_.Fit(line_bytes); !status.ok()) return status;
  const std::vector<CellKind>& kinds = spec_.group_kinds[group];
  uint32_t first = 0;
  if (Status status = directory_.Reserve(); !status.ok()) return status;
  if (retirement_.HasRun(group)) {
    first = retirement_.TakeRun(group);
  } else if (Status status = cells_.Reserve(kinds.data(), static_cast<uint32_t>(kinds.size()), &first); !status.ok()) {
    return status;
  }
  Device* const made = devices_.Add(group, id, first);
  made->directory_entry = directory_.Add(group, id, first);
  line_bytes_ = line_bytes;
  cells_.Publish();
  *device = made;
  return {};
}

bool Store::RemoveDevice(uint32_t group, const std::string& id, const Holder* self) {
  std::lock_guard<std::mutex> lock(mutex_);
  // Without an aggregate, what it still has to say can only stand under its own key.
  const bool keeps_key = !HasAggregate(program_, group);
  const Device* const device = devices_.Remove(group, id, keeps_key);
  if (device == nullptr) return false;
  directory_.Remove(device->directory_entry);
  if (!keeps_key) line_bytes_ -= devices_.KeyBytes(group, id) + DeviceBytesMax(program_, group);
  leaving_.Note(group, device, self);
  return true;
}

bool Store::ReleaseDevice(uint32_t group, uint32_t first_cell) {
  std::lock_guard<std::mutex> lock(mutex_);
  const Device* const device = devices_.At(group, first_cell);
  return device != nullptr && leaving_.Unpin(device);
}

std::vector<Devices::Entry> Store::LivingDevices(uint32_t group) {
  std::lock_guard<std::mutex> lock(mutex_);
  return devices_.Living(group);
}

void Store::AddHolder(Holder* holder) {
  std::lock_guard<std::mutex> lock(mutex_);
  leaving_.Add(holder);
}

void Store::RemoveHolder(Holder* holder) {
  std::lock_guard<std::mutex> lock(mutex_);
  leaving_.Remove(holder);
}

std::vector<Removed> Store::LeavingOf(const Holder& holder, uint64_t* epoch) {
  std::lock_guard<std::mutex> lock(mutex_);
  *epoch = leaving_.epoch();
  return leaving_.Since(holder);
}

Store::Snapshot Store::TakeSnapshot() {
  // No device is retired meanwhile.
  std::lock_guard<std::mutex> lock(mutex_);
  Snapshot snapshot;
  const uint32_t static_cells = program_.static_cells;
  for (uint32_t index = 0; index < static_cells; index++) snapshot.totals.push_back(cells_.Total(index));
  snapshot.ids.resize(program_.group_count);
  for (uint32_t g = 0; g < program_.group_count; g++) {
    const uint32_t count = program_.groups[g].cells;
    const size_t gone = snapshot.totals.size();
    snapshot.totals.resize(gone + count);
    for (const Device* device = FirstOf(devices_.lists()[g]); device != nullptr; device = After(*device)) {
      const uint32_t first = device->first_cell;
      if (!device->removed.load(std::memory_order_relaxed)) {  // written under the lock only
        snapshot.ids[g].push_back(devices_.IdOf(g, *device));
        for (uint32_t i = 0; i < count; i++) snapshot.totals.push_back(cells_.Total(first + i));
        continue;
      }
      for (uint32_t i = 0; i < count; i++) {
        if (cells_.kind(first + i) == CellKind::kInc) snapshot.totals[gone + i] += cells_.Total(first + i);
      }
    }
  }
  return snapshot;
}

bool Store::Recycle() {
  if (!leaving_.HasAny()) return false;
  struct Work {
    Store* store;
    size_t retired;
  } work = {this, 0};
  const bool was_quiet = flusher_.TryQuiet(
      [](void* context) {
        Work* const here = static_cast<Work*>(context);
        here->store->RecycleQuietly(&here->retired);
      },
      &work);
  if (work.retired != 0) may_recycle_ms_ = MonotonicMs() + kRetirementGapMs;
  return was_quiet && work.retired == kRetiredAtOnce;
}

void Store::RecycleQuietly(size_t* retired) {
  const uint64_t ended = profiler_.ended();
  if (ended != profiles_ended_) leaving_.AskAgain();
  profiles_ended_ = ended;
  const std::vector<Removed> free = leaving_.Take(kRetiredAtOnce, cells_.region().commit(), [this](const Removed& one) {
    return retirement_.IsSaid(one) && !profiler_.Samples(one.device->first_cell, program_.groups[one.group].cells);
  });
  *retired = free.size();
  line_bytes_ -= retirement_.Retire(free);
}

Status Store::MapRow(uint32_t chunk, uint32_t shard, void** address) {
  std::lock_guard<std::mutex> lock(mutex_);
  return cells_.MapShard(chunk, shard, address);
}

}  // namespace vmm
