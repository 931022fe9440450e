// Whose a region file is: the flock that its writer holds while it lives, as others ask for it.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe; system calls only.

#pragma once

#include <errno.h>
#include <sys/file.h>

#include "status.h"

namespace vmm {

// `*is_ours` is false when somebody else has a lock that is in the way.
inline Status TryFileLock(int fd, int operation, bool* is_ours) {
  int result;
  do {
    result = flock(fd, operation | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  *is_ours = result == 0;
  return result == 0 || errno == EWOULDBLOCK ? Status{} : Status{Code::kLock, errno, "flock"};
}

// Whether anybody holds the file for themselves. There is no asking without taking: the shared lock lasts until the next line,
// and an exclusive one that somebody wants in that moment is refused, so that they try again.
inline Status IsFileLocked(int fd, bool* is_locked) {
  bool is_ours = false;
  const Status status = TryFileLock(fd, LOCK_SH, &is_ours);
  if (is_ours) flock(fd, LOCK_UN);
  *is_locked = !is_ours;
  return status;
}

// Takes the file of a writer that is gone. What is kept is a shared lock: it keeps everybody out who wants the file for
// themselves, while those who only ask whether the writer lives are still told that it does not. Between the two locks somebody
// may come; then the file is theirs, and not ours.
inline Status LockFile(int fd, bool* is_ours) {
  if (Status status = TryFileLock(fd, LOCK_EX, is_ours); !status.ok() || !*is_ours) return status;
  return TryFileLock(fd, LOCK_SH, is_ours);
}

}  // namespace vmm
