// The signal handler. When a signal is about to end the process, it lets each captured store write its last line; then
// the process dies exactly as it would have died without us.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe; see HandleSignal for its order.
// Memory ordering:     see CaptureState.
// Lifetime:            per process. It outlives the last Release: a handler above ours may call it at any time.

#pragma once

#include <signal.h>

#include "crash/capture.h"

namespace vmm {

void HandleSignal(int signal, siginfo_t* info, void* context);

inline bool IsOurs(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == HandleSignal;
}

// What another copy of this library asks when our handler stands below its own; see Sibling.
bool IsDeadlyHere(int signal, int hops);
bool RepairHere(void* address, int hops);

}  // namespace vmm
