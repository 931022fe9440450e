// The guarded regions are the regions of this process that are files. The crash handler repairs their memory when a
// file loses it (see RegionRepair), and a forked child drops the regions of its parent.
//
// Thread-safety:       GuardRegion and UnguardRegion are called by one thread at a time (the capture lock); the rest by
//                      any thread. UnguardRegion waits until no handler uses the region.
// Async-signal-safety: RepairRegion and AreRegionsGuarded are safe; the others are not.
// Memory ordering:     see HandlerTable.
// Lifetime:            per process. A region lives at least from GuardRegion to UnguardRegion.

#pragma once

#include "region/region.h"

namespace vmm {

constexpr int kGuardedMax = 64;

// kTooManyFiles when kGuardedMax regions are guarded already.
Status GuardRegion(Region* region);
void UnguardRegion(Region* region);
bool AreRegionsGuarded();

// When `address` is in a guarded region: replaces the memory that was lost there. False: the address is in no guarded
// region, or there is no memory.
bool RepairRegion(void* address);

}  // namespace vmm
