// What a reader of region files in TypeScript cannot do by itself: memory that begins at a page, the locks of files,
// and sending without waiting.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include <napi.h>

namespace vmm {

// pages(bytes): memory that begins at a page, all 0.
Napi::Value Pages(const Napi::CallbackInfo& info);
// isLocked(descriptor): whether somebody else holds the file for themselves; or a failure.
Napi::Value IsLocked(const Napi::CallbackInfo& info);
// lock(descriptor): false when somebody has it; or a failure.
Napi::Value Lock(const Napi::CallbackInfo& info);
// send(descriptor, line, patienceMs): { sent, failure? }, for a line that no store of this process makes.
Napi::Value Send(const Napi::CallbackInfo& info);

}  // namespace vmm
