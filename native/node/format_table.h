// Every offset and size of region/format.h, for the test that compares them with lib/region/format.ts.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include "node/node_addon_api.h"

namespace vmm {

// format()
Napi::Value FormatTable(const Napi::CallbackInfo& info);

}  // namespace vmm
