// How the writer of a region ended, where it could still say so: for who reads the region afterwards.
//
// Thread-safety:       any thread.
// Async-signal-safety: none. SettleExitCodes may run in exit() that a handler calls; it takes no lock.

#pragma once

#include <cstdint>

#include "region/format.h"

namespace vmm {

// In RegionHeader::exit_code: the process ended in a way in which nobody told.
constexpr int32_t kExitCodeUnknown = -1;

struct Ending {
  RegionState state = RegionState::kExited;
  int32_t exit_code = kExitCodeUnknown;
};

// Has `handler` called in exit(), with what the parent is told; kExitCodeUnknown where the C library does not say.
void AtProcessExit(void (*handler)(int32_t exit_code));

// A store's last thread is gone, and the process is about to end with a code that is known later: what was said of it
// until then is corrected in exit(). `file` is duplicated. Of many, the last few are.
void AwaitExitCode(int file);
// From the handler of AtProcessExit.
void SettleExitCodes(int32_t exit_code);

}  // namespace vmm
