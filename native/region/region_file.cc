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
#include "base/file_lock.h"
#include "region/format.h"

namespace vmm {

namespace {

// A reader holds the lock for a moment while it finds out whether the writer lives. So does a process that opens the
// file and is then refused.
constexpr int kLockTries = 50;
// How often another process may take or free the name while this one tries to take it.
constexpr int kNameTries = 100;

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }
std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

constexpr const char* kHasEarlierStore = "is the file of a store that was closed, or whose process is dead";

Status CannotOpen(const char* syscall) { return {Code::kRegion, errno, syscall}; }

// Takes the exclusive lock, within 50 ms. kBusy: another process keeps it.
Status LockSoon(int fd) {
  for (int i = 0; i < kLockTries; i++) {
    bool is_ours = false;
    const Status status = TryFileLock(fd, LOCK_EX, &is_ours);
    if (!status.ok()) return {Code::kRegion, status.error, status.syscall};
    if (is_ours) return {};
    SleepUs(1'000);
  }
  return {Code::kBusy, EWOULDBLOCK, "flock"};
}

// Whether the file's lock is a shared one: a process is writing the last line of a dead writer.
bool IsLockShared(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  bool is_exclusive = true;
  const Status status = IsFileLocked(fd, &is_exclusive);
  close(fd);
  return status.ok() && !is_exclusive;
}

// Renames a file unless the new name is taken. -1 with errno when it fails.
int RenameExclusively(const char* from, const char* to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // This file system cannot do that. link() does not replace a file either.
  if (link(from, to) != 0) return -1;
  unlink(from);
  return 0;
}

// Whether the name is `<prefix><pid>-<number>.tmp`.
bool IsTemporary(const std::string& name, const std::string& prefix) {
  static const std::string kSuffix = ".tmp";
  if (name.size() <= prefix.size() + kSuffix.size() || name.compare(0, prefix.size(), prefix) != 0) return false;
  if (name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) != 0) return false;
  return name.find_first_not_of("0123456789-", prefix.size()) == name.size() - kSuffix.size();
}

// Removes the temporary files of processes that were killed while they made a region: no process locks these files. A
// file that cannot be opened stays.
void RemoveLeftovers(const std::string& folder, const std::string& prefix) {
  DIR* const entries = opendir(folder.empty() ? "." : folder.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries)) {
    if (!IsTemporary(entry->d_name, prefix)) continue;
    const int fd = openat(dirfd(entries), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) continue;
    struct stat info, named;
    uint64_t magic = 0;  // stays 0 when the process was killed before it wrote the magic, or any byte
    const bool is_ours = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
                         pread(fd, &magic, sizeof(magic), 0) >= 0 && (magic == 0 || magic == kMagic);
    // Lock first: if the file still has that name afterwards, no process uses it.
    bool is_locked = false;
    if (is_ours && TryFileLock(fd, LOCK_EX, &is_locked).ok() && is_locked &&
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
  int current = -1;
  if (Status status = TakeOver(path_, &current); !status.ok()) return status;
  if (current >= 0) close(current);  // Publish checks again, since another file may have the path by then
  if (current >= 0 && previous_ == Previous::kRefuse) return WrongFile(kHasEarlierStore);
  return MakeTemporary(descriptor);
}

Status RegionFile::TakeOver(const std::string& path, int* descriptor) {
  for (int i = 0; i < kNameTries; i++) {
    bool is_to_repeat = false;
    if (Status status = TakeOverOnce(path, descriptor, &is_to_repeat); !status.ok() || !is_to_repeat) return status;
  }
  // Other processes took the path each time.
  return {Code::kBusy, EBUSY, "open"};
}

Status RegionFile::TakeOverOnce(const std::string& path, int* descriptor, bool* is_to_repeat) {
  *descriptor = -1;
  // O_NONBLOCK: otherwise open() would wait for the other end of a pipe.
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
    status = LockSoon(fd);
    if (pread(fd, &holder, sizeof(holder), offsetof(RegionHeader, process_id)) != sizeof(holder)) holder = 0;
    holder_ = holder;
  }
  // Another process may have renamed the file before this one had the lock.
  *is_to_repeat = lstat(path.c_str(), &named) != 0 || named.st_dev != info.st_dev || named.st_ino != info.st_ino;
  if (status.ok() && !*is_to_repeat) {
    *descriptor = fd;
    return {};
  }
  close(fd);
  return *is_to_repeat ? Status{} : status;
}

Status RegionFile::MakeTemporary(int* descriptor) {
  static std::atomic<uint32_t> made{0};
  RemoveLeftovers(FolderOf(path_), "." + BaseName(path_) + ".");
  for (int i = 0; i < kNameTries; i++) {
    const uint32_t number = made.fetch_add(1, std::memory_order_relaxed);  // publishes nothing: names differ
    const std::string name =
        FolderOf(path_) + "." + BaseName(path_) + "." + std::to_string(getpid()) + "-" + std::to_string(number) + ".tmp";
    const int fd = open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) continue;  // a living process made it, see RemoveLeftovers
    if (fd < 0) return CannotOpen("open");
    struct stat info;
    bool is_locked = false;
    Status status = TryFileLock(fd, LOCK_EX, &is_locked);
    // RemoveLeftovers of another process took the file for a leftover, before this process had locked it.
    const bool is_lost = status.ok() && (!is_locked || (fstat(fd, &info) == 0 && info.st_nlink == 0));
    if (is_lost) {
      close(fd);
      continue;
    }
    temporary_ = name;
    if (!status.ok()) {
      status = {Code::kRegion, status.error, status.syscall};
    } else if (fchmod(fd, 0600) != 0) {  // the umask may have removed permissions
      status = CannotOpen("fchmod");
    }
    if (!status.ok()) {
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
    int current = -1;
    if (status = TakeOver(path_, &current); !status.ok()) return status;
    // The current file stays locked during this: another process that wants the path waits, and then finds our file.
    status = TakePath(current >= 0);
    if (current >= 0) close(current);
    if (status.error == EEXIST || status.error == ENOENT) continue;  // another process took the path, or freed it
    is_published_ = status.ok();
    return status;
  }
  return status;
}

std::string RegionFile::Generation(int number) const {
  return path_ + (number == 1 ? ".previous" : ".previous." + std::to_string(number));
}

Status RegionFile::CheckMovable(int number) {
  const std::string name = Generation(number);
  struct stat info;
  // For a directory, report the error that rename() would give, without trying.
  if (lstat(name.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {Code::kRegion, EISDIR, "rename"};
  int fd = -1;
  const int32_t holder = holder_;
  const Status status = TakeOver(name, &fd);
  if (fd >= 0) close(fd);
  holder_ = holder;  // holder() is about the path only
  // A process that writes this file's last line goes on, whatever the file's name is.
  if (status.code == Code::kBusy && IsLockShared(name)) return {};
  if (status.code == Code::kBusy) return WrongFile("cannot be renamed to .previous: a process uses the file of that name");
  if (status.code == Code::kWrongFile) {
    return WrongFile("cannot be renamed to .previous: the file of that name is not a region file of this user");
  }
  return status;
}

// The caller holds the lock of the file that has the path; other processes that want to move the file wait for it.
Status RegionFile::Keep() {
  struct stat info;
  int last = 1;
  for (; last < kGenerationNames && lstat(Generation(last).c_str(), &info) == 0; last++) {
    if (Status status = CheckMovable(last); !status.ok()) return status;
  }
  // All names are taken: for each name, a process died before it removed earlier files. So the oldest file goes.
  if (lstat(Generation(last).c_str(), &info) == 0) {
    if (Status status = CheckMovable(last); !status.ok()) return status;
    unlink(Generation(last).c_str());
  }
  for (int number = last; number > 1; number--) {
    const bool is_moved = RenameExclusively(Generation(number - 1).c_str(), Generation(number).c_str()) == 0;
    if (!is_moved && errno != ENOENT) return CannotOpen("renameat2");
  }
  return RenameExclusively(path_.c_str(), Generation(1).c_str()) == 0 ? Status{} : CannotOpen("renameat2");
}

Status RegionFile::TakePath(bool is_taken) {
  if (is_taken && previous_ == Previous::kRefuse) return WrongFile(kHasEarlierStore);
  if (is_taken && previous_ == Previous::kDiscard) {
    return rename(temporary_.c_str(), path_.c_str()) == 0 ? Status{} : CannotOpen("rename");
  }
  if (is_taken) {
    if (Status status = Keep(); !status.ok()) return status;
  }
  return RenameExclusively(temporary_.c_str(), path_.c_str()) == 0 ? Status{} : CannotOpen("renameat2");
}

}  // namespace vmm
