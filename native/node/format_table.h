// Every offset and size of native/format.h, for the test that holds the TypeScript to them.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include <napi.h>

namespace vmm {

// format()
Napi::Value FormatTable(const Napi::CallbackInfo& info);

}  // namespace vmm
