// A BlockingDescriptor writes to a pipe or terminal that would block, without waiting for a reader. It sets no
// O_NONBLOCK: that flag belongs to the open file, so everybody who shares the file would see it, and for ever if this
// process died before it cleared the flag.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: Write is safe; the others are not.
// Lifetime:            the descriptor is the caller's. Close frees what Prepare made.

#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

namespace vmm {

// Opens the pipe or terminal of `fd` a second time, for writing without blocking: through /proc, or else a terminal by
// its name or as /dev/tty. -1: that is not possible, and the caller needs a BlockingDescriptor.
int OpenAgain(int fd, const struct stat& info);

class BlockingDescriptor {
 public:
  // Before the first Write; `info` describes the descriptor.
  void Prepare(const struct stat& info);
  void Close();

  // As write(2), but with EAGAIN instead of waiting. It does wait in two races: when somebody stops a terminal between
  // the check and the write, and, where the kernel allows neither RWF_NOWAIT nor splice, when somebody fills a pipe
  // there.
  ssize_t Write(int fd, const char* bytes, size_t count);

 private:
  ssize_t WriteThroughPipe(int fd, const char* bytes, size_t count);

  bool is_pipe_ = false;
  bool is_nowait_refused_ = false;
  int pipe_[2] = {-1, -1};  // see WriteThroughPipe
};

}  // namespace vmm
