// What the TypeScript reader of region files needs from native code: memory that begins at a page boundary, the locks
// of files, and writing without blocking.
//
// Thread-safety:       a JavaScript thread, for its own environment.
// Async-signal-safety: none.

#pragma once

#include "node/node_addon_api.h"

namespace vmm {

// pages(bytes): a Uint8Array that begins at a page boundary, all 0.
Napi::Value Pages(const Napi::CallbackInfo& info);
// isLocked(descriptor): whether another process holds an exclusive lock on the file; or a failure.
Napi::Value IsLocked(const Napi::CallbackInfo& info);
// lock(descriptor): takes the lock of a dead writer's file. Returns false if another process has the lock, or a
// failure.
Napi::Value Lock(const Napi::CallbackInfo& info);
// send(descriptor, line, patienceMs): writes a line that TypeScript made. Returns { sent, failure? }: how many bytes of
// the line are out, and why the rest is not.
Napi::Value Send(const Napi::CallbackInfo& info);

}  // namespace vmm
