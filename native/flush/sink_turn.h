// A SinkTurn keeps lines whole when several stores of this process write to the same place: a pipe, file, terminal or
// socket. A store begins a line there only if no other store has a half-sent line there. A place is known by device
// and inode, or by the device number of a terminal, so duplicated descriptors, links, and a pipe that was opened twice
// are the same place. /dev/null and similar devices need no turns.
//
//   free ──Take──► writing ──Pass, all is out──► free
//                    │  ▲
//     Pass, a part is out; Take by the same store
//                    ▼  │
//                 half sent: no other store can take the turn
//
// Thread-safety:       one thread at a time for each SinkTurn; any thread may call IsOthers and LetOtherFinish.
// Async-signal-safety: Register, Unregister and LetOtherFinish are not safe. The others are: they wait for no lock
//                      longer than a fixed time.
// Memory ordering:     Pass and Leave release, and Take acquires. This publishes the bytes that were written, and
//                      whether the place ends in half a line.
// Lifetime:            places are per process. A SinkTurn leaves its place before it ends. In a forked child all turns
//                      are free.

#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flush/line_finishers.h"

namespace vmm {

struct TurnPlace;

class SinkTurn {
 public:
  SinkTurn() = default;
  SinkTurn(const SinkTurn&) = delete;
  SinkTurn& operator=(const SinkTurn&) = delete;

  // Before this call, the functions below do nothing, and Take always succeeds. While this store has a half-sent line,
  // the threads of other stores call `finish(store)`, see LineFinishers.
  void Register(FinishLine finish, void* store);
  // When it returns, no `finish` is under way.
  void Unregister();

  // Joins the place that `info` describes, and leaves the one that was joined before.
  void Join(const struct stat& info);
  // A half-sent line stays in the place, and the next line there begins with a newline. `is_gone`: the half was removed
  // from the place, so it causes no newline.
  void Leave(bool is_gone = false);
  // The half-sent line was removed from the place, which stays joined.
  void Drop();

  // Takes the turn to write. Waits up to kTakeMs for a store that is in the middle of a write. False: another store has
  // a half-sent line, or its write takes longer.
  bool Take();
  // After each Take. `is_begun`: a part of a line is out. `is_whole`: all of it is.
  void Pass(bool is_begun, bool is_whole);

  // Whether the place ends in half a line that no store will finish. Only the store that has the turn may call this.
  bool needs_newline() const;
  // Whether another store has joined the same place.
  bool is_shared() const;

  // Whether another store has the turn now.
  bool IsOthers() const;
  // Asks the store with the half-sent line to send the rest. False: that store still has the turn.
  bool LetOtherFinish() const;

 private:
  static constexpr int kTakeMs = 100;

  uint32_t number_ = 0;  // see LineFinishers::Add; 0: not registered
  // Relaxed: places are static, and a thread that reads it while another one joins may get either answer.
  std::atomic<TurnPlace*> place_{nullptr};
};

}  // namespace vmm
