// Converts what TypeScript passes to open() and init() into native structs. TypeScript has checked all values.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include "node/node_addon_api.h"
#include "store/store.h"

namespace vmm {

StoreSpec SpecOf(const Napi::Object& object);

// Adds each `{ file, commit, text, record, hasLine, removePath }` of a list. A recovery that cannot be added is left
// for the next process that opens the path.
void AddRecoveries(const Napi::Value& value, Recoveries* recoveries);

}  // namespace vmm
