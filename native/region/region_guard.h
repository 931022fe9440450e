// The RegionGuard looks after regions that are files: memory that is lost under one (the file is cut short, the disk
// fails) does not end the process, and a forked child lets go of its parent's.
//
// Thread-safety:       any thread; Unguard waits for handlers that are at it.
// Async-signal-safety: RepairRegion only.
// Lifetime:            per process; a region is guarded from GuardRegion to UnguardRegion.

#pragma once

#include "region/region.h"

namespace vmm {

constexpr int kGuardedMax = 64;

// kFull when kGuardedMax are guarded already.
Status GuardRegion(Region* region);
void UnguardRegion(Region* region);
bool AreRegionsGuarded();

// Whether the memory at `address` is of a guarded region, and is there again.
bool RepairRegion(void* address);

}  // namespace vmm
