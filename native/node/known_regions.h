// Reads regions again, many in one call, after TypeScript has read and checked them once.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include "node/node_addon_api.h"

namespace vmm {

// knownRegion(spec): `KnownRegionSpec` of lib/binding.ts. A handle for readKnownRegions; undefined if the spec is not
// consistent.
Napi::Value MakeKnownRegion(const Napi::CallbackInfo& info);
// readKnownRegions(handles, results): reads each region into the arrays of its spec, and writes KnownRegion::Result.
Napi::Value ReadKnownRegions(const Napi::CallbackInfo& info);

}  // namespace vmm
