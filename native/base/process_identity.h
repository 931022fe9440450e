// A ProcessIdentity tells a process from every other process that had, has or will have the same process id on this
// machine. A region file contains the ProcessIdentity of its writer.
//
// Thread-safety:       any thread.
// Async-signal-safety: none; it reads files.

#pragma once

#include <cstdint>

namespace vmm {

struct ProcessIdentity {
  int32_t process_id = 0;         // in the process's own PID namespace
  uint64_t start_ticks = 0;       // clock ticks from boot to the start of the process; 0 without /proc
  int64_t start_realtime_ns = 0;  // the start by the wall clock, exact to a tick
  char boot_id[40] = {};          // the kernel's boot id, NUL-padded; empty without /proc
};

// The identity of the calling process.
ProcessIdentity ThisProcess();

}  // namespace vmm
