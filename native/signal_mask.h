// SignalMask blocks every signal on this thread for the moment in which a line goes out: a handler that ran between the write
// and the commit could not tell whether the line is out. Every signal but SIGBUS: the commit itself may find that the region's
// memory is lost, and a blocked fault kills.
//
// Thread-safety:       each thread has its own mask.
// Async-signal-safety: safe.

#pragma once

#include <errno.h>
#include <signal.h>
#include <time.h>

#include <initializer_list>

namespace vmm {

class SignalMask {
 public:
  SignalMask() {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalMask() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;

  // Whether these signals are blocked by a SignalMask: by nobody else is SIGBUS alone left out.
  static bool IsOf(const sigset_t& blocked) {
    for (int signal = 1; signal <= 31; signal++) {
      const bool is_blockable = signal != SIGKILL && signal != SIGSTOP;
      if (is_blockable && (sigismember(&blocked, signal) == 1) != (signal != SIGBUS)) return false;
    }
    return true;
  }

  // A write to a pipe without readers or past the file limit raises a signal for this thread, besides its error. The error is
  // enough: a metrics sink must not kill the process.
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
  sigset_t before_;
};

// AsynchronousSignalsBlocked blocks what others send, and not the faults of a thread's own making. For the making of threads,
// which inherit the mask: the host's handlers are never to run on them.
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
