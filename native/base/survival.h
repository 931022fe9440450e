// When a process that wrote its last line counts as alive after all.
//
// Thread-safety:       a constant.
// Async-signal-safety: safe.
// Units:               milliseconds.

#pragma once

namespace vmm {

// A process that still runs this long after its last line has survived: an earlier handler kept it alive.
constexpr int kSurvivedMs = 2000;

}  // namespace vmm
