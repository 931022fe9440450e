// The locks of a region file. Its writer holds an exclusive flock as long as it lives, so the lock tells whether the
// writer still lives.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe; system calls only.
// Lifetime:            a lock lasts until all descriptors and mappings that share it are gone.

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/status.h"

namespace vmm {

// Tries once, without waiting. `*is_ours` is false when another lock conflicts; any other failure is a status.
inline Status TryFileLock(int fd, int operation, bool* is_ours) {
  int result;
  do {
    result = flock(fd, operation | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  *is_ours = result == 0;
  return result == 0 || errno == EWOULDBLOCK ? Status{} : Status{Code::kLock, errno, "flock"};
}

// Whether any process holds an exclusive lock. The only way to find out is to take a shared lock for a moment: a
// process that wants the exclusive lock in that moment is refused, and tries again.
inline Status IsFileLocked(int fd, bool* is_locked) {
  bool is_ours = false;
  const Status status = TryFileLock(fd, LOCK_SH, &is_ours);
  if (is_ours) flock(fd, LOCK_UN);
  *is_locked = !is_ours;
  return status;
}

// Takes the file of a writer that is gone, until the descriptor is closed. The descriptor must be open for writing.
//
// Two locks are needed. The record lock decides between the processes that want the dead writer's file. Only a
// shared flock is kept, so that IsFileLocked still tells others that the writer is gone. The kernel converts an
// exclusive flock into a shared one by dropping it first, so a new writer may take it in between; then `*is_ours` is
// false.
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
