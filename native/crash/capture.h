// Crash capture: when a signal is about to end the process, each captured store's last line goes out first, and then
// the process dies exactly as it would have died.
//
// Thread-safety:       Capture and Release are called by any thread; they wait for one another.
// Async-signal-safety: CountDegraded is safe; the others are not.
// Lifetime:            per process. Handlers are put back when no store is captured any more, unless somebody has put
//                      theirs above ours: then ours stays and only passes on.

#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "base/signal_kinds.h"
#include "base/status.h"
#include "base/survival.h"
#include "crash/disposition.h"
#include "flush/flusher.h"
#include "region/cells.h"

namespace vmm {

class Profiler;

// What one store wants to know of signals. Immutable while captured.
struct Captured {
  struct Mark {
    uint32_t cell = Flusher::kNoCell;
    bool is_store = false;  // set to 1; otherwise raised by 1
  };

  Cells* cells = nullptr;
  Flusher* flusher = nullptr;
  Profiler* profiler = nullptr;  // null: none
  Mark marks[kSignals];
  // Raised by 1 when memory of the region was lost; said once.
  uint32_t error_cell = Flusher::kNoCell;
  std::atomic<bool> degraded_is_counted{false};
};

// Raises the store's metric for errors when its region is degraded and that was not said yet. Also in a handler.
void CountDegraded(Captured& captured);

struct CaptureOptions {
  SignalSet signals = 0;       // 0: those that the store marks; the fatal ones, SIGTERM, SIGINT and SIGHUP whether marked or not
  bool leave_ignored = false;  // do not even count a signal that is ignored
  int limit_ms = 500;  // how long a dying process may wait for its sinks, all told; process-wide, the last one asked for holds
};

// How many stores of a process can be captured at once.
constexpr int kCapturedMax = 16;

// Captures signals for a store. Again for one store: takes more signals, and takes a place again that somebody else's
// handler took. kFull when kCapturedMax stores are captured.
Status Capture(Captured* captured, const CaptureOptions& options = {});

// Ends it for this store. True: no handler uses the store any more. False: a handler is still sending last lines, and
// the store must stay as it is, memory and sink, for as long as the process lives.
bool Release(Captured* captured);

// Keeps a loss of memory of this region, which is a file, from ending the process: takes SIGBUS, whether captured or
// not. kFull when too many regions are guarded. Unguard waits for handlers.
Status Guard(Region* region);
void Unguard(Region* region);

// The captured signals whose place somebody else's handler has taken; if it does not hand on to ours, nothing is
// captured. Without SIGTERM, SIGINT and SIGHUP where nobody asked for them: a host may want to end in its own way.
// Another copy of this library is nobody else: it hands on.
SignalSet Displaced();

// Takes the place of those among `signals` again that are displaced, above the handler that is there now, which is
// handed on to.
void Retake(SignalSet signals);

// When the process survived what looked like its death: lets flushes go on, and captures again. Called now and then;
// not in a handler.
void ReviveIfSurvived();

}  // namespace vmm
