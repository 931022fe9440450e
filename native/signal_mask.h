// SignalMask blocks every signal on this thread for the moment in which a line goes out: a handler that ran between the write
// and the commit could not tell whether the line is out.
//
// Thread-safety:       each thread has its own mask.
// Async-signal-safety: safe.

#pragma once

#include <errno.h>
#include <signal.h>
#include <time.h>

namespace vmm {

class SignalMask {
 public:
  SignalMask() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalMask() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;

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

}  // namespace vmm
