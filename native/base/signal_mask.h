// A SignalMask blocks signals on the calling thread while it writes and commits a line. A handler that ran between the
// write and the commit could not tell whether the line is out.
//
// It leaves open the signals that an instruction raises (kFaults), since a blocked fault kills without calling a
// handler. With Faults::kBlocked, it blocks these too, except SIGBUS. A SignalMask even unblocks SIGBUS, since the
// commit may be the first to find that memory of the region is lost. If somebody sends the signal of a fault, the crash
// handler postpones that signal. After a real fault on this thread, the crash handler asks the sink how much of the
// line is out (see LineSender).
//
// Thread-safety:       a mask belongs to the thread that makes it, and is destroyed there.
// Async-signal-safety: safe.
// Memory ordering:     relaxed. A thread looks only for its own mark, and publishes nothing by it.
// Lifetime:            a scope.

#pragma once

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "base/signal_kinds.h"
#include "base/this_thread.h"

namespace vmm {

class SignalMask {
 public:
  // What happens to the signals of faults other than SIGBUS.
  enum class Faults { kOpen, kBlocked };

  explicit SignalMask(Faults faults = Faults::kOpen) {
    pthread_sigmask(SIG_BLOCK, faults == Faults::kOpen ? &sets_.faults_open : &sets_.faults_blocked, &before_);
    for (std::atomic<uintptr_t>& mark : marks_) {
      uintptr_t free = 0;
      if (!mark.compare_exchange_strong(free, ThreadHandle(), std::memory_order_relaxed)) continue;
      mark_ = &mark;
      break;
    }
    if (sigismember(&before_, SIGBUS) != 1) return;
    const sigset_t only = OnlySignal(SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  }
  ~SignalMask() {
    if (mark_ != nullptr) mark_->store(0, std::memory_order_relaxed);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;

  // Whether a SignalMask is in force on this thread. Also false for a mask that found no free mark, since kMarks other
  // masks were in force.
  static bool IsInForce() {
    for (const std::atomic<uintptr_t>& mark : marks_) {
      if (mark.load(std::memory_order_relaxed) == ThreadHandle()) return true;
    }
    return false;
  }

  // For a forked child, which has none of its parent's other threads.
  static void ForgetAll() {
    for (std::atomic<uintptr_t>& mark : marks_) mark.store(0, std::memory_order_relaxed);
  }

  // A write to a pipe without readers, or beyond the limit on file sizes, raises a signal for this thread in addition
  // to its error. The error is enough: a metrics sink must not kill the process. Call this while the mask is in force.
  static void Discard(int write_error) {
    if (write_error != EPIPE && write_error != EFBIG) return;
    const sigset_t raised = OnlySignal(write_error == EPIPE ? SIGPIPE : SIGXFSZ);
    const timespec now = {0, 0};
    while (sigtimedwait(&raised, nullptr, &now) < 0 && errno == EINTR) {
    }
  }

 private:
  // The signals that an instruction raises. SIGABRT is not among them. glibc's abort() unblocks it anyway. musl's kills
  // without the handler if SIGABRT is blocked, but nothing that runs under a mask calls abort().
  static constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
  static constexpr int kMarks = 64;

  // The signals to block. Made when the library is loaded.
  struct Sets {
    Sets() {
      sigfillset(&faults_blocked);
      sigdelset(&faults_blocked, SIGBUS);
      faults_open = faults_blocked;
      for (const int fault : kFaults) sigdelset(&faults_open, fault);
    }
    sigset_t faults_open, faults_blocked;
  };
  static inline const Sets sets_;

  // The threads on which a mask is in force; 0: the mark is free.
  static inline std::atomic<uintptr_t> marks_[kMarks] = {};

  sigset_t before_;
  std::atomic<uintptr_t>* mark_ = nullptr;
};

}  // namespace vmm
