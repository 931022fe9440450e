// The devices of a store: how they are made, removed, let go of, and retired.

#include <errno.h>

#include <algorithm>

#include "store/store.h"

namespace vmm {

namespace {

// The most devices that are retired at once. See also Store::kRetiredWordsAtOnce.
constexpr size_t kRetiredAtOnce = 256;

// The time between retirements: a reader in another process needs some time without a retirement. Retirements do not
// wait for this time when too many devices are leaving, or when there is no room for a new device. A large region takes
// longer to read, and may have more leaving devices.
constexpr int64_t kRetirementGapMs = 20;
constexpr size_t kWaitingMax = 64;
constexpr size_t kLivingPerWaiting = 8;

// Whether the call may succeed once the devices that are leaving have been retired, which frees their cells and
// entries.
bool IsLackOfRoom(Code code) {
  return code == Code::kTooManyDevices || code == Code::kTooManyCells || code == Code::kLineTooLong || code == Code::kMemory;
}

}  // namespace

Status Store::AllocDevice(uint32_t group, const std::string& id, const Device** device, bool is_pinned) {
  std::lock_guard<std::mutex> lock(mutex_);
  const Status status = AllocDeviceLocked(group, id, device);
  if (status.ok() && is_pinned) leaving_.Pin(*device);
  return status;
}

Status Store::AllocDeviceLocked(uint32_t group, const std::string& id, const Device** device) {
  *device = devices_.Find(group, id);
  if (*device == nullptr) {
    if (!retirement_.HasRun(group) &&
        (leaving_.count() >= std::clamp<size_t>(devices_.living_count() / kLivingPerWaiting, 1, kWaitingMax) ||
         MonotonicMs() >= next_retirement_ms_)) {
      while (RetireLeaving()) {
      }
    }
    Status status = MakeDevice(group, id, device);
    if (IsLackOfRoom(status.code) && leaving_.HasAny()) {
      RetireLeaving();
      status = MakeDevice(group, id, device);
    }
    return status;
  }
  return {};
}

Status Store::MakeDevice(uint32_t group, const std::string& id, const Device** device) {
  if (devices_.IsKeyTaken(group, id)) return {Code::kKeyTaken, EEXIST};
  // If a removed device still has this key, the line still has room for a device with this key.
  const uint64_t more_bytes = devices_.HasKey(group, id) ? 0 : devices_.KeyBytes(group, id) + DeviceBytesMax(program_, group);
  const uint64_t line_bytes = line_bytes_ + more_bytes;
  if (line_bytes > kLineBytesMax) return {Code::kLineTooLong};
  // Make room in the line before the device exists, so that a flush that sees the device has the room.
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
  // Without an aggregate, the device's pending deltas can only be written under its own key.
  const bool keeps_key = !HasAggregate(program_, group);
  const Device* device = devices_.Find(group, id);
  if (device == nullptr) return false;
  EndKvm(group, *device);
  device = devices_.Remove(group, id, keeps_key);
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

uint32_t Store::RestOf(uint32_t group) {
  std::lock_guard<std::mutex> lock(mutex_);
  return retirement_.UseRest(group);
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
  kvm_samples_.Sample();
  NoteKvmLosses();
  // The lock keeps devices from being retired in the meantime, here and in TakeTotals.
  std::lock_guard<std::mutex> lock(mutex_);
  Snapshot snapshot;
  snapshot.device_changes = devices_.changes();
  snapshot.totals.resize(TotalsCount());
  WriteTotals(snapshot.totals.data());
  snapshot.ids.resize(program_.group_count);
  for (uint32_t g = 0; g < program_.group_count; g++) {
    snapshot.ids[g].reserve(devices_.living_count(g));
    for (const Devices::Entry& living : devices_.Living(g)) snapshot.ids[g].push_back(living.id);
  }
  return snapshot;
}

bool Store::TakeTotals(uint64_t device_changes, uint64_t* totals, size_t count) {
  kvm_samples_.Sample();
  NoteKvmLosses();
  std::lock_guard<std::mutex> lock(mutex_);
  if (devices_.changes() != device_changes || count != TotalsCount()) return false;
  WriteTotals(totals);
  return true;
}

size_t Store::TotalsCount() const {
  size_t count = program_.static_cells;
  for (uint32_t g = 0; g < program_.group_count; g++) count += program_.groups[g].cells * (1 + devices_.living_count(g));
  return count;
}

void Store::WriteTotals(uint64_t* to) {
  cells_.Totals(0, program_.static_cells, to);
  to += program_.static_cells;
  for (uint32_t g = 0; g < program_.group_count; g++) {
    const uint32_t count = program_.groups[g].cells;
    uint64_t* const gone = to;
    std::fill_n(gone, count, 0);
    to += count;
    for (const Device* device = FirstOf(devices_.lists()[g]); device != nullptr; device = After(*device)) {
      const uint32_t first = device->first_cell;
      if (!device->removed.load(std::memory_order_relaxed)) {  // written under the lock only
        cells_.Totals(first, count, to);
        to += count;
        continue;
      }
      for (uint32_t i = 0; i < count; i++) {
        if (IsSum(cells_.kind(first + i))) gone[i] += cells_.Total(first + i);
      }
    }
  }
}

bool Store::RetireLeaving() {
  if (!leaving_.HasAny()) return false;
  FreeKvm();
  struct Work {
    Store* store;
    size_t most;
    size_t retired;
  } work = {this, RetiredAtOnce(), 0};
  const bool was_quiet = flusher_.TryQuiet(
      [](void* context) {
        Work* const here = static_cast<Work*>(context);
        here->store->RetireQuietly(here->most, &here->retired);
      },
      &work);
  if (work.retired != 0) next_retirement_ms_ = MonotonicMs() + kRetirementGapMs;
  return was_quiet && work.retired == work.most;
}

size_t Store::RetiredAtOnce() const {
  uint64_t cells = 1;
  for (uint32_t g = 0; g < program_.group_count; g++) cells = std::max<uint64_t>(cells, program_.groups[g].cells);
  const uint64_t words = cells * (cells_.shards_used() + kBanks);
  return std::clamp<size_t>(kRetiredWordsAtOnce / words, 1, kRetiredAtOnce);
}

void Store::RetireQuietly(size_t most, size_t* retired) {
  const uint64_t ended = profiler_.ended();
  if (ended != profiles_ended_) leaving_.AskAgain();
  profiles_ended_ = ended;
  const std::vector<Removed> free = leaving_.Take(most, cells_.region().commit(), [this](const Removed& one) {
    return retirement_.IsFullyFlushed(one) && !profiler_.Samples(one.device->first_cell, program_.groups[one.group].cells);
  });
  *retired = free.size();
  line_bytes_ -= retirement_.Retire(free);
}

}  // namespace vmm
