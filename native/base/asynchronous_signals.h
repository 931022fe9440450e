// AsynchronousSignalsBlocked blocks every signal on the calling thread, except those that the thread's own instructions
// or abort() raise. Use it while you start a thread: the new thread inherits the mask, so the host's handlers never run
// on it.
//
// Thread-safety:       an object belongs to the thread that makes it, and is destroyed there.
// Async-signal-safety: safe.
// Lifetime:            a scope. The destructor restores the signal mask.

#pragma once

#include <pthread.h>
#include <signal.h>

#include "base/signal_kinds.h"

namespace vmm {

class AsynchronousSignalsBlocked {
 public:
  AsynchronousSignalsBlocked() {
    sigset_t asynchronous;
    sigfillset(&asynchronous);
    for (const int fatal : kFatal) sigdelset(&asynchronous, fatal);
    pthread_sigmask(SIG_BLOCK, &asynchronous, &before_);
  }
  ~AsynchronousSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AsynchronousSignalsBlocked(const AsynchronousSignalsBlocked&) = delete;
  AsynchronousSignalsBlocked& operator=(const AsynchronousSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace vmm
