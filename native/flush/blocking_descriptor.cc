#include "flush/blocking_descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

namespace vmm {

namespace {

// A write of up to this many bytes goes into a pipe whole or not at all.
constexpr size_t kPipeAtomBytes = PIPE_BUF;

int OpenToWrite(const char* path) {
  for (;;) {
    const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

// Opens a terminal by its name in /dev/pts, if the file of that name is the same terminal.
int OpenByName(const struct stat& info) {
  constexpr unsigned kFirstMajor = 136, kLastMajor = 143;
  const dev_t device = info.st_rdev;
  const unsigned major = static_cast<unsigned>(device >> 8 & 0xfff);
  if (major < kFirstMajor || major > kLastMajor) return -1;
  const unsigned minor = static_cast<unsigned>((device & 0xff) | (device >> 12 & 0xfff00));
  char path[32];
  std::snprintf(path, sizeof(path), "/dev/pts/%u", ((major - kFirstMajor) << 8) + minor);
  const int fd = OpenToWrite(path);
  struct stat its;
  // All three numbers are compared: each mount of that file system counts its terminals from 0.
  if (fd < 0 || (fstat(fd, &its) == 0 && its.st_rdev == device && its.st_dev == info.st_dev && its.st_ino == info.st_ino))
    return fd;
  close(fd);
  return -1;
}

// Whether the error means that this kernel, this kind of file or a seccomp filter does not allow the call.
bool IsRefused(int error) { return error == EOPNOTSUPP || error == EINVAL || error == ENOSYS || error == EPERM; }

}  // namespace

int OpenAgain(int fd, const struct stat& info) {
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  int again = OpenToWrite(path);
  if (again >= 0 || !S_ISCHR(info.st_mode)) return again;
  if (again = OpenByName(info); again >= 0) return again;
  // /dev/tty needs no permission. The call succeeds only for the terminal that controls this process.
  pid_t session;
  return ioctl(fd, TIOCGSID, &session) == 0 ? OpenToWrite("/dev/tty") : -1;
}

void BlockingDescriptor::Prepare(const struct stat& info) {
  is_pipe_ = S_ISFIFO(info.st_mode);
  is_nowait_refused_ = false;
  if (is_pipe_ && pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) pipe_[0] = pipe_[1] = -1;
}

void BlockingDescriptor::Close() {
  for (int& fd : pipe_) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
}

ssize_t BlockingDescriptor::Write(int fd, const char* bytes, size_t count) {
  if (!is_nowait_refused_) {
    // Pipes without a name allow it since Linux 6.4.
    const iovec one = {const_cast<char*>(bytes), count};
    const ssize_t result = syscall(SYS_pwritev2, fd, &one, 1, -1L, -1L, RWF_NOWAIT);
    if (result >= 0 || !IsRefused(errno)) return result;
    is_nowait_refused_ = true;
  }
  if (pipe_[0] >= 0) {
    const ssize_t result = WriteThroughPipe(fd, bytes, count);
    if (result >= 0 || !IsRefused(errno)) return result;
  }
  // poll() promises room for one atom in a pipe, and for one byte in a terminal; a longer write could wait.
  pollfd room = {fd, POLLOUT, 0};
  if (poll(&room, 1, 0) <= 0) {
    errno = EAGAIN;
    return -1;
  }
  const size_t atom = is_pipe_ ? kPipeAtomBytes : 1;
  return write(fd, bytes, count < atom ? count : atom);
}

// In every kernel, splice() moves bytes from one pipe to another without waiting.
ssize_t BlockingDescriptor::WriteThroughPipe(int fd, const char* bytes, size_t count) {
  char rest[kPipeAtomBytes];
  while (read(pipe_[0], rest, sizeof(rest)) > 0) {  // what was not moved last time
  }
  const ssize_t filled = write(pipe_[1], bytes, count < kPipeAtomBytes ? count : kPipeAtomBytes);
  if (filled <= 0) return filled;
  return syscall(SYS_splice, pipe_[0], nullptr, fd, nullptr, static_cast<size_t>(filled), SPLICE_F_NONBLOCK);
}

}  // namespace vmm
