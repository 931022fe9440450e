// A ChainEntry is one signal on its way through the handlers of this process, from the first call of our handler until it
// returns.
//
// A host's handler that stands above ours hands on to us, and we may have been put above it again: then our handler calls it, it
// calls our handler, and without an end to that the stack is used up. The context that the kernel made for a signal is the same
// pointer all the way down, and tells the second call from the first.
//
// Thread-safety:       any thread; an entry belongs to the thread that made it.
// Async-signal-safety: safe; atomics in fixed memory only.
// Memory ordering:     relaxed, but for the exchange that claims a place. Only the thread whose signal it is compares equal to
// the context. Lifetime:            per process. A handler that leaves by siglongjmp() leaves its entry behind; the next signal
// that finds its frame
//                      at the same place or above it takes the entry over.

#pragma once

namespace vmm {

class ChainEntry {
 public:
  // `context` is the third argument of the handler. Null: nothing can be told, and the entry has depth 0.
  explicit ChainEntry(const void* context);
  ~ChainEntry();
  ChainEntry(const ChainEntry&) = delete;
  ChainEntry& operator=(const ChainEntry&) = delete;

  // How often our handler is running for this very signal already.
  int depth() const { return depth_; }

  // In a forked child: the entries of its parent's other threads are nobody's.
  static void ForgetAll();

 private:
  int place_ = -1;
  int depth_ = 0;
};

}  // namespace vmm
