// The signal handler: when a signal is about to end the process, each captured store's last line goes out first, and
// then the process dies exactly as it would have died.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe; see HandleSignal for its order.
// Lifetime:            per process, and longer than the last capture: somebody above ours may hand on to it for ever.

#pragma once

#include <signal.h>

#include "crash/capture.h"

namespace vmm {

void HandleSignal(int signal, siginfo_t* info, void* context);

inline bool IsOurs(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == HandleSignal;
}

// For another copy of this library that has our handler below its own, see Sibling.
bool IsDeadlyHere(int signal, int hops);
bool RepairHere(void* address, int hops);

}  // namespace vmm
