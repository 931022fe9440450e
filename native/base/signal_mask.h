// SignalMask blocks the signals that others send to this thread for the moment in which a line goes out: a handler that
// ran between the write and the commit could not tell whether the line is out. The signals of real faults are left as
// they are, and SIGBUS is open: a blocked fault kills without a handler, and the commit itself may find that the
// region's memory is lost. A fault signal that is sent all the same is postponed by the crash handler; after a fault of
// this very thread it asks the sink what is out (see Flusher).
//
// Thread-safety:       each thread has its own mask.
// Async-signal-safety: safe.
// Memory ordering:     relaxed. A thread looks for its own mark alone, and publishes nothing by it.

#pragma once

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>

#include "base/this_thread.h"

namespace vmm {

class SignalMask {
 public:
  // What to do with the signals of faults other than SIGBUS.
  enum class Faults { kOpen, kBlocked };

  explicit SignalMask(Faults faults = Faults::kOpen) {
    sigset_t sent;
    sigfillset(&sent);
    for (const int fault : kFaults) {
      if (fault == SIGBUS || faults == Faults::kOpen) sigdelset(&sent, fault);
    }
    pthread_sigmask(SIG_BLOCK, &sent, &before_);
    for (std::atomic<uintptr_t>& mark : marks_) {
      uintptr_t free = 0;
      if (!mark.compare_exchange_strong(free, ThreadHandle(), std::memory_order_relaxed)) continue;
      mark_ = &mark;
      break;
    }
    if (sigismember(&before_, SIGBUS) != 1) return;
    sigemptyset(&sent);
    sigaddset(&sent, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &sent, nullptr);
  }
  ~SignalMask() {
    if (mark_ != nullptr) mark_->store(0, std::memory_order_relaxed);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;

  // Whether a SignalMask is in force on this thread. When more than kMarks are at once, some say no.
  static bool IsHere() {
    for (const std::atomic<uintptr_t>& mark : marks_) {
      if (mark.load(std::memory_order_relaxed) == ThreadHandle()) return true;
    }
    return false;
  }

  // In a forked child: its parent's other threads are not here.
  static void ForgetAll() {
    for (std::atomic<uintptr_t>& mark : marks_) mark.store(0, std::memory_order_relaxed);
  }

  // A write to a pipe without readers or past the file limit raises a signal for this thread, besides its error. The
  // error is enough: a metrics sink must not kill the process.
  static void Discard(int write_error) {
    if (write_error != EPIPE && write_error != EFBIG) return;
    sigset_t raised;
    sigemptyset(&raised);
    sigaddset(&raised, write_error == EPIPE ? SIGPIPE : SIGXFSZ);
    const timespec now = {0, 0};
    while (sigtimedwait(&raised, nullptr, &now) < 0 && errno == EINTR) {
    }
  }

 private:
  // What an instruction raises by itself. SIGABRT is not among them: abort() unblocks it.
  static constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
  static constexpr int kMarks = 64;

  // The threads on which a mask is in force; 0: the place is free.
  static inline std::atomic<uintptr_t> marks_[kMarks] = {};

  sigset_t before_;
  std::atomic<uintptr_t>* mark_ = nullptr;
};

// AsynchronousSignalsBlocked blocks what others send, and not the faults of a thread's own making. For the making of
// threads, which inherit the mask: the host's handlers are never to run on them.
//
// Thread-safety:       each thread has its own mask.
class AsynchronousSignalsBlocked {
 public:
  AsynchronousSignalsBlocked() {
    sigset_t asynchronous;
    sigfillset(&asynchronous);
    for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT}) sigdelset(&asynchronous, fault);
    pthread_sigmask(SIG_BLOCK, &asynchronous, &before_);
  }
  ~AsynchronousSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AsynchronousSignalsBlocked(const AsynchronousSignalsBlocked&) = delete;
  AsynchronousSignalsBlocked& operator=(const AsynchronousSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace vmm
