// A BlockingDescriptor is a pipe or terminal whose open file is shared with others, and blocks. What is written here
// does not wait for a reader all the same. O_NONBLOCK would be seen by all who share the file, for ever if the process
// died just then.
//
// Thread-safety:       one thread at a time.
// Async-signal-safety: Write is safe; the rest is not.
// Lifetime:            the descriptor is the caller's. Close gives back what Prepare made.

#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

namespace vmm {

// The same pipe or terminal opened once more, for writing without blocking: through /proc; a terminal else by its own
// name, or as the one that controls this process. -1: neither is to be had, and a BlockingDescriptor is needed.
int OpenAgain(int fd, const struct stat& info);

class BlockingDescriptor {
 public:
  void Prepare(const struct stat& info);
  void Close();

  // As write(2), with EAGAIN instead of waiting. A terminal that somebody stops at the very moment is waited for;
  // likewise a pipe that somebody else fills at the very moment, where neither RWF_NOWAIT nor splice is to be had.
  ssize_t Write(int fd, const char* bytes, size_t count);

 private:
  ssize_t WriteThroughPipe(int fd, const char* bytes, size_t count);

  bool is_pipe_ = false;
  bool is_nowait_refused_ = false;
  int pipe_[2] = {-1, -1};  // see WriteThroughPipe
};

}  // namespace vmm
