// A Sink is where lines go: a file, a named pipe or a descriptor. It never blocks on a reader that is slow or gone; see
// BlockingDescriptor for the one exception.
//
// Thread-safety:       one thread at a time (the flusher sees to it).
// Async-signal-safety: safe; system calls on fixed buffers only. errno is changed; callers in a handler keep it.
// Lifetime:            the descriptor is the sink's own, closed by Close.

#pragma once

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/status.h"
#include "flush/blocking_descriptor.h"
#include "flush/sink_turn.h"

namespace vmm {

class Sink {
 public:
  // Opens `path` for append, made 0600 if it is not there. A pipe is opened for reading and writing, so that it needs
  // no reader and what is in it outlives one. kWrongFile: it is a region, which lines would destroy.
  Status OpenPath(const char* path);
  // Duplicates `fd`; the caller keeps its own, and its flags. kWrongFile as above.
  Status OpenDescriptor(int fd);
  // Empties what is open, if it is a file: what goes out is then all there is.
  Status Truncate();
  void Close();
  bool is_open() const { return fd_ >= 0; }

  // For who writes lines: from now on, and as long as this is open, it takes turns with the other stores of this
  // process that write to the same place. See SinkTurn::Register. Not in a handler.
  void TakeTurns(FinishLine finish, void* store);

  // Opens the path again when it no longer names what is open (rotated, removed). `*replaced` says whether it did, or
  // whether the file was truncated in the middle of a line: either way, the first half of that line is gone. Looks
  // where it ends.
  Status ReopenIfReplaced(bool* replaced);

  // Before the first Write of a line: takes the turn, and looks where the sink ends when others write there too. False:
  // it is another store's turn.
  bool BeginLine();
  // Gives the turn back: after BeginLine there is nothing to write after all.
  void CancelLine() { turn_.Pass(false, false); }
  // Whether what is there does not end in a newline, so that one must go first. Cleared by the first byte written.
  bool needs_newline() const { return needs_newline_ || turn_.needs_newline(); }
  // Whether the last Write or BeginLine failed with EAGAIN since it was another store's turn.
  bool lacks_turn() const { return lacks_turn_.load(std::memory_order_relaxed); }  // of the same thread, or a moment old
  bool is_others_turn() const { return turn_.IsOthers(); }
  // Asks the other store to send its tail. False: it is still its turn. Not in a handler.
  bool LetOtherFinish() const { return turn_.LetOtherFinish(); }

  // Which file is open, and where it ends, as of the last look at it and with what was written since.
  struct Position {
    uint64_t device;
    uint64_t inode;
    uint64_t end;  // of a regular file; else 0
    bool is_regular_file;
    bool IsFile(const Position& other) const {
      return is_regular_file && other.is_regular_file && device == other.device && inode == other.inode;
    }
  };
  Position position() const { return {device_, inode_, static_cast<uint64_t>(end_), kind_ == Kind::kFile}; }
  // Its path with its NUL; empty when it has none, or none so short. Not in a handler.
  void CopyPath(char* out, size_t bytes) const;

  // Writes as much as goes without waiting, up to the end of a line. Returns the bytes written; fewer than asked with
  // `*status` saying why.
  size_t Write(const char* bytes, size_t count, Status* status);

  // Writes all of it, waiting for the sink until `deadline_ms` at most, by MonotonicMs(). Returns the bytes written;
  // fewer than asked with `*status` saying why (EAGAIN: the deadline has passed). While bytes go out, this thread takes
  // no signal that somebody sends; a write that fails raises none.
  size_t WriteBy(const char* bytes, size_t count, int64_t deadline_ms, Status* status);

  // The loop of every sending with a deadline: calls `attempt`, which returns a Status, until it succeeds, fails for
  // good, or the deadline has passed; between two calls it waits for the sink. Returns the last Status.
  template <typename Attempt>
  Status RetryBy(int64_t deadline_ms, Attempt attempt) const {
    for (;;) {
      const Status status = attempt();
      if (status.ok() || !MayTakeLater(status)) return status;
      const int64_t left_ms = deadline_ms - MonotonicMs();
      if (left_ms <= 0) return status;
      WaitWritable(static_cast<int>(left_ms));
    }
  }
  // Whether a failed Write may succeed later: the sink is full, or it is another store's turn.
  static bool MayTakeLater(const Status& status) { return status.error == EAGAIN; }

  // How much of what the interrupted Write of these bytes was to write is out, as the file tells; for a handler on the
  // thread that was interrupted in it. False: nobody can tell, and a newline is due. Afterwards it is as if Write had
  // returned.
  bool SettleInterrupted(const char* bytes, size_t count, size_t* out);

  // Waits until the sink may take more, at most `timeout_ms`; for another store's turn a moment. False when it took too
  // long.
  bool WaitWritable(int timeout_ms) const;

 private:
  enum class Kind { kFile, kNonBlocking, kSocket, kMayBlock };

  // Standard output by its path, where it is a socket, which cannot be opened by a path.
  Status OpenOwnSocket(const char* path);
  static Status Duplicate(int fd, int* own, struct stat* info);
  Status Adopt(int fd, Kind kind, const struct stat& info);
  bool TakeTurn();
  // SettleInterrupted without its turn.
  bool FindWritten(const char* bytes, size_t count, size_t* out);
  size_t WriteAll(const char* bytes, size_t count, Status* status);
  ssize_t WriteOnce(const char* bytes, size_t count);

  int fd_ = -1;
  Kind kind_ = Kind::kFile;
  bool needs_newline_ = false;
  bool follows_path_ = false;
  bool is_pipe_ = false;
  BlockingDescriptor blocking_;  // of kMayBlock
  bool is_amid_line_ = false;    // half a line of ours is there
  std::atomic<bool> lacks_turn_{false};
  SinkTurn turn_;
  off_t end_ = 0;
  off_t began_at_ = 0;  // where a file ended when Write began
  off_t cut_at_ = 0;    // where a file ended when it took a line only in part; 0: it did not
  dev_t device_ = 0;
  ino_t inode_ = 0;
  char path_[PATH_MAX] = {};
};

}  // namespace vmm
