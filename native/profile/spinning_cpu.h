// A SpinningCpu keeps a profile's writing thread off the processor on which the sampling thread spins. With fewer
// processors than busy threads, the scheduler would let the two threads share a processor. Then ticks would be missed
// while the writing thread runs, although the writing can wait.
//
// Thread-safety:       Begin and Note belong to the sampling thread, Avoid to the writing thread.
// Async-signal-safety: none.
// Memory ordering:     relaxed: hints that publish nothing.

#pragma once

#include <sys/types.h>

#include <atomic>

namespace vmm {

class SpinningCpu {
 public:
  // Notes that the calling thread is the sampling thread.
  void Begin();
  // Notes the processor on which the calling thread runs now, and spins.
  void Note();

  // Moves the calling thread to the other processors that the sampling thread may use. Does nothing if no processor has
  // been noted since the last call.
  void Avoid();

 private:
  std::atomic<pid_t> thread_{0};
  std::atomic<int> cpu_{-1};  // -1: not noted; a sampling thread that sleeps never notes one
  int avoided_ = -1;          // the writing thread's own
};

}  // namespace vmm
