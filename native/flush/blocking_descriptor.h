// A BlockingDescriptor writes to a pipe or terminal without waiting for a reader, although its descriptor blocks. It
// does not set O_NONBLOCK: that flag belongs to the open file, so all processes that share the file would get it. They
// would keep the flag if this process died before it cleared the flag.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: Write is safe; the others are not.
// Lifetime:            the descriptor is the caller's. Close frees what Prepare made.

#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

namespace vmm {

// Opens the pipe or terminal of `fd` a second time, for writing without blocking: through /proc, or a terminal by its
// name or as /dev/tty. -1: that is not possible, and the caller needs a BlockingDescriptor.
int OpenAgain(int fd, const struct stat& info);

class BlockingDescriptor {
 public:
  // Call it before the first Write. `info` describes the descriptor.
  void Prepare(const struct stat& info);
  void Close();

  // Like write(2), but fails with EAGAIN instead of waiting. It still waits in two races between the check and the
  // write. In one, somebody stops the terminal. In the other, somebody fills a pipe for which the kernel allows neither
  // RWF_NOWAIT nor splice.
  ssize_t Write(int fd, const char* bytes, size_t count);

 private:
  ssize_t WriteThroughPipe(int fd, const char* bytes, size_t count);

  bool is_pipe_ = false;
  bool is_nowait_refused_ = false;
  int pipe_[2] = {-1, -1};  // see WriteThroughPipe
};

}  // namespace vmm
