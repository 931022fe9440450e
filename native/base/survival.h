// When a process that looked as if it died counts as alive.
//
// Thread-safety:       a constant.
// Async-signal-safety: safe.
// Units:               milliseconds.

#pragma once

namespace vmm {

// A process that is still alive this long after its last line has survived, by grace of an earlier handler.
constexpr int kSurvivedMs = 2000;

}  // namespace vmm
