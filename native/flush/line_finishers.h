// The line finishers are the stores of this process that take turns at a sink. When the line of one store is half sent,
// another store that waits for the sink asks the first one, by its number, to send the rest.
//
// Thread-safety:       any thread.
// Async-signal-safety: none.
// Lifetime:            per process. A forked child begins without finishers: the stores are its parent's.

#pragma once

#include <cstdint>

namespace vmm {

// Sends the rest of `store`'s line, if it can do so at once.
using FinishLine = void (*)(void* store);

class LineFinishers {
 public:
  // Returns the store's number, which no other store of this process ever has. Never 0.
  static uint32_t Add(FinishLine finish, void* store);
  // When it returns, no call of `finish` is under way, and none follows.
  static void Remove(uint32_t number);

  // Calls the `finish` of the store with that number, if there still is one. False: another thread uses the list now,
  // and nothing was called. It never waits: a signal handler that calls exit() may have interrupted the very thread
  // that uses the list.
  static bool TryFinish(uint32_t number);
};

}  // namespace vmm
