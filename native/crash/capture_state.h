// What the signal handler and those who install it share. The handler reads what Capture published before it installed
// the handler.
//
// Thread-safety:       any thread; `lock` guards what Capture, Release and Guard change.
// Async-signal-safety: safe, but for `lock`.
// Memory ordering:     sets of bits and limits are relaxed: they publish nothing but themselves.
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
  HandlerTable<Captured, kCapturedMax> captured;
  std::atomic<SignalSet> installed{0};
  // Those among them that nobody asked for or marked: to handle such a one instead of us is the host's good right.
  std::atomic<SignalSet> by_default{0};
  std::atomic<int> limit_ms{0};
  ForkMark process;  // the process that last called Capture() or Guard()
  // V8's own question whether a SIGSEGV is a WebAssembly trap; null: there is none.
  std::atomic<TrapFunction> trap_function{nullptr};
  // The thread that has the crash; 0 while nobody is dying.
  std::atomic<pid_t> crashed_thread{0};
  // When its handler was done, by MonotonicMs(); 0 while it is at it.
  std::atomic<int64_t> crash_done_ms{0};

  template <typename Visit>
  void ForEachCaptured(Visit visit) {
    captured.ForEachUntil([&](Captured& one) {
      visit(one);
      return false;
    });
  }
};

extern CaptureState g_capture;

}  // namespace vmm
