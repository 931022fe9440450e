// A TemporaryFolder is a folder for one test. Its destructor removes it with all files and pipes in it.
//
// Thread-safety:       plain file calls.
// Async-signal-safety: none.
// Lifetime:            the folder lives as long as the object, in the process that made it.

#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "check.h"

namespace vmm {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/vmm-metrics-XXXXXX";
    CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryFolder() {
    if (DIR* folder = opendir(path_.c_str())) {
      while (const dirent* entry = readdir(folder)) unlinkat(dirfd(folder), entry->d_name, 0);
      closedir(folder);
    }
    rmdir(path_.c_str());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string TextOf(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string text;
  char buffer[65536];
  for (ssize_t bytes; fd >= 0 && (bytes = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(bytes));
  if (fd >= 0) close(fd);
  return text;
}

inline struct stat StatOf(const std::string& path) {
  struct stat info = {};
  CHECK_EQ(stat(path.c_str(), &info), 0);
  return info;
}
inline struct stat StatOf(int fd) {
  struct stat info = {};
  CHECK_EQ(fstat(fd, &info), 0);
  return info;
}

// These make the file if it does not exist. WriteText replaces its text, AppendText appends.
inline void PutText(const std::string& path, const std::string& text, int how) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | how | O_CLOEXEC, 0600);
  CHECK_EQ(write(fd, text.data(), text.size()), text.size());
  close(fd);
}
inline void WriteText(const std::string& path, const std::string& text) { PutText(path, text, O_TRUNC); }
inline void AppendText(const std::string& path, const std::string& text) { PutText(path, text, O_APPEND); }

// A named pipe of one page, which is too small for a long line.
class Fifo {
 public:
  static constexpr int kBytes = 4096;

  explicit Fifo(const std::string& path) {
    CHECK_EQ(mkfifo(path.c_str(), 0600), 0);
    fd_ = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    CHECK(fcntl(fd_, F_SETPIPE_SZ, kBytes) > 0);
  }
  ~Fifo() { close(fd_); }
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;

  // Takes up to `bytes_max` bytes out of the pipe.
  std::string Take(size_t bytes_max = kBytes) {
    std::string text(bytes_max, '\0');
    const ssize_t bytes = read(fd_, text.data(), bytes_max);
    text.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
    return text;
  }
  // Takes all bytes out of the pipe.
  std::string TakeAll() {
    std::string text;
    for (std::string more; !(more = Take()).empty();) text += more;
    return text;
  }
  // Fills the pipe to the last byte.
  void Fill() {
    const std::string page(kBytes, ' ');
    while (write(fd_, page.data(), page.size()) > 0 || write(fd_, " ", 1) > 0) {
    }
  }

 private:
  int fd_ = -1;
};

}  // namespace vmm
