// A ProcessMark tells the process that set it from a forked child of it, by the child's memory and not by its number
// alone: in a PID namespace of its own a child of PID 1 is PID 1 too.
//
// Thread-safety:       Set by one thread at a time; IsHere by any.
// Async-signal-safety: IsHere is safe; Set is not.
// Lifetime:            per process; a mark is never taken back, and its page is left to a parent.

#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace vmm {

class ProcessMark {
 public:
  // This process, from now on.
  void Set();

  // Whether this is the process that called Set last.
  bool IsHere() const {
    // Acquire: pairs with the release in Set.
    const std::atomic<uint32_t>* not_forked = not_forked_.load(std::memory_order_acquire);
    // The number too: a child of vfork() has the very memory of its parent.
    return process_.load(std::memory_order_relaxed) == getpid() &&
           (not_forked == nullptr || not_forked->load(std::memory_order_relaxed) != 0);
  }

 private:
  std::atomic<pid_t> process_{0};
  // 1, in a page that the kernel empties in a forked child. Null where the kernel does not.
  std::atomic<const std::atomic<uint32_t>*> not_forked_{nullptr};
};

}  // namespace vmm
