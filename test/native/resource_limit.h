// A limit of this process on a resource, such as the size of a file (RLIMIT_FSIZE) or the address space (RLIMIT_AS).
//
// Thread-safety:       any thread; a limit belongs to the whole process, so a test sets it in a child.
// Async-signal-safety: none.

#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

namespace vmm {

// The limit can be raised again. A write beyond the limit on file sizes raises SIGXFSZ, whose default action kills.
inline void LimitResource(decltype(RLIMIT_FSIZE) resource, rlim_t most) {
  rlimit limit;
  CHECK_EQ(getrlimit(resource, &limit), 0);
  limit.rlim_cur = most;
  CHECK_EQ(setrlimit(resource, &limit), 0);
}

// Root has no limit on locked memory, nor on the number of processes. False: this process must stay root.
inline bool StopBeingRoot() { return getuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0); }

}  // namespace vmm
