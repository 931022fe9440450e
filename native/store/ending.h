// An Ending says how the writer of a region ended. The writer records it in the region for later readers, if it still
// can.
//
// Thread-safety:       any thread.
// Async-signal-safety: none. But SettleExitCodes may run in an exit() that a signal handler calls, so it takes no lock.
// Lifetime:            per process.

#pragma once

#include <atomic>
#include <cstdint>

#include "region/format.h"

namespace vmm {

// In RegionHeader::exit_code: the exit code is not known.
constexpr int32_t kExitCodeUnknown = -1;

struct Ending {
  RegionState state = RegionState::kExited;
  int32_t exit_code = kExitCodeUnknown;
};

// How a store ended, when several threads end it at the same time: one by close(), another one by exit().
//
// Memory ordering: one word has the state and the exit code, so no thread gets the state of one ending with the code of
//                  another. Relaxed: the word publishes nothing else. The region's state publishes what was counted.
class FirstEnding {
 public:
  // Returns the first ending that any thread has passed in. Only an exit code that is not known there is the caller's:
  // that of the process. The caller writes the result into the region, even if another thread was the first: the
  // process may end before that thread writes it.
  Ending Settle(const Ending& ending) {
    uint64_t first = 0;
    if (word_.compare_exchange_strong(first, WordOf(ending), std::memory_order_relaxed, std::memory_order_relaxed)) return ending;
    const auto exit_code = static_cast<int32_t>(static_cast<uint32_t>(first));
    return {static_cast<RegionState>(first >> 32), exit_code == kExitCodeUnknown ? ending.exit_code : exit_code};
  }

 private:
  // Never 0: no state is 0.
  static uint64_t WordOf(const Ending& ending) {
    return uint64_t{static_cast<uint32_t>(ending.state)} << 32 | static_cast<uint32_t>(ending.exit_code);
  }

  std::atomic<uint64_t> word_{0};
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
