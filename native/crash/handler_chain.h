// A ChainEntry is one call of our handler for one signal. It tells how many calls of our handler for the same signal
// are already on the stack.
//
// A host's handler above ours calls ours. If ours is also installed above that same handler, ours calls it too. Without
// a count, the two would call each other until the stack is used up. The kernel makes one context for a signal, and
// every handler in the chain gets it, so each call of our handler puts a link into the context, in `uc_link`. The
// kernel clears `uc_link` for each signal that it delivers, and ignores it when the handler returns. So a handler that
// left by siglongjmp() leaves no link behind: the next signal begins without links.
//
//   context.uc_link ──► link of the innermost call ──► … ──► link of the outermost call ──► null
//
// Other copies of this library put their links into the same chain; `owner` tells whose a link is.
//
// Thread-safety:       any thread; an entry belongs to the thread that made it.
// Async-signal-safety: safe; it touches only the stack of its thread.
// Lifetime:            the call of the handler; the destructor removes the link. A forked child has its own copy.

#pragma once

namespace vmm {

class ChainEntry {
 public:
  // `context` is the third argument of the handler. Null: the depth is unknown, and depth() is 0.
  explicit ChainEntry(void* context);
  ~ChainEntry();
  ChainEntry(const ChainEntry&) = delete;
  ChainEntry& operator=(const ChainEntry&) = delete;

  // How many other calls of our handler for this signal have not returned yet.
  int depth() const { return depth_; }

 private:
  // Copies of different versions read each other's links, so this layout never changes.
  struct Link {
    const void* owner;
    const Link* older;
  };

  Link link_ = {};
  void* context_ = nullptr;
  void* before_ = nullptr;
  int depth_ = 0;
};

}  // namespace vmm
