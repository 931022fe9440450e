#include "region/region_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "base/clock.h"
#include "region/format.h"

namespace vmm {

namespace {

// A reader holds the lock for a moment while it looks who has the file, and so does somebody else who is about to give
// up.
constexpr int kLockTries = 50;
// How often somebody else may take or lose the name while we are about to take it.
constexpr int kNameTries = 100;

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

std::string Directory(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }
std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

constexpr const char* kHasEarlierStore = "is the file of a store that was closed, or whose process is dead";

Status CannotOpen(const char* syscall) { return {Code::kRegion, errno, syscall}; }

// Takes an exclusive lock, within 50 ms. False with errno.
bool Lock(int fd) {
  for (int i = 0; i < kLockTries; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    SleepUs(1'000);
  }
  errno = EWOULDBLOCK;
  return false;
}

// Whether nobody has it for themselves: there is a shared lock on it, of somebody who says the last line of a dead
// process.
bool IsShared(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  const bool is_shared = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
  if (fd >= 0) close(fd);
  return is_shared;
}

// Renames, unless there is something of the new name.
int RenameExclusively(const char* from, const char* to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // A file system that cannot: a link does not replace either.
  if (link(from, to) != 0) return -1;
  unlink(from);
  return 0;
}

// Whether it is `<prefix><pid>-<number>.tmp`.
bool IsTemporary(const std::string& name, const std::string& prefix) {
  static const std::string kSuffix = ".tmp";
  if (name.size() <= prefix.size() + kSuffix.size() || name.compare(0, prefix.size(), prefix) != 0) return false;
  if (name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) != 0) return false;
  return name.find_first_not_of("0123456789-", prefix.size()) == name.size() - kSuffix.size();
}

// Removes what processes that were killed while they made a region left behind: nobody has it locked. What cannot be
// looked at stays.
void RemoveLeftovers(const std::string& folder, const std::string& prefix) {
  DIR* const entries = opendir(folder.empty() ? "." : folder.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries)) {
    if (!IsTemporary(entry->d_name, prefix)) continue;
    const int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) continue;
    struct stat info, named;
    uint64_t magic = 0;  // that it stays when the process was killed before it wrote it, or the first byte at all
    const bool is_ours = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
                         pread(fd, &magic, sizeof(magic), 0) >= 0 && (magic == 0 || magic == kMagic);
    // Locked first: if it is still of that name then, it is nobody's.
    if (is_ours && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        fstatat(dirfd(entries), entry->d_name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_dev == info.st_dev &&
        named.st_ino == info.st_ino) {
      unlinkat(dirfd(entries), entry->d_name, 0);
    }
    close(fd);
  }
  closedir(entries);
}

}  // namespace

RegionFile::~RegionFile() {
  if (!is_published_ && !temporary_.empty()) unlink(temporary_.c_str());
}

Status RegionFile::Make(int* descriptor) {
  int there = -1;
  if (Status status = TakeOver(path_, &there); !status.ok()) return status;
  if (there >= 0) close(there);  // it may change until Publish; then it is looked at again
  if (there >= 0 && previous_ == Previous::kRefuse) return WrongFile(kHasEarlierStore);
  return MakeTemporary(descriptor);
}

Status RegionFile::TakeOver(const std::string& path, int* descriptor) {
  for (int i = 0; i < kNameTries; i++) {
    bool again = false;
    if (Status status = TakeOverOnce(path, descriptor, &again); !status.ok() || !again) return status;
  }
  // Others have taken it again and again meanwhile.
  return {Code::kBusy, EBUSY, "open"};
}

Status RegionFile::TakeOverOnce(const std::string& path, int* descriptor, bool* again) {
  *descriptor = -1;
  // Non-blocking: a pipe would wait for its other end.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    if (errno == ENOENT) return {};
    if (errno == ELOOP) return WrongFile("is a symbolic link");
    if (errno == ENXIO) return WrongFile("is not a regular file");
    return CannotOpen("open");
  }
  Status status;
  struct stat info, named;
  uint64_t magic = 0;
  int32_t holder = 0;
  if (fstat(fd, &info) != 0) {
    status = CannotOpen("fstat");
  } else if (!S_ISREG(info.st_mode)) {
    status = WrongFile("is not a regular file");
  } else if (info.st_uid != geteuid()) {
    status = WrongFile("belongs to another user");
  } else if (pread(fd, &magic, sizeof(magic), offsetof(RegionHeader, magic)) != sizeof(magic) || magic != kMagic) {
    status = WrongFile("is not a region file");
  } else {
    if (!Lock(fd)) status = errno == EWOULDBLOCK ? Status{Code::kBusy, EWOULDBLOCK, "flock"} : CannotOpen("flock");
    if (pread(fd, &holder, sizeof(holder), offsetof(RegionHeader, process_id)) != sizeof(holder)) holder = 0;
    holder_ = holder;
  }
  // Another opener may have moved it away before the lock was ours.
  *again = lstat(path.c_str(), &named) != 0 || named.st_dev != info.st_dev || named.st_ino != info.st_ino;
  if (status.ok() && !*again) {
    *descriptor = fd;
    return {};
  }
  close(fd);
  return *again ? Status{} : status;
}

Status RegionFile::MakeTemporary(int* descriptor) {
  static std::atomic<uint32_t> made{0};
  RemoveLeftovers(Directory(path_), "." + BaseName(path_) + ".");
  for (int i = 0; i < kNameTries; i++) {
    const uint32_t number = made.fetch_add(1, std::memory_order_relaxed);  // to be different, nothing more
    const std::string name =
        Directory(path_) + "." + BaseName(path_) + "." + std::to_string(getpid()) + "-" + std::to_string(number) + ".tmp";
    const int fd = open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) continue;  // that of a living process, see RemoveLeftovers
    if (fd < 0) return CannotOpen("open");
    struct stat info;
    const bool is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (is_locked ? fstat(fd, &info) == 0 && info.st_nlink == 0 : errno == EWOULDBLOCK) {
      close(fd);
      continue;  // somebody took it for a leftover before it was locked
    }
    temporary_ = name;
    // Exactly so, whatever the umask.
    if (!is_locked || fchmod(fd, 0600) != 0) {
      const Status status = CannotOpen(is_locked ? "fchmod" : "flock");
      close(fd);
      return status;
    }
    *descriptor = fd;
    return {};
  }
  return {Code::kRegion, EEXIST, "open"};
}

Status RegionFile::Publish() {
  Status status;
  for (int i = 0; i < kNameTries; i++) {
    int there = -1;
    if (status = TakeOver(path_, &there); !status.ok()) return status;
    // Its lock is held meanwhile: whoever else wants the name waits, and sees then that it is ours.
    status = TakeName(there >= 0);
    if (there >= 0) close(there);
    if (status.error == EEXIST || status.error == ENOENT) continue;  // somebody was faster, or took it away
    is_published_ = status.ok();
    return status;
  }
  return status;
}

std::string RegionFile::Generation(int number) const {
  return path_ + (number == 1 ? ".previous" : ".previous." + std::to_string(number));
}

Status RegionFile::IsMovable(int number) {
  const std::string name = Generation(number);
  struct stat info;
  // Of a folder, the rename would say why not, if it could be asked without being done.
  if (lstat(name.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {Code::kRegion, EISDIR, "rename"};
  int fd = -1;
  const int32_t holder = holder_;
  const Status status = TakeOver(name, &fd);
  if (fd >= 0) close(fd);
  holder_ = holder;  // of the path, and of nothing else
  // Somebody who says its last line has it shared: they go on, whatever its name.
  if (status.code == Code::kBusy && IsShared(name)) return {};
  if (status.code == Code::kBusy) return WrongFile("cannot be renamed to .previous: a process uses the file of that name");
  if (status.code == Code::kWrongFile) {
    return WrongFile("cannot be renamed to .previous: the file of that name is not a region file of this user");
  }
  return status;
}

// Under the lock of what has the path: others who want to move it wait for that.
Status RegionFile::Keep() {
  struct stat info;
  int last = 1;
  for (; last < kGenerationNames && lstat(Generation(last).c_str(), &info) == 0; last++) {
    if (Status status = IsMovable(last); !status.ok()) return status;
  }
  // All names are taken, by as many who died before they looked: the oldest has to go.
  if (lstat(Generation(last).c_str(), &info) == 0) {
    if (Status status = IsMovable(last); !status.ok()) return status;
    unlink(Generation(last).c_str());
  }
  for (int number = last; number > 1; number--) {
    const bool is_moved = RenameExclusively(Generation(number - 1).c_str(), Generation(number).c_str()) == 0;
    if (!is_moved && errno != ENOENT) return CannotOpen("renameat2");
  }
  return RenameExclusively(path_.c_str(), Generation(1).c_str()) == 0 ? Status{} : CannotOpen("renameat2");
}

Status RegionFile::TakeName(bool is_there) {
  if (is_there && previous_ == Previous::kRefuse) {
    return WrongFile(kHasEarlierStore);
  }
  if (is_there && previous_ == Previous::kDiscard) {
    return rename(temporary_.c_str(), path_.c_str()) == 0 ? Status{} : CannotOpen("rename");
  }
  if (is_there) {
    if (Status status = Keep(); !status.ok()) return status;
  }
  return RenameExclusively(temporary_.c_str(), path_.c_str()) == 0 ? Status{} : CannotOpen("renameat2");
}

}  // namespace vmm
