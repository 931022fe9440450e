// Recoveries are the last lines of earlier lives of a region file, on their way to the sink that those lives had: each
// goes out whole before any line of the store's own, and is committed in the dead region that it comes from. Whoever
// finds that region when this process died in the middle sees a line in flight, and settles it like any other.
//
// Made by Add, before the flusher that takes them has a sink; then the flusher sends them, in the order in which they
// were added.
//
// Thread-safety:       one thread at a time; the flusher's phase sees to it. is_empty may be asked by any thread.
// Async-signal-safety: FinishSent, Restart, HasCut, EndCut and is_partly_sent are safe; the rest is not.
// Lifetime:            each keeps its region file open and locked until its line is out, or Close.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "flush/sink.h"
#include "region/format.h"

namespace vmm {

struct RecoverySpec {
  // The dead region, open for writing and locked by LockFile. It is duplicated: the caller closes its own.
  int file = -1;
  // What RegionHeader::commit is once the line is out. Its bank has the line's values already.
  uint64_t commit = 0;
  // The line with its newline; copied.
  const char* text = "";
  size_t text_bytes = 0;
  // RegionHeader::line as it is now, and whether that says that a line of the dead process is in flight.
  const void* record = nullptr;
  bool has_line = false;
  // The region's path: it is removed there when the line is out. Empty: it stays.
  const char* remove_path = "";
};

class Recoveries {
 public:
  Recoveries() = default;
  ~Recoveries();
  Recoveries(const Recoveries&) = delete;
  Recoveries& operator=(const Recoveries&) = delete;

  // kMemory, kLock: it is not added, and the file is as it was.
  Status Add(const RecoverySpec& spec);
  // Takes over what `other` has. Before anybody else knows of this one.
  void Take(Recoveries* other);

  bool is_empty() const { return first_.load(std::memory_order_relaxed) == nullptr; }  // publishes nothing
  bool is_partly_sent() const;

  // Whether half a line is in this sink, a pipe, of a life whose line is still to come: what goes there next must not
  // be taken for the other half.
  bool HasCut(const Sink& sink) const;
  // Something of the next line is out, behind a newline: says so in the files, so that nobody puts another one there.
  void EndCut(const Sink& sink);

  // Sends all that the sink takes, in order. Not ok: one is left, and `status` says why; nothing else may go out when
  // it is partly sent.
  Status Send(Sink& sink);
  // The rest of the one that is partly sent, and no other: for a crash handler.
  Status FinishSent(Sink& sink);
  // What was sent of a line is in a file that is no longer the sink: it begins again.
  void Restart();

  // Lets go of the files. What is not out is still pending there.
  void Close();

 private:
  struct Recovery;

  Status SendFirst(Recovery& recovery, Sink& sink);
  bool Begin(Recovery& recovery, const Sink& sink) const;
  static void AbandonAll();

  std::atomic<Recovery*> first_{nullptr};  // that is not out; the flusher's phase publishes what it points to
  Recovery* oldest_ = nullptr;             // of all, those that are out too: their memory goes with this
  Recovery* newest_ = nullptr;
};

}  // namespace vmm
