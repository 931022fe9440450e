#include "flush/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/signal_mask.h"
#include "region/format.h"

namespace vmm {

namespace {

// The device number of /dev/tty, which stands for the terminal that controls the process.
constexpr dev_t kControllingTerminal = 5 << 8;  // major 5, minor 0

int OpenRetrying(const char* path, int flags, mode_t mode) {
  for (;;) {
    const int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

// Makes "/proc/self/fd/<fd>". A handler must not call snprintf().
void DescriptorPath(int fd, char* out) {
  static const char kPrefix[] = "/proc/self/fd/";
  memcpy(out, kPrefix, sizeof(kPrefix) - 1);
  char digits[12];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + fd % 10);
    fd /= 10;
  } while (fd != 0);
  for (int i = 0; i < count; i++) out[sizeof(kPrefix) - 1 + i] = digits[count - 1 - i];
  out[sizeof(kPrefix) - 1 + count] = '\0';
}

// Reads exactly `count` bytes at `at`. False: that is not possible.
bool ReadAt(int fd, void* bytes, size_t count, off_t at) {
  ssize_t result = pread(fd, bytes, count, at);
  if (result < 0 && errno == EBADF) {
    // The descriptor is open for writing only, so open the same file for reading.
    char self[32];
    DescriptorPath(fd, self);
    const int readable = OpenRetrying(self, O_RDONLY, 0);
    if (readable < 0) return false;
    result = pread(readable, bytes, count, at);
    close(readable);
  }
  return result == static_cast<ssize_t>(count);
}

// True also for a file that cannot be read.
bool EndsInNewline(int fd, off_t size) {
  char last = '\n';
  return size == 0 || !ReadAt(fd, &last, 1, size - 1) || last == '\n';
}

bool IsRegion(int fd) {
  uint64_t magic = 0;
  return ReadAt(fd, &magic, sizeof(magic), 0) && magic == kMagic;
}

}  // namespace

Status Sink::OpenPath(const char* path) {
  if (strlen(path) >= sizeof(path_)) return {Code::kOpen, ENAMETOOLONG, "open"};
  // Reading is for the last byte of a file, and keeps a pipe open without a reader; a path that does not allow it is
  // opened for writing only. The first attempt is without O_CREAT: with it, the kernel refuses a pipe of another user
  // in a shared folder (fs.protected_fifos).
  int fd = OpenRetrying(path, O_RDWR | O_APPEND, 0);
  if (fd < 0 && errno == ENOENT) fd = OpenRetrying(path, O_RDWR | O_APPEND | O_CREAT, 0600);
  if (fd < 0 && (errno == EACCES || errno == EPERM)) fd = OpenRetrying(path, O_WRONLY | O_APPEND, 0);
  if (fd < 0 && errno == ENXIO) return OpenOwnSocket(path);
  if (fd < 0) return {Code::kOpen, errno, "open"};
  struct stat info;
  if (fstat(fd, &info) != 0) {
    const int error = errno;
    close(fd);
    return {Code::kOpen, error, "fstat"};
  }
  if (Status status = Adopt(fd, S_ISREG(info.st_mode) ? Kind::kFile : Kind::kNonBlocking, info); !status.ok()) return status;
  follows_path_ = true;
  if (path != path_) memcpy(path_, path, strlen(path) + 1);
  return {};
}

Status Sink::OpenOwnSocket(const char* path) {
  struct stat named, own;
  if (fstatat(AT_FDCWD, path, &named, 0) == 0 && S_ISSOCK(named.st_mode)) {
    for (int fd = 0; fd <= 2; fd++) {
      if (fstat(fd, &own) != 0 || own.st_dev != named.st_dev || own.st_ino != named.st_ino) continue;
      int duplicate = -1;
      if (Status status = Duplicate(fd, &duplicate, &own); !status.ok()) return status;
      return Adopt(duplicate, Kind::kSocket, own);
    }
  }
  return {Code::kOpen, ENXIO, "open"};
}

Status Sink::Duplicate(int fd, int* own, struct stat* info) {
  *own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (*own < 0) return {Code::kOpen, errno, "fcntl"};
  const int flags = fcntl(*own, F_GETFL);
  int error = 0;
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
    error = EBADF;
  } else if (fstat(*own, info) != 0) {
    error = errno;
  } else if (S_ISDIR(info->st_mode)) {
    error = EISDIR;
  }
  if (error == 0) return {};
  close(*own);
  return {Code::kOpen, error, "fcntl"};
}

Status Sink::OpenDescriptor(int fd) {
  int own = -1;
  struct stat info;
  if (Status status = Duplicate(fd, &own, &info); !status.ok()) return status;
  if (S_ISREG(info.st_mode)) return Adopt(own, Kind::kFile, info);
  if (S_ISSOCK(info.st_mode)) return Adopt(own, Kind::kSocket, info);
  // O_NONBLOCK belongs to the open file, which the caller shares: if this sink set it, the caller's writes would
  // change, and the caller may clear it at any time. Opening the pipe or terminal again gives the sink an open file of
  // its own.
  const int again = OpenAgain(own, info);
  if (again < 0) {
    blocking_.Prepare(info);
    return Adopt(own, Kind::kMayBlock, info);
  }
  close(own);
  return Adopt(again, Kind::kNonBlocking, info);
}

Status Sink::Adopt(int fd, Kind kind, const struct stat& info) {
  if (kind == Kind::kFile && IsRegion(fd)) {
    close(fd);
    return WrongFile("is the region of a store");
  }
  fd_ = fd;
  kind_ = kind;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  needs_newline_ = kind == Kind::kFile && !EndsInNewline(fd, info.st_size);
  follows_path_ = false;
  is_pipe_ = S_ISFIFO(info.st_mode);
  end_ = kind == Kind::kFile ? info.st_size : 0;
  cut_at_ = 0;
  is_amid_line_ = false;
  turn_.Join(info);
  return {};
}

void Sink::TakeTurns(FinishLine finish, void* store) {
  struct stat info;
  if (fstat(fd_, &info) != 0) return;
  unsigned terminal = 0;
  if (S_ISCHR(info.st_mode) && info.st_rdev == kControllingTerminal && ioctl(fd_, TIOCGDEV, &terminal) == 0) {
    info.st_rdev = terminal;
  }
  turn_.Register(finish, store);
  turn_.Join(info);
}

Status Sink::Truncate() {
  if (kind_ == Kind::kFile && ftruncate(fd_, 0) != 0) return {Code::kOpen, errno, "ftruncate"};
  needs_newline_ = false;
  return {};
}

void Sink::Close() {
  turn_.Leave();
  turn_.Unregister();
  blocking_.Close();
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Status Sink::ReopenIfReplaced(bool* replaced) {
  *replaced = false;
  struct stat info;
  const bool is_cut = cut_at_ != 0 || (needs_newline_ && kind_ == Kind::kFile);
  if ((is_cut || (kind_ == Kind::kFile && !follows_path_)) && fstat(fd_, &info) == 0) {
    if (kind_ == Kind::kFile) end_ = info.st_size;
    if (is_cut) {
      *replaced = info.st_size < cut_at_;
      if (*replaced) {
        cut_at_ = 0;
        is_amid_line_ = false;
        turn_.Drop();
      }
      needs_newline_ = !EndsInNewline(fd_, info.st_size);
    }
  }
  if (!follows_path_) return {};
  if (fstatat(AT_FDCWD, path_, &info, 0) == 0) {
    if (info.st_dev == device_ && info.st_ino == inode_) {
      if (kind_ == Kind::kFile) end_ = info.st_size;
      return {};
    }
  } else if ((errno != ENOENT && errno != ENOTDIR) || (is_pipe_ && fstatat(AT_FDCWD, path_, &info, AT_SYMLINK_NOFOLLOW) != 0)) {
    // The path cannot be looked at now. Or a pipe was removed: its reader may still have it open, and nobody would read
    // a file made in its place. (A symbolic link without a target does get a file.)
    return {};
  }
  const int old = fd_;
  if (Status status = OpenPath(path_); !status.ok()) {
    return {Code::kWrite, status.error, status.code == Code::kWrongFile ? "open" : status.syscall};
  }
  close(old);
  *replaced = true;
  return {};
}

void Sink::CopyPath(char* out, size_t bytes) const {
  char path[PATH_MAX] = "";
  if (follows_path_) {
    strcpy(path, path_);
  } else {
    char self[32];
    DescriptorPath(fd_, self);
    const ssize_t count = readlink(self, path, sizeof(path) - 1);
    path[count < 0 ? 0 : count] = '\0';
  }
  if (path[0] != '/' || strlen(path) >= bytes) path[0] = '\0';  // a pipe without a name, or a name too long
  strcpy(out, path);
}

bool Sink::TakeTurn() {
  const bool is_ours = turn_.Take();
  lacks_turn_.store(!is_ours, std::memory_order_relaxed);
  return is_ours;
}

bool Sink::BeginLine() {
  if (!TakeTurn()) return false;
  struct stat info;
  if (kind_ == Kind::kFile && turn_.is_shared() && fstat(fd_, &info) == 0) end_ = info.st_size;
  return true;
}

size_t Sink::Write(const char* bytes, size_t count, Status* status) {
  if (!TakeTurn()) {
    *status = {Code::kWrite, EAGAIN, "write"};
    return 0;
  }
  const size_t written = WriteAll(bytes, count, status);
  is_amid_line_ = written < count && (is_amid_line_ || written != 0);
  turn_.Pass(is_amid_line_ || written != 0, written == count);
  return written;
}

size_t Sink::WriteAll(const char* bytes, size_t count, Status* status) {
  size_t written = 0;
  began_at_ = end_;
  while (written < count) {
    const ssize_t result = WriteOnce(bytes + written, count - written);
    if (result > 0) {
      written += static_cast<size_t>(result);
      if (kind_ == Kind::kFile) end_ += result;
      needs_newline_ = false;
      continue;
    }
    if (result < 0 && errno == EINTR) continue;
    *status = {Code::kWrite, result == 0 ? EIO : errno, "write"};
    struct stat info;
    if (kind_ == Kind::kFile && written != 0 && fstat(fd_, &info) == 0) cut_at_ = info.st_size;
    return written;
  }
  cut_at_ = 0;
  *status = {};
  return written;
}

size_t Sink::WriteBy(const char* bytes, size_t count, int64_t deadline_ms, Status* status) {
  size_t written = 0;
  *status = RetryBy(deadline_ms, [&] {
    const SignalMask mask;
    Status outcome;
    written += Write(bytes + written, count - written, &outcome);
    if (!outcome.ok()) SignalMask::Discard(outcome.error);
    return outcome;
  });
  return written;
}

bool Sink::SettleInterrupted(const char* bytes, size_t count, size_t* out) {
  const bool is_known = FindWritten(bytes, count, out);
  is_amid_line_ = is_known && *out < count && (is_amid_line_ || *out != 0);
  turn_.Pass(is_amid_line_ || *out != 0, *out == count);
  return is_known;
}

bool Sink::FindWritten(const char* bytes, size_t count, size_t* out) {
  *out = 0;
  needs_newline_ = true;
  struct stat info;
  if (kind_ != Kind::kFile || fstat(fd_, &info) != 0) return false;
  const size_t grown = info.st_size <= began_at_ ? 0 : static_cast<size_t>(info.st_size - began_at_);
  end_ = info.st_size;
  const size_t common = grown < count ? grown : count;
  for (size_t at = 0; at < common;) {
    char there[1024];
    const size_t piece = common - at < sizeof(there) ? common - at : sizeof(there);
    // Another process has written there first: our bytes may or may not follow.
    if (!ReadAt(fd_, there, piece, began_at_ + static_cast<off_t>(at)) || memcmp(there, bytes + at, piece) != 0) return false;
    at += piece;
  }
  *out = common;
  needs_newline_ = common == 0 && !is_amid_line_ && !EndsInNewline(fd_, info.st_size);
  if (common != 0 && common < count) cut_at_ = info.st_size;
  return true;
}

ssize_t Sink::WriteOnce(const char* bytes, size_t count) {
  switch (kind_) {
    case Kind::kSocket: return send(fd_, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    case Kind::kMayBlock: return blocking_.Write(fd_, bytes, count);
    case Kind::kFile:
    case Kind::kNonBlocking: break;
  }
  return write(fd_, bytes, count);
}

bool Sink::WaitWritable(int timeout_ms) const {
  if (turn_.IsOthers()) {
    SleepUs(1'000);
    return true;
  }
  pollfd waiting = {fd_, POLLOUT, 0};
  return poll(&waiting, 1, timeout_ms) > 0;
}

}  // namespace vmm
