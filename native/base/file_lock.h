// Whose a region file is: the flock that its writer holds while it lives, as others ask for it.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe; system calls only.

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/status.h"

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

// Whether anybody holds the file for themselves. There is no asking without taking: the shared lock lasts until the
// next line, and an exclusive one that somebody wants in that moment is refused, so that they try again.
inline Status IsFileLocked(int fd, bool* is_locked) {
  bool is_ours = false;
  const Status status = TryFileLock(fd, LOCK_SH, &is_ours);
  if (is_ours) flock(fd, LOCK_UN);
  *is_locked = !is_ours;
  return status;
}

// Takes the file of a writer that is gone, until the descriptor is closed; it must be open for writing. Among those who
// want that, a lock of another kind decides: from the flock only a shared one is kept, so that those who ask whether
// the writer lives are still told that it does not, and to make a shared lock of an exclusive one leaves a moment in
// which somebody else may have been through. What may come in that moment is a new writer; then the file is theirs.
inline Status LockFile(int fd, bool* is_ours) {
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  *is_ours = fcntl(fd, F_OFD_SETLK, &whole) == 0;
  if (!*is_ours) return errno == EAGAIN || errno == EACCES ? Status{} : Status{Code::kLock, errno, "fcntl"};
  Status status = TryFileLock(fd, LOCK_EX, is_ours);
  if (status.ok() && *is_ours) status = TryFileLock(fd, LOCK_SH, is_ours);
  if (!status.ok() || !*is_ours) {
    whole.l_type = F_UNLCK;
    fcntl(fd, F_OFD_SETLK, &whole);
  }
  return status;
}

}  // namespace vmm
