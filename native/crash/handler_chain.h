// A ChainEntry is one signal on its way through the handlers of this process, from the first call of our handler until
// it returns.
//
// A host's handler that stands above ours hands on to us, and we may have been put above it again: then our handler
// calls it, it calls our handler, and without an end to that the stack is used up. The context that the kernel made for
// the signal is the same all the way down, so each call of our handler leaves a link there, in `uc_link`: the kernel
// clears it for each signal that it delivers, and does not look at it when the handler returns. So a handler that left
// by siglongjmp() is not taken for one that is still at it: the next signal begins without links.
//
//   context.uc_link ──► link of the innermost call ──► … ──► link of the outermost call ──► null
//
// Other copies of this library link themselves in alike: `owner` tells whose a link is.
//
// Thread-safety:       any thread; an entry belongs to the thread that made it.
// Async-signal-safety: safe; it touches the stack of its thread alone.
// Lifetime:            of the call that it stands for; it takes its link out again. A forked child has its own.

#pragma once

namespace vmm {

class ChainEntry {
 public:
  // `context` is the third argument of the handler. Null: nothing can be told, and the entry has depth 0.
  explicit ChainEntry(void* context);
  ~ChainEntry();
  ChainEntry(const ChainEntry&) = delete;
  ChainEntry& operator=(const ChainEntry&) = delete;

  // How often our handler is running for this very signal already.
  int depth() const { return depth_; }

 private:
  // Copies of different versions read one another's.
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
