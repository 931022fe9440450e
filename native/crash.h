// Crash capture: when a signal is about to end the process, each captured store's last line goes out first, and then the
// process dies exactly as it would have died.
//
// Thread-safety:       Capture and Release are called by any thread; they wait for one another.
// Async-signal-safety: the handler itself; see HandleSignal for its order. Capture and Release are not.
// Lifetime:            per process. Handlers are put back when no store is captured any more, unless somebody has put theirs
// above
//                      ours: then ours stays and only passes on.

#pragma once

#include <signal.h>

#include <cstdint>

#include "cells.h"
#include "flusher.h"
#include "status.h"

namespace vmm {

constexpr int kSignals = 65;  // signals are 1 to 64

// What one store wants to know of signals. Immutable while captured.
struct Captured {
  struct Mark {
    uint32_t cell = Flusher::kNoCell;
    bool is_store = false;  // set to 1; otherwise raised by 1
  };

  Cells* cells = nullptr;
  Flusher* flusher = nullptr;
  Mark marks[kSignals];
};

// How many stores of a process can be captured at once.
constexpr int kCapturedMax = 16;

// Captures the signals that stores mark, and the fatal ones whether marked or not. Twice for one store is harmless. kFull
// when kCapturedMax stores are captured.
Status Capture(Captured* captured);

// Ends it for this store. When it returns no handler uses the store any more, unless the process is dying.
void Release(Captured* captured);

}  // namespace vmm
