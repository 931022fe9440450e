// A FileSampler for JavaScript.
//
// Thread-safety:       a JavaScript thread, for itself.
// Async-signal-safety: none.
// Units:               nanoseconds on CLOCK_MONOTONIC, as numbers.

#pragma once

#include "node/node_addon_api.h"

namespace vmm {

// The class `FileSampler` of lib/binding.ts.
Napi::Function DefineFileSampling(Napi::Env env);

}  // namespace vmm
