// What TypeScript says of a store, as native code takes it. TypeScript has checked it.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include <napi.h>

#include "store/store.h"

namespace vmm {

StoreSpec SpecOf(const Napi::Object& object);

// From a list of `{ file, commit, text, record, hasLine, removePath }`. One that cannot be added is written by the next
// life.
void AddRecoveries(const Napi::Value& value, Recoveries* recoveries);

}  // namespace vmm
