// A FileLimitGuard suppresses the SIGXFSZ that this thread's own calls raise. A call that would exceed RLIMIT_FSIZE
// fails with EFBIG, which is enough; the signal would end a process that does not ignore it, or would be counted.
//
// Thread-safety:       a guard belongs to the thread that makes it, and is destroyed there.
// Async-signal-safety: safe.
// Lifetime:            a scope. The destructor restores the signal mask.

#pragma once

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/signal_kinds.h"

namespace vmm {

class FileLimitGuard {
 public:
  FileLimitGuard() {
    sigset_t pending;
    pthread_sigmask(SIG_BLOCK, &only_, &before_);
    was_pending_ = sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
  }
  // Leaves errno as it was.
  ~FileLimitGuard() {
    const int saved_errno = errno;
    const timespec now = {0, 0};
    while (!was_pending_ && sigtimedwait(&only_, nullptr, &now) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = saved_errno;
  }
  FileLimitGuard(const FileLimitGuard&) = delete;
  FileLimitGuard& operator=(const FileLimitGuard&) = delete;

 private:
  const sigset_t only_ = OnlySignal(SIGXFSZ);
  sigset_t before_;
  bool was_pending_ = false;
};

}  // namespace vmm
