// The ProfileOutputs are the files that the profiles of this process write to. Two profiles never share a file: the
// second one would empty it, or mix its rows with those of the first. A profile whose last write hangs keeps its file
// until that write returns, however long after the profile's end.
//
// Thread-safety:       any thread.
// Async-signal-safety: none.
// Lifetime:            per process.

#pragma once

#include "flush/sink.h"

namespace vmm {

class ProfileOutputs {
 public:
  // False: another profile has the file. Only regular files are kept apart; anything else is granted, and not noted.
  static bool Take(const Sink::Position& file);
  static void GiveBack(const Sink::Position& file);
};

}  // namespace vmm
