// A ProcessNumber tells what belongs to this process from what a forked child has only a copy of: threads do not come
// along.
//
// Thread-safety:       any thread.
// Async-signal-safety: IsOwn is safe; Own is not.
// Lifetime:            per process, and handed on to forked children, where the numbers of their ancestors are not
//                      their own.

#pragma once

#include <cstdint>

namespace vmm {

class ProcessNumber {
 public:
  // This process's; never 0.
  static uint32_t Own();

  static bool IsOwn(uint32_t number);
};

}  // namespace vmm
