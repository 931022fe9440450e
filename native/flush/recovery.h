// Recoveries are the last lines of earlier lives of a store: processes that had the same region file and died with
// pending deltas. These lines go to the sink that those processes had. Each one goes out whole, and before any line of
// the new store. It is then committed in the dead region that it comes from. If this process dies in the middle, a
// reader of that region finds a line in flight, and settles it like any other.
//
// Add makes them, before the store has a sink. Then a LineSender takes them, and sends them in the order of Add.
//
// Thread-safety:       one thread at a time: before Take the owner's thread, after it the thread that has the
//                      LineSender's phase. Any thread may call is_empty.
// Async-signal-safety: FinishSent, Restart, HasHalfLineIn, EndHalfLineIn and is_partly_sent are safe; the others are
//                      not.
// Memory ordering:     relaxed: the LineSender's phase publishes everything here.
// Lifetime:            each recovery keeps its region file open and locked until its line is out, or until Close.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "flush/sink.h"
#include "region/format.h"

namespace vmm {

struct RecoverySpec {
  // The dead region, open for writing and locked by LockFile. Add duplicates it, and the caller closes the original.
  int file = -1;
  // The value that RegionHeader::commit gets when the line is out. Its bank already holds the values of the line.
  uint64_t commit = 0;
  // The line with its newline; Add copies it.
  const char* text = "";
  size_t text_bytes = 0;
  // RegionHeader::line as it is now, and whether a line of the dead process is in flight there.
  const void* record = nullptr;
  bool has_line = false;
  // The region's path, which is removed when the line is out. Empty: nothing is removed.
  const char* remove_path = "";
};

class Recoveries {
 public:
  Recoveries() = default;
  ~Recoveries();
  Recoveries(const Recoveries&) = delete;
  Recoveries& operator=(const Recoveries&) = delete;

  // kMemory, kLock: nothing was added, and the file is unchanged.
  Status Add(const RecoverySpec& spec);
  // Takes over the recoveries of `other`, before any other thread knows of this object.
  void Take(Recoveries* other);

  bool is_empty() const { return First() == nullptr; }
  // Whether a part of a recovery's line is out.
  bool is_partly_sent() const;

  // Whether an earlier life has left half a line in this pipe, and its recovery is still to come. Then a newline must
  // go first, so that the next line is not read as the other half.
  bool HasHalfLineIn(const Sink& sink) const;
  // A newline and a part of the next line are out: notes in the region files that the half line is ended.
  void EndHalfLineIn(const Sink& sink);

  // Sends the recoveries in order, as many as the sink takes. Not ok: some are left. If the first of these is partly
  // sent, nothing else may go out.
  Status Send(Sink& sink);
  // Sends the rest of the recovery that is partly sent, and no other. For a crash handler.
  Status FinishSent(Sink& sink);
  // The part of a line that was sent is in a file that is no longer the sink: that line will be sent again from its
  // beginning.
  void Restart();

  // Closes the files. A line that is not out stays pending in its file.
  void Close();

 private:
  struct Recovery;

  Status SendFirst(Recovery& recovery, Sink& sink);
  bool Begin(Recovery& recovery, const Sink& sink) const;
  static void AbandonAll();
  // Relaxed, as every store to `first_`: the phase publishes the recovery that `first_` points to.
  Recovery* First() const { return first_.load(std::memory_order_relaxed); }

  std::atomic<Recovery*> first_{nullptr};  // the first that is not out
  Recovery* oldest_ = nullptr;             // the first of all: the memory of those that are out is freed with this
  Recovery* newest_ = nullptr;
};

}  // namespace vmm
