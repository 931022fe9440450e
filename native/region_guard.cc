#include "region_guard.h"

#include <pthread.h>

#include <atomic>
#include <mutex>

#include "clock.h"

namespace vmm {

namespace {

std::mutex g_guard_lock;
std::atomic<Region*> g_guarded[kGuardedMax];
// How many handlers are looking at g_guarded, so that UnguardRegion can wait for them.
std::atomic<int> g_repairing{0};

// In the child, right after a fork, where nothing else runs.
void AbandonAll() {
  for (std::atomic<Region*>& place : g_guarded) {
    Region* const region = place.load(std::memory_order_relaxed);
    if (region != nullptr) region->Abandon();
    place.store(nullptr, std::memory_order_relaxed);
  }
  g_repairing.store(0, std::memory_order_relaxed);
}

}  // namespace

Status GuardRegion(Region* region) {
  std::lock_guard<std::mutex> lock(g_guard_lock);
  static const int registered = pthread_atfork(nullptr, nullptr, AbandonAll);
  if (registered != 0) return {Code::kMemory, registered, "pthread_atfork"};
  for (std::atomic<Region*>& place : g_guarded) {
    if (place.load(std::memory_order_relaxed) != nullptr) continue;  // written under the lock only
    // Sequentially consistent, with RepairRegion.
    place.store(region, std::memory_order_seq_cst);
    return {};
  }
  return {Code::kFull, 0, "guard"};
}

void UnguardRegion(Region* region) {
  std::lock_guard<std::mutex> lock(g_guard_lock);
  for (std::atomic<Region*>& place : g_guarded) {
    if (place.load(std::memory_order_relaxed) == region) place.store(nullptr, std::memory_order_seq_cst);
  }
  while (g_repairing.load(std::memory_order_seq_cst) != 0) {
    SleepUs(20);
  }
}

bool AreRegionsGuarded() {
  for (const std::atomic<Region*>& place : g_guarded) {
    if (place.load(std::memory_order_relaxed) != nullptr) return true;  // whose it is does not matter
  }
  return false;
}

bool RepairRegion(void* address) {
  // Sequentially consistent, with UnguardRegion: either it sees this count, or this sees the empty place.
  g_repairing.fetch_add(1, std::memory_order_seq_cst);
  bool is_repaired = false;
  for (std::atomic<Region*>& place : g_guarded) {
    Region* const region = place.load(std::memory_order_seq_cst);
    if (region != nullptr && region->Repair(address)) {
      is_repaired = true;
      break;
    }
  }
  g_repairing.fetch_sub(1, std::memory_order_seq_cst);
  return is_repaired;
}

}  // namespace vmm
