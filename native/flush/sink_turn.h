// A SinkTurn keeps lines whole where several stores of this process write to one pipe, file, terminal or socket: a
// store begins a line there only when no other store has a line half sent. What is one and the same is known by device
// and inode (of a terminal or another device by its number), so that duplicates, links and a pipe that is opened twice
// count as one. /dev/null and the like need no turns.
//
//   free ──Take──► writing ──Pass, all is out──► free
//                    │  ▲
//     Pass, only half is out; Take by the same store
//                    ▼  │
//                   half sent: nobody else can take the turn
//
// Thread-safety:       one thread at a time for each SinkTurn; IsOthers and LetOtherFinish by any.
// Async-signal-safety: Join, Leave, Take, Pass, IsOthers, needs_newline and is_shared are safe: they take no lock that
// they would
//                      wait for without limit. Register, Unregister and LetOtherFinish are not.
// Memory ordering:     Take acquires what Pass and Leave released: the bytes, and whether the place ends in half a
//                      line.
// Lifetime:            per process. Who has joined leaves before its end. A forked child begins with all turns free.

#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flush/line_finishers.h"

namespace vmm {

struct SinkPlace;

class SinkTurn {
 public:
  SinkTurn() = default;
  SinkTurn(const SinkTurn&) = delete;
  SinkTurn& operator=(const SinkTurn&) = delete;

  // From now on this takes turns; without it all functions below do nothing, and each turn is had. `finish(store)` is
  // called by another store's thread while this one has a line half sent; it sends the tail if it can do so at once.
  void Register(FinishLine finish, void* store);
  // No `finish` is under way when it returns.
  void Unregister();

  // The turns of what `info` describes; a place that was joined before is left.
  void Join(const struct stat& info);
  // A line that is half sent stays so: the next line there begins with a newline, unless `is_gone` says that the half
  // is gone.
  void Leave(bool is_gone = false);
  // The half line is gone from the place, which stays joined.
  void Drop();

  // Takes the turn, to write. Waits, at most kTakeMs, for a store that is in the middle of a write. False: another
  // store has a line half sent, or its write takes longer.
  bool Take();
  // After each Take: whether any byte of a line is out since it was begun, and whether all of it.
  void Pass(bool is_begun, bool is_whole);

  // With the turn: whether the place ends in half a line that nobody will finish.
  bool needs_newline() const;
  // Whether another store has joined the same place.
  bool is_shared() const;

  // Whether another store has the turn just now.
  bool IsOthers() const;
  // Asks the store that has a line half sent to send the tail. False when that store still has the turn afterwards.
  bool LetOtherFinish() const;

 private:
  static constexpr int kTakeMs = 100;

  uint32_t number_ = 0;  // of this among all that ever registered; 0: not registered
  // Relaxed: whoever looks at it without being the one who joins only wants to know how things stand just now; places
  // are static.
  std::atomic<SinkPlace*> place_{nullptr};
};

}  // namespace vmm
