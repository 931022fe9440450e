// The OutputFiles are the files that profiles of this process write to: a second one there would empty it, or mix its
// rows in. One whose last write hangs is among them until that returns, however long after the profile's end.
//
// Thread-safety:       any thread.
// Async-signal-safety: none.
// Lifetime:            per process.

#pragma once

#include "flush/sink.h"

namespace vmm {

class OutputFiles {
 public:
  // False: somebody has it. Anything but a regular file is nobody's.
  static bool Take(const Sink::Place& place);
  static void GiveBack(const Sink::Place& place);
};

}  // namespace vmm
