// A FileLimitGuard keeps the SIGXFSZ of this thread's own calls away: beyond RLIMIT_FSIZE a call fails with EFBIG, and
// raises that signal besides, which ends a process that does not ignore it, and which nobody is to count.
//
// Thread-safety:       of the thread that makes it, which destroys it too.
// Async-signal-safety: safe.

#pragma once

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace vmm {

class FileLimitGuard {
 public:
  FileLimitGuard() {
    sigset_t pending;
    sigemptyset(&only_);
    sigaddset(&only_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &only_, &before_);
    was_pending_ = sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
  }
  // errno is left alone.
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
  sigset_t only_;
  sigset_t before_;
  bool was_pending_ = false;
};

}  // namespace vmm
