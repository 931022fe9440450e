// A SpinningCpu keeps a profile's writing thread off the processor on which the sampling thread spins. With fewer
// processors than busy threads, the scheduler would let the two share one; whatever time the writing took there would
// be missed ticks, while the writing itself may well wait.
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
  // The calling thread is the one that samples.
  void Begin();
  // The calling thread spins on the processor that it runs on now.
  void Note();

  // Moves the calling thread to the other processors that the sampling thread may use. Does nothing while no processor
  // is noted, or none but the one that was avoided last.
  void Avoid();

 private:
  std::atomic<pid_t> thread_{0};
  std::atomic<int> cpu_{-1};  // -1: not noted; a sampling thread that sleeps never notes one
  int avoided_ = -1;          // the writing thread's own
};

}  // namespace vmm
