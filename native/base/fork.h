// Which side of a fork this code runs on. A forked child has a copy of its parent's memory but none of the parent's
// threads, so stores, profiles and locks found in that copy still belong to the parent.
//
//   ForkMark        is set by one process, and later tells that process from its forked children
//   ForkGeneration  gives a process and each of its forked children a number, so that an object can name its process
//
// Both look at memory, not at the process id alone: in a PID namespace of its own, a child of PID 1 is also PID 1.
//
// Thread-safety:       ForkMark::Set is called by one thread at a time; the rest by any thread.
// Async-signal-safety: IsSameProcess and IsOwn are safe; Set and Own are not.
// Memory ordering:     see each operation. A mark publishes its own page and nothing else.
// Lifetime:            per process. The page of a mark is never unmapped, and a forked child inherits it.

#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace vmm {

class ForkMark {
 public:
  // Marks the calling process.
  void Set();

  // Whether the calling process is the one that last called Set.
  bool IsSameProcess() const {
    // Acquire: pairs with the release in Set, which publishes the page.
    const std::atomic<uint32_t>* not_forked = not_forked_.load(std::memory_order_acquire);
    // The process id is compared as well: a child of vfork() shares the memory of its parent. Relaxed, both: neither
    // value publishes anything.
    return process_.load(std::memory_order_relaxed) == getpid() &&
           (not_forked == nullptr || not_forked->load(std::memory_order_relaxed) != 0);
  }

 private:
  std::atomic<pid_t> process_{0};
  // Points to a 1 in a page that the kernel clears in a forked child. Null where the kernel has no such pages.
  std::atomic<const std::atomic<uint32_t>*> not_forked_{nullptr};
};

class ForkGeneration {
 public:
  // The number of this process; never 0. A forked child gets a new number when it first asks.
  static uint32_t Own();

  // Whether `number` is what Own() returned in this process, and not in an ancestor of this process.
  static bool IsOwn(uint32_t number) {
    return mark_.IsSameProcess() && latest_.load(std::memory_order_relaxed) == number;  // publishes nothing
  }

 private:
  static inline ForkMark mark_;  // set by the process that last got a number
  static inline std::atomic<uint32_t> latest_{0};
};

}  // namespace vmm
