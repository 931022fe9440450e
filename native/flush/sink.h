// A Sink is where lines go: a file, a named pipe or a descriptor. It never waits for a reader that is slow or gone,
// except in WriteBy, RetryBy and WaitWritable, and in the races that BlockingDescriptor names.
//
// Thread-safety:       one thread at a time; the owner ensures that.
// Async-signal-safety: safe, except for the functions that say otherwise. They make system calls on fixed buffers, and
//                      change errno, which a handler must restore.
// Lifetime:            the descriptor belongs to the sink until Close.
// Units:               bytes; milliseconds on CLOCK_MONOTONIC.

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
  // Opens `path` for append; makes a file with mode 0600 if none is there. A pipe is opened for reading and writing, so
  // that it needs no reader, and keeps its content when a reader goes away. kWrongFile: it is a region, which lines
  // would destroy.
  Status OpenPath(const char* path);
  // Duplicates `fd`; the caller keeps the original, with its flags. kWrongFile: as above. Not in a handler.
  Status OpenDescriptor(int fd);
  // Empties the file. Does nothing to a pipe, a socket or a terminal.
  Status Truncate();
  // Not in a handler.
  void Close();
  bool is_open() const { return fd_ >= 0; }

  // From now until Close, this sink takes turns with the sinks of other stores of this process that have the same file,
  // pipe, socket or terminal open; see SinkTurn. Not in a handler.
  void TakeTurns(FinishLine finish, void* store);

  // Opens the path again if it no longer names what is open (it was rotated or removed), and looks where the file ends.
  // `*replaced`: it was opened again, or the file was truncated. Either way, a line that was half sent is gone.
  Status ReopenIfReplaced(bool* replaced);

  // Before the first Write of a line: takes the turn. If other stores write to the file too, looks where it ends.
  // False: it is another store's turn.
  bool BeginLine();
  // Gives the turn back after BeginLine, when nothing is written after all.
  void CancelLine() { turn_.Pass(false, false); }
  // Whether the sink ends in the middle of a line, so that a newline must go first. The first byte written clears it.
  bool needs_newline() const { return needs_newline_ || turn_.needs_newline(); }
  // Whether the last Write or BeginLine failed because it was another store's turn. Relaxed: it publishes nothing.
  bool lacks_turn() const { return lacks_turn_.load(std::memory_order_relaxed); }
  // Whether it is another store's turn now. Any thread.
  bool is_others_turn() const { return turn_.IsOthers(); }
  // Asks the other store to send the rest of its line. False: it is still that store's turn. Not in a handler.
  bool LetOtherFinish() const { return turn_.LetOtherFinish(); }

  // Which file is open, and where it ends: where it ended at the last look, plus what this sink has written since.
  struct Position {
    uint64_t device;
    uint64_t inode;
    uint64_t end;  // 0 if it is no regular file
    bool is_regular_file;
    bool IsFile(const Position& other) const {
      return is_regular_file && other.is_regular_file && device == other.device && inode == other.inode;
    }
  };
  Position position() const { return {device_, inode_, static_cast<uint64_t>(end_), kind_ == Kind::kFile}; }
  // Copies the absolute path with its NUL; an empty one if there is none, or if it does not fit. Not in a handler.
  void CopyPath(char* out, size_t bytes) const;

  // Writes as much as the sink takes without waiting. The last byte ends a line. Returns how many bytes were written;
  // if not all, `*status` says why.
  size_t Write(const char* bytes, size_t count, Status* status);

  // Like Write, but waits for the sink until `deadline_ms`; EAGAIN means that the deadline has passed. Signals that
  // others send to this thread are blocked during each write, and a failed write raises none.
  size_t WriteBy(const char* bytes, size_t count, int64_t deadline_ms, Status* status);

  // Calls `attempt`, which returns a Status, until it succeeds or fails for good, or the deadline has passed. Between
  // two calls it waits for the sink. Returns the last Status.
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

  // For the handler of a fault that interrupted this thread's Write of these bytes: reads from the file how many of
  // them are out. False: nobody can tell, and a newline must go first. Afterwards the sink is as if Write had returned.
  bool SettleInterrupted(const char* bytes, size_t count, size_t* out);

  // Waits until the sink may take more, at most `timeout_ms`; if it is another store's turn, waits for a moment. False:
  // the time is up.
  bool WaitWritable(int timeout_ms) const;

 private:
  enum class Kind { kFile, kNonBlocking, kSocket, kMayBlock };

  // A path such as /dev/stdout may lead to a socket of this process. It cannot be opened, so this duplicates the
  // socket.
  Status OpenOwnSocket(const char* path);
  static Status Duplicate(int fd, int* own, struct stat* info);
  Status Adopt(int fd, Kind kind, const struct stat& info);
  bool TakeTurn();
  // SettleInterrupted without the turn.
  bool FindWritten(const char* bytes, size_t count, size_t* out);
  size_t WriteAll(const char* bytes, size_t count, Status* status);
  ssize_t WriteOnce(const char* bytes, size_t count);

  int fd_ = -1;
  Kind kind_ = Kind::kFile;
  bool needs_newline_ = false;
  bool follows_path_ = false;
  bool is_pipe_ = false;
  BlockingDescriptor blocking_;  // for kMayBlock
  bool is_amid_line_ = false;    // this sink has written a part of a line, and the rest is still to come
  std::atomic<bool> lacks_turn_{false};
  SinkTurn turn_;
  off_t end_ = 0;
  off_t began_at_ = 0;  // where the file ended when Write began
  off_t cut_at_ = 0;    // where the file ended after it took a part of a line; 0: it ends after a whole line
  dev_t device_ = 0;
  ino_t inode_ = 0;
  char path_[PATH_MAX] = {};
};

}  // namespace vmm
