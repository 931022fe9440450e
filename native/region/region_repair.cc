#include "region/region_repair.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "region/format.h"

namespace vmm {

namespace {

// If one region needs more repairs than this, repairing does not help.
constexpr uint32_t kRepairsMax = 4 * kMaxChunks * kRows;

}  // namespace

Status RegionRepair::Prepare(uint32_t granule_bytes) {
  granule_bytes_ = granule_bytes;
  // A fresh page is all zeros, and 0 is kMapped. Pages get memory when they are touched.
  const uint64_t bytes = (space_.bytes() / granule_bytes + granule_bytes - 1) / granule_bytes * granule_bytes;
  if (Status status = state_space_.Make(bytes, Reservation::Of::kPrivate); !status.ok()) return status;
  if (mprotect(state_space_.base(), bytes, PROT_READ | PROT_WRITE) != 0) return {Code::kMemory, errno, "mprotect"};
  rows_.PrepareSpare(space_.bytes());
  states_ = reinterpret_cast<std::atomic<uint8_t>*>(state_space_.base());
  return {};
}

void RegionRepair::CatchUp(const RowMappings::Entry& entry, void* address) {
  if (states_ == nullptr) return;
  // Sequentially consistent, with Replace. Replace changes the state first and then looks at the entries, so either
  // Replace sees this entry, or this thread sees the new state.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::atomic<uint8_t>& state = states_[entry.granule];
  // Acquire, both: pairs with the release stores in Replace, which publish the new memory.
  while (state.load(std::memory_order_acquire) == kReplacing) SleepUs(20);
  if (state.load(std::memory_order_acquire) == kReplaced) rows_.Reconnect(entry, address);
}

bool RegionRepair::Repair(void* address) {
  if (states_ == nullptr) return false;
  const HandlerGate::Inside inside(rows_.gate());
  uint64_t granule = 0;
  return FindGranule(static_cast<unsigned char*>(address), &granule) && Replace(granule);
}

bool RegionRepair::FindGranule(const unsigned char* at, uint64_t* granule) {
  if (at >= space_.base() && at < space_.base() + space_.bytes()) {
    *granule = static_cast<uint64_t>(at - space_.base()) / granule_bytes_;
    return true;
  }
  bool is_found = false;
  rows_.ForEach([&](const RowMappings::Entry& entry, void* address) {
    const unsigned char* const mapped = static_cast<unsigned char*>(address);
    is_found = at >= mapped && at < mapped + granule_bytes_;
    if (is_found) *granule = entry.granule;
    return is_found;
  });
  return is_found;
}

bool RegionRepair::Replace(uint64_t granule) {
  // Relaxed: a count that publishes nothing.
  if (repairs_.fetch_add(1, std::memory_order_relaxed) > kRepairsMax) return false;
  std::atomic<uint8_t>& state = states_[granule];
  uint8_t expected = kMapped;
  // Acquire-release: one thread replaces the memory; the others go on once the new memory is published.
  if (!state.compare_exchange_strong(expected, kReplacing, std::memory_order_acq_rel)) {
    while (state.load(std::memory_order_acquire) == kReplacing) SleepUs(20);
    return state.load(std::memory_order_acquire) == kReplaced;
  }
  if (!rows_.ReplaceMemory(granule)) {
    state.store(kMapped, std::memory_order_release);  // as before; publishes nothing new
    return false;
  }
  // The second mappings still map the old memory. It is lost for them too, or comes back when the file grows again.
  // What a thread writes through them must reach the memory that sums are read from.
  std::atomic_thread_fence(std::memory_order_seq_cst);  // with CatchUp
  rows_.ForEach([&](const RowMappings::Entry& entry, void* address) {
    if (entry.granule == granule) rows_.Reconnect(entry, address);
    return false;
  });
  state.store(kReplaced, std::memory_order_release);  // publishes the new memory
  return true;
}

void RegionRepair::Abandon() {
  states_ = nullptr;
  // A thread of the parent may have been inside; it does not exist here.
  rows_.gate().Reset();
}

}  // namespace vmm
