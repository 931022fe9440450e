// Which process this is, among all that ever had its number.
//
// Thread-safety:       any thread.
// Async-signal-safety: none; it reads files.

#pragma once

#include <cstdint>

namespace vmm {

struct ProcessIdentity {
  int32_t process_id = 0;         // as the process sees itself
  uint64_t start_ticks = 0;       // clock ticks from boot to its start; 0 where /proc is not there
  int64_t start_realtime_ns = 0;  // the same by the wall clock, to a tick
  char boot_id[40] = {};          // NUL-padded; empty where /proc is not there
};

ProcessIdentity ThisProcess();

}  // namespace vmm
