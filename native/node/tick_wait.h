// How JavaScript waits for the next tick of a fixed rate. Timers and Atomics.wait() end 50 us late or more.
//
// Thread-safety:       a JavaScript thread, for itself.
// Async-signal-safety: none.
// Units:               nanoseconds on CLOCK_MONOTONIC, as numbers.

#pragma once

#include <napi.h>

namespace vmm {

// waitForTick(momentNs, spinNs): sleeps until spinNs before the moment, and spins until the moment. Returns the time,
// which is before the moment if a signal came during the sleep. From then on the kernel ends sleeps of this thread as
// exactly as it can.
Napi::Value WaitForTick(const Napi::CallbackInfo& info);

}  // namespace vmm
