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

// LineInFlight as it stands in a file.
struct Record {
  uint64_t commit, device, inode, offset, bytes, sent;
  uint32_t is_regular_file, reserved;
};
static_assert(sizeof(Record) == sizeof(LineInFlight));
static_assert(offsetof(Record, sent) == offsetof(LineInFlight, sent) && offsetof(Record, bytes) == offsetof(LineInFlight, bytes));
static_assert(offsetof(Record, is_regular_file) == offsetof(LineInFlight, is_regular_file));

// In one call, which a kill does not interrupt: either all of it is in the file, or nothing.
bool WriteAt(int file, const void* bytes, size_t count, size_t offset) {
  ssize_t written;
  do {
    written = pwrite(file, bytes, count, static_cast<off_t>(offset));
  } while (written < 0 && errno == EINTR);
  return written == static_cast<ssize_t>(count);
}

// What a forked child has to close: a fork copies the descriptors and with them the locks, which would then outlive
// this process. As many places as a process may have region files.
constexpr int kRecoveriesMax = 64;
std::atomic<Recoveries*> g_recoveries[kRecoveriesMax];

// Replaces `from` by `to` in the first place that holds `from`.
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
  Record earlier;  // the file's record before this line began
  bool has_line;
  size_t begin;  // of `text`: 0 with a newline before the line, 1 without
  size_t sent;
  size_t end;
  bool is_writing;    // or a fault ended that, and nobody can tell how much the sink took
  char* remove_path;  // in the same memory, as is the text
  char* text;

  bool is_partly_sent() const { return sent > begin && sent < end && !is_writing; }
  // Half a line of the dead process is in that pipe, and its file says so still.
  bool IsCutIn(const Sink::Position& position) const {
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
  if (is_empty()) first_.store(recovery, std::memory_order_relaxed);  // nobody else knows of this yet
  return {};
}

void Recoveries::Take(Recoveries* other) {
  if (other->is_empty()) return;
  oldest_ = other->oldest_;
  newest_ = other->newest_;
  first_.store(other->first_.load(std::memory_order_relaxed), std::memory_order_relaxed);  // as in Add
  other->oldest_ = other->newest_ = nullptr;
  other->first_.store(nullptr, std::memory_order_relaxed);
  static const int registered = pthread_atfork(nullptr, nullptr, AbandonAll);
  if (registered == 0) Replace(nullptr, this);  // else a child that lives on keeps the locks
}

// In the child, right after a fork, where nothing else runs.
void Recoveries::AbandonAll() {
  for (std::atomic<Recoveries*>& place : g_recoveries) {
    Recoveries* const recoveries = place.load(std::memory_order_acquire);  // pairs with the release in Replace
    if (recoveries == nullptr) continue;
    for (Recovery* one = recoveries->first_.load(std::memory_order_relaxed); one != nullptr; one = one->newer) close(one->file);
    recoveries->first_.store(nullptr, std::memory_order_relaxed);
    place.store(nullptr, std::memory_order_relaxed);
  }
}

bool Recoveries::is_partly_sent() const {
  const Recovery* const first = first_.load(std::memory_order_relaxed);  // the flusher's phase publishes it
  return first != nullptr && first->is_partly_sent();
}

bool Recoveries::HasCut(const Sink& sink) const {
  const Sink::Position position = sink.position();
  for (const Recovery* one = first_.load(std::memory_order_relaxed); one != nullptr; one = one->newer) {  // as above
    if (one->IsCutIn(position)) return true;
  }
  return false;
}

void Recoveries::EndCut(const Sink& sink) {
  const Sink::Position position = sink.position();
  for (Recovery* one = first_.load(std::memory_order_relaxed); one != nullptr; one = one->newer) {  // as above
    if (!one->IsCutIn(position)) continue;
    one->earlier.sent = 0;
    WriteAt(one->file, &one->earlier.sent, sizeof(one->earlier.sent),
            offsetof(RegionHeader, line) + offsetof(LineInFlight, sent));
  }
}

Status Recoveries::Send(Sink& sink) {
  while (Recovery* const first = first_.load(std::memory_order_relaxed)) {  // as above
    if (Status status = SendFirst(*first, sink); !status.ok()) return status;
    struct stat open_file, named;
    const bool is_out = first->sent == first->end;
    if (is_out && first->remove_path[0] != '\0' && fstat(first->file, &open_file) == 0 &&
        lstat(first->remove_path, &named) == 0 && named.st_dev == open_file.st_dev && named.st_ino == open_file.st_ino) {
      unlink(first->remove_path);
    }
    first_.store(first->newer, std::memory_order_relaxed);  // as above
    close(first->file);
  }
  return {};
}

Status Recoveries::FinishSent(Sink& sink) {
  if (!is_partly_sent()) return {};
  Recovery* const first = first_.load(std::memory_order_relaxed);  // the flusher's phase publishes it
  if (Status status = SendFirst(*first, sink); !status.ok()) return status;
  first_.store(first->newer, std::memory_order_relaxed);  // as above
  close(first->file);
  return {};
}

void Recoveries::Restart() {
  Recovery* const first = first_.load(std::memory_order_relaxed);  // as above
  if (first == nullptr || !first->is_partly_sent()) return;
  // What is in the other file is no line, and the record of it says what became of it. The next one begins in a sink of
  // its own.
  first->begin = first->sent = 1;
  first->has_line = false;
  first->earlier.commit = 0;
}

// False: the region cannot be written. Then nobody could tell whether its line is out, and it stays where it is.
bool Recoveries::Begin(Recovery& recovery, const Sink& sink) const {
  const Sink::Position position = sink.position();
  // As long as nothing is known of this line, its record must still say of the half before it that it is there: who
  // finds the region then puts a newline first too.
  const uint64_t sent = recovery.IsCutIn(position) ? 1 : 0;
  recovery.begin = recovery.sent = sink.needs_newline() || HasCut(sink) ? 0 : 1;
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
  // The process survived a fault in the middle of it. The file says that the line is in flight: the next life settles
  // it.
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
  // A handler on this very thread sees it: the compiler must not know better.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  recovery.sent += sink.Write(recovery.text + recovery.sent, recovery.end - recovery.sent, &status);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  recovery.is_writing = false;
  const uint64_t sent = recovery.sent - recovery.begin;
  if (sent == 0) {
    // Nothing of it is out, so nothing is in flight but what was before.
    WriteAt(recovery.file, &recovery.earlier, sizeof(recovery.earlier), offsetof(RegionHeader, line));
    return status;
  }
  EndCut(sink);  // of those that come after this one
  WriteAt(recovery.file, &sent, sizeof(sent), offsetof(RegionHeader, line) + offsetof(LineInFlight, sent));
  // When this fails, the record says that all of it was sent, and settles it.
  if (status.ok()) WriteAt(recovery.file, &recovery.commit, sizeof(recovery.commit), offsetof(RegionHeader, commit));
  return status;
}

void Recoveries::Close() {
  Replace(this, nullptr);
  for (Recovery* one = first_.load(std::memory_order_relaxed); one != nullptr; one = one->newer) close(one->file);
  first_.store(nullptr, std::memory_order_relaxed);  // nobody is left who could look
}

}  // namespace vmm
