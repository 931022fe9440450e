// Status is how the native library reports an operating failure: what failed, and the system's errno.
// Thread-safety:       a plain value.
// Async-signal-safety: safe; allocates nothing.

#pragma once

namespace vmm {

enum class Code {
  kOk,
  kMemory,    // mapping or allocating memory for cells
  kOpen,      // opening a sink
  kWrite,     // writing to a sink
  kThread,    // starting a thread
  kRegion,    // making or naming the region's file
  kForeign,   // the region's file is none of ours: `syscall` says what it is instead
  kBusy,      // the region's file is another process's
  kFull,      // no room for more cells
  kTaken,     // a device's line key is another's
  kCrashing,  // the process is dying; the crash handler has the last line
  kLock       // asking for the lock of a file
};

struct Status {
  Code code = Code::kOk;
  int error = 0;             // errno
  const char* syscall = "";  // a literal
  bool ok() const { return code == Code::kOk; }
};

}  // namespace vmm
