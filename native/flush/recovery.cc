#include "flush/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace vmm {

namespace {

// LineInFlight without atomics, as it is in a file.
struct Record {
  uint64_t commit, device, inode, offset, bytes, sent;
  uint32_t is_regular_file, reserved;
};
static_assert(sizeof(Record) == sizeof(LineInFlight));
static_assert(offsetof(Record, sent) == offsetof(LineInFlight, sent) && offsetof(Record, bytes) == offsetof(LineInFlight, bytes));
static_assert(offsetof(Record, is_regular_file) == offsetof(LineInFlight, is_regular_file));

// One system call, which no kill interrupts: either all bytes are in the file, or none.
bool WriteAt(int file, const void* bytes, size_t count, size_t offset) {
  ssize_t written;
  do {
    written = pwrite(file, bytes, count, static_cast<off_t>(offset));
  } while (written < 0 && errno == EINTR);
  return written == static_cast<ssize_t>(count);
}

// The recoveries whose files a forked child must close: a fork copies the descriptors and with them the locks, which
// would then outlive this process. There are as many places as a process may have region files.
constexpr int kRecoveriesMax = 64;
std::atomic<Recoveries*> g_recoveries[kRecoveriesMax];

// Stores `to` in the first place that holds `from`.
void Replace(Recoveries* from, Recoveries* to) {
  for (std::atomic<Recoveries*>& place : g_recoveries) {
    Recoveries* expected = from;
    // Release: pairs with the acquire in AbandonAll.
    if (place.compare_exchange_strong(expected, to, std::memory_order_release, std::memory_order_relaxed)) return;
  }
}

}  // namespace

struct Recoveries::Recovery {
  Recovery* newer;
  int file;
  uint64_t commit;
  Record earlier;  // the record in the file before this line began
  bool has_line;
  size_t begin;  // of `text`: 0 with a newline before the line, 1 without
  size_t sent;
  size_t end;
  bool is_writing;    // it is being written, or was when a fault came, and nobody can tell how much the sink took
  char* remove_path;  // behind this struct, as is the text
  char* text;

  bool is_partly_sent() const { return sent > begin && sent < end && !is_writing; }
  // Whether the dead process has left half a line in that pipe, and its file still says so.
  bool IsHalfIn(const Sink::Position& position) const {
    return has_line && !is_writing && sent == begin && !position.is_regular_file && earlier.device == position.device &&
           earlier.inode == position.inode && earlier.sent > 0 && earlier.sent < earlier.bytes;
  }
};

Recoveries::~Recoveries() {
  Close();
  while (oldest_ != nullptr) {
    Recovery* const newer = oldest_->newer;
    std::free(oldest_);
    oldest_ = newer;
  }
}

Status Recoveries::Add(const RecoverySpec& spec) {
  const size_t path_bytes = std::strlen(spec.remove_path) + 1;
  void* const memory = std::malloc(sizeof(Recovery) + 1 + spec.text_bytes + path_bytes);
  if (memory == nullptr) return {Code::kMemory, ENOMEM, "malloc"};
  const int file = fcntl(spec.file, F_DUPFD_CLOEXEC, 0);
  if (file < 0) {
    std::free(memory);
    return {Code::kLock, errno, "fcntl"};
  }
  Recovery* const recovery = new (memory) Recovery{};
  recovery->file = file;
  recovery->commit = spec.commit;
  std::memcpy(&recovery->earlier, spec.record, sizeof(Record));
  recovery->has_line = spec.has_line;
  recovery->text = reinterpret_cast<char*>(recovery + 1);
  recovery->text[0] = '\n';
  std::memcpy(recovery->text + 1, spec.text, spec.text_bytes);
  recovery->begin = recovery->sent = 1;
  recovery->end = 1 + spec.text_bytes;
  recovery->remove_path = recovery->text + recovery->end;
  std::memcpy(recovery->remove_path, spec.remove_path, path_bytes);
  (newest_ == nullptr ? oldest_ : newest_->newer) = recovery;
  newest_ = recovery;
  if (is_empty()) first_.store(recovery, std::memory_order_relaxed);  // no other thread knows of this yet
  return {};
}

void Recoveries::Take(Recoveries* other) {
  if (other->is_empty()) return;
  oldest_ = other->oldest_;
  newest_ = other->newest_;
  first_.store(other->First(), std::memory_order_relaxed);
  other->oldest_ = other->newest_ = nullptr;
  other->first_.store(nullptr, std::memory_order_relaxed);
  static const int registered = pthread_atfork(nullptr, nullptr, AbandonAll);
  if (registered == 0) Replace(nullptr, this);  // otherwise a forked child keeps the locks
}

// Runs in the child right after a fork, where no other thread exists.
void Recoveries::AbandonAll() {
  for (std::atomic<Recoveries*>& place : g_recoveries) {
    Recoveries* const recoveries = place.load(std::memory_order_acquire);  // pairs with the release in Replace
    if (recoveries == nullptr) continue;
    for (Recovery* one = recoveries->First(); one != nullptr; one = one->newer) close(one->file);
    recoveries->first_.store(nullptr, std::memory_order_relaxed);
    place.store(nullptr, std::memory_order_relaxed);
  }
}

bool Recoveries::is_partly_sent() const {
  const Recovery* const first = First();
  return first != nullptr && first->is_partly_sent();
}

bool Recoveries::HasHalfLineIn(const Sink& sink) const {
  const Sink::Position position = sink.position();
  for (const Recovery* one = First(); one != nullptr; one = one->newer) {
    if (one->IsHalfIn(position)) return true;
  }
  return false;
}

void Recoveries::EndHalfLineIn(const Sink& sink) {
  const Sink::Position position = sink.position();
  for (Recovery* one = First(); one != nullptr; one = one->newer) {
    if (!one->IsHalfIn(position)) continue;
    one->earlier.sent = 0;
    WriteAt(one->file, &one->earlier.sent, sizeof(one->earlier.sent),
            offsetof(RegionHeader, line) + offsetof(LineInFlight, sent));
  }
}

Status Recoveries::Send(Sink& sink) {
  while (Recovery* const first = First()) {
    if (Status status = SendFirst(*first, sink); !status.ok()) return status;
    struct stat open_file, named;
    const bool is_out = first->sent == first->end;
    if (is_out && first->remove_path[0] != '\0' && fstat(first->file, &open_file) == 0 &&
        fstatat(AT_FDCWD, first->remove_path, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_dev == open_file.st_dev &&
        named.st_ino == open_file.st_ino) {
      unlink(first->remove_path);
    }
    first_.store(first->newer, std::memory_order_relaxed);
    close(first->file);
  }
  return {};
}

Status Recoveries::FinishSent(Sink& sink) {
  if (!is_partly_sent()) return {};
  Recovery* const first = First();
  if (Status status = SendFirst(*first, sink); !status.ok()) return status;
  first_.store(first->newer, std::memory_order_relaxed);
  close(first->file);
  return {};
}

void Recoveries::Restart() {
  Recovery* const first = First();
  if (first == nullptr || !first->is_partly_sent()) return;
  // The part that is in the old file is not a line. In the new sink nothing is in flight.
  first->begin = first->sent = 1;
  first->has_line = false;
  first->earlier.commit = 0;
}

// Notes in the region that its line is on its way. False: that is not possible; without the note nobody could tell
// whether the line is out, so it must not be sent.
bool Recoveries::Begin(Recovery& recovery, const Sink& sink) const {
  const Sink::Position position = sink.position();
  // Until a part of this line is out, its record must still say that the half line of the dead process is there: a
  // reader that finds the region then also puts a newline first.
  const uint64_t sent = recovery.IsHalfIn(position) ? 1 : 0;
  recovery.begin = recovery.sent = sink.needs_newline() || HasHalfLineIn(sink) ? 0 : 1;
  const Record record = {recovery.commit,
                         position.device,
                         position.inode,
                         position.end,
                         recovery.end - recovery.begin,
                         sent,
                         position.is_regular_file,
                         0};
  return WriteAt(recovery.file, &record, sizeof(record), offsetof(RegionHeader, line));
}

Status Recoveries::SendFirst(Recovery& recovery, Sink& sink) {
  // This process has survived a fault in the middle of the write. The file says that the line is in flight, and the
  // next life settles it.
  if (recovery.is_writing) return {};
  if (!recovery.is_partly_sent()) {
    if (!sink.BeginLine()) return {Code::kWrite, EAGAIN, "write"};
    if (!Begin(recovery, sink)) {
      sink.CancelLine();
      return {};
    }
  }
  Status status;
  recovery.is_writing = true;
  // A handler on this thread may read it, so the compiler must not move the stores across the write.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  recovery.sent += sink.Write(recovery.text + recovery.sent, recovery.end - recovery.sent, &status);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  recovery.is_writing = false;
  const uint64_t sent = recovery.sent - recovery.begin;
  if (sent == 0) {
    // Nothing is out, so the earlier record is true again.
    WriteAt(recovery.file, &recovery.earlier, sizeof(recovery.earlier), offsetof(RegionHeader, line));
    return status;
  }
  EndHalfLineIn(sink);  // for the recoveries after this one
  WriteAt(recovery.file, &sent, sizeof(sent), offsetof(RegionHeader, line) + offsetof(LineInFlight, sent));
  // If this fails, the record still says that all bytes were sent, which settles the line.
  if (status.ok()) WriteAt(recovery.file, &recovery.commit, sizeof(recovery.commit), offsetof(RegionHeader, commit));
  return status;
}

void Recoveries::Close() {
  Replace(this, nullptr);
  for (Recovery* one = First(); one != nullptr; one = one->newer) close(one->file);
  first_.store(nullptr, std::memory_order_relaxed);  // no other thread is left
}

}  // namespace vmm
