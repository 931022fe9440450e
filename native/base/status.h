// Status is how the native library reports an operating failure: what failed, the system's errno, and the call that
// set errno.
//
// Thread-safety:       a plain value.
// Async-signal-safety: safe; allocates nothing.

#pragma once

#include <errno.h>

namespace vmm {

// Each code means one thing. lib/failures.ts makes a MetricsError of each.
enum class Code {
  kOk,
  kMemory,           // there is no memory, or no disk space, for cells, lines or samples
  kOpen,             // a sink or an output cannot be opened
  kWrite,            // a line, or rows of a profile, did not get out whole
  kThread,           // a thread cannot be started
  kRegion,           // the region's file cannot be made, locked or renamed
  kWrongFile,        // the file must not be used for this: `reason` says why
  kBusy,             // another process uses the region's file
  kKeyTaken,         // the line has a key that equals the device's
  kTooManyDevices,   // the store has no entry for one more device
  kTooManyCells,     // the store has no cells for one more device
  kLineTooLong,      // the line would have no room for one more device
  kTooManyFiles,     // this process has as many region files open as can be guarded
  kTooManyCaptured,  // this process captures signals for as many stores as it can
  kAlreadyRunning,   // a profile of the store runs
  kInvalid,          // the caller broke the contract: a program that is not sound, a cell that does not exist
  kCrashing,         // the process is dying, and the crash handler writes the last line
  kLock,             // the lock of a file can be neither taken nor queried
  kNoStatistics      // the kernel gives no statistics of its VMs
};

struct Status {
  Code code = Code::kOk;
  int error = 0;             // errno; 0 where a limit was met and no call failed
  const char* syscall = "";  // a literal: the name of the call that failed, and nothing else; "" where none did
  const char* reason = "";   // a literal, for kWrongFile: a predicate of the file, such as "is a symbolic link"
  bool ok() const { return code == Code::kOk; }
};

inline Status WrongFile(const char* reason, int error = EINVAL) { return {Code::kWrongFile, error, "", reason}; }

}  // namespace vmm
