// LastSamples leads a crash handler to the output of a store's running profile. It is all that the handler knows of
// profiles: threads, locks and results are the Profiler's.
//
// Thread-safety:       Add and Remove by one thread at a time, under the profiler's lock; Send by any thread.
// Async-signal-safety: Send is safe; the others are not.
// Memory ordering:     see HandlerTable.
// Lifetime:            an output lives at least from Add until Remove returns true.

#pragma once

#include <cstdint>

#include "base/handler_gate.h"
#include "profile/profile_output.h"

namespace vmm {

class LastSamples {
 public:
  void Add(ProfileOutput* output) { outputs_.Add(output); }
  // After this, no handler finds the output. False: a handler that found it before still writes there, and may never
  // return; then the output must live for ever.
  bool Remove(const ProfileOutput* output);

  // For the crash handler of a dying process: writes the samples that are not written yet, see ProfileOutput::SendLast.
  void Send(int64_t deadline_ms);

 private:
  HandlerTable<ProfileOutput, 1> outputs_;
};

}  // namespace vmm
