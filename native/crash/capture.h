// Crash capture. When a signal is about to end the process, each captured store writes its last line first; then the
// process dies exactly as it would have died without us.
//
// Thread-safety:       any thread. Capture, Release, Guard, Unguard and Retake wait for one another.
// Async-signal-safety: CountDegraded is safe; the others are not.
// Memory ordering:     a target is complete before Capture; its place in the table publishes it, see HandlerTable.
// Lifetime:            per process. The last Release restores the earlier handlers. If another handler stands above
//                      ours by then, ours stays and only passes the signal on.

#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "base/signal_kinds.h"
#include "base/status.h"
#include "base/survival.h"
#include "crash/disposition.h"
#include "flush/line_sender.h"
#include "region/cells.h"

namespace vmm {

class LastSamples;

// One store as the crash handler sees it. From Capture to Release, nothing in it changes but degraded_is_counted.
struct CaptureTarget {
  struct Mark {
    uint32_t cell = kNoCell;
    bool is_store = false;  // the signal sets the cell to 1; otherwise it adds 1
  };

  Cells* cells = nullptr;
  LineSender* sender = nullptr;
  LastSamples* last_samples = nullptr;  // null: none
  Mark marks[kSignals];                 // the metric of each signal
  // The metric that goes up by 1, once, when memory of the region was lost.
  uint32_t error_cell = kNoCell;
  std::atomic<bool> degraded_is_counted{false};
};

// Counts the loss of memory of the target's region, unless it is counted already or no memory was lost.
void CountDegraded(CaptureTarget& target);

struct CaptureOptions {
  // 0: the fatal signals, SIGTERM, SIGINT, SIGHUP, and all others that the store marks. Signals that the C library
  // keeps for itself are left out: 32 and 33, and on musl also 34. They have no name that JavaScript accepts.
  SignalSet signals = 0;
  bool leave_ignored = false;  // a signal that is ignored is not even counted
  // How long a dying process may wait for all its sinks together. Per process; the last Capture decides.
  int limit_ms = 500;
};

// How many stores of a process can be captured at once.
constexpr int kCapturedMax = 16;

// Captures signals for a store. A second call for the same store captures more signals, and puts our handler above one
// that displaced it. kTooManyCaptured when kCapturedMax stores are captured.
Status Capture(CaptureTarget* target, const CaptureOptions& options = {});

// Ends the capture for this store. Waits for handlers that use the store: up to 10 s, or 200 ms in a crash. True: no
// handler uses the store any more. False: a handler may still be sending last lines, so the store's memory and sink
// must stay as they are for the rest of the process.
bool Release(CaptureTarget* target);

// From now on, the process survives when the file of this region loses memory: our handler gets SIGBUS, even if the
// host does not capture it. kTooManyFiles when kGuardedMax regions are guarded. Unguard waits until no handler uses the
// region.
Status Guard(Region* region);
void Unguard(Region* region);

// The captured signals whose handler is now somebody else's. If that handler does not call ours, those signals are not
// captured. SIGTERM, SIGINT and SIGHUP are reported only if they were requested or marked: a host may handle them
// instead of us. A handler of another copy of this library is not reported, since it calls ours.
SignalSet Displaced();

// Puts our handler above the current one for each of `signals` that is displaced. Our handler calls that one.
void Retake(SignalSet signals);

// If the process has survived a signal that was expected to kill it, allows flushes again, and captures again. Called
// before each flush. It never waits for the capture lock, since exit() in a signal handler flushes too; while another
// thread has the lock, it does nothing.
void ReviveIfSurvived();

}  // namespace vmm
