// The state that the signal handler shares with the code that installs it. The handler reads what Capture stored before
// it installed the handler.
//
// Thread-safety:       any thread reads; Capture, Release, Guard, Unguard, Retake and ReviveIfSurvived write under the
//                      capture lock, and the handler writes crashed_thread and crash_done_ms.
// Async-signal-safety: safe.
// Memory ordering:     sets and limits are relaxed: they publish nothing but themselves. See the other members.
// Lifetime:            per process.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "base/fork.h"
#include "base/handler_gate.h"
#include "base/signal_kinds.h"
#include "crash/capture.h"

namespace vmm {

using TrapFunction = bool (*)(int, siginfo_t*, void*);

struct CaptureState {
  HandlerTable<CaptureTarget, kCapturedMax> targets;
  // The signals that have our handler, or had it before somebody displaced it.
  std::atomic<SignalSet> installed{0};
  // The signals in `installed` that nobody requested or marked. A host may handle one of these instead of us.
  std::atomic<SignalSet> captured_by_default{0};
  std::atomic<int> limit_ms{0};
  ForkMark process;  // the process that last called Capture() or Guard()
  // V8's function that tells whether a SIGSEGV is a WebAssembly trap; null: there is no V8 here.
  std::atomic<TrapFunction> trap_function{nullptr};
  // The thread whose handler writes the last lines; 0: no thread does. Acquire-release: one thread wins it.
  std::atomic<pid_t> crashed_thread{0};
  // When that handler was done, by MonotonicMs(); 0: it is not done. Release: publishes the end of its work to
  // ReviveIfSurvived.
  std::atomic<int64_t> crash_done_ms{0};

  template <typename Visit>
  void ForEachTarget(Visit visit) {
    targets.ForEachUntil([&](CaptureTarget& target) {
      visit(target);
      return false;
    });
  }
};

extern CaptureState g_capture;

}  // namespace vmm
