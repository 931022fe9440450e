// An Ending says how the writer of a region ended. The writer records it in the region for later readers, if it still
// can.
//
// Thread-safety:       any thread.
// Async-signal-safety: none. But SettleExitCodes may run in an exit() that a signal handler calls, so it takes no lock.
// Lifetime:            per process.

#pragma once

#include <cstdint>

#include "region/format.h"

namespace vmm {

// In RegionHeader::exit_code: the exit code is not known.
constexpr int32_t kExitCodeUnknown = -1;

struct Ending {
  RegionState state = RegionState::kExited;
  int32_t exit_code = kExitCodeUnknown;
};

// Registers a handler that exit() calls with the exit code that the parent process gets; kExitCodeUnknown where the C
// library does not report the code. Call it once in a process.
void AtProcessExit(void (*handler)(int32_t exit_code));

// For a store whose last thread is gone, when the process is about to end with a code that is not known yet. Keeps a
// duplicate of the region's descriptor, so that SettleExitCodes can correct the exit code. Only the 8 newest are kept.
void AwaitExitCode(int file);
// Writes the exit code into the regions of AwaitExitCode. For the handler of AtProcessExit.
void SettleExitCodes(int32_t exit_code);

}  // namespace vmm
