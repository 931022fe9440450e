#include "region/region_guard.h"

#include <pthread.h>

#include "base/handler_gate.h"

namespace vmm {

namespace {

HandlerTable<Region, kGuardedMax> g_guarded;

// Runs in the child right after a fork, where no other thread exists.
void AbandonAll() {
  g_guarded.ForEachUntil([](Region& region) {
    region.Abandon();
    return false;
  });
  g_guarded.Reset();
}

}  // namespace

Status GuardRegion(Region* region) {
  static const int registered = pthread_atfork(nullptr, nullptr, AbandonAll);
  if (registered != 0) return {Code::kMemory, registered, "pthread_atfork"};
  return g_guarded.Add(region) ? Status{} : Status{Code::kTooManyFiles};
}

void UnguardRegion(Region* region) {
  g_guarded.Remove(region);
  g_guarded.gate().AwaitEmpty();
}

bool AreRegionsGuarded() { return g_guarded.has_any(); }

bool RepairRegion(void* address) {
  return g_guarded.ForEachUntil([&](Region& region) { return region.Repair(address); });
}

}  // namespace vmm
