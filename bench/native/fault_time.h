// The time at which a process faulted, in a file that outlives the process.
//
// Thread-safety: any thread.
// Units:         nanoseconds of CLOCK_MONOTONIC.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "base/clock.h"

// Maps the first eight bytes of the file. Null on failure, with errno.
inline volatile int64_t* MapFaultTime(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* const shared = mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  close(fd);
  return shared == MAP_FAILED ? nullptr : static_cast<volatile int64_t*>(shared);
}

// Writes the time, and dereferences null.
[[noreturn]] inline void Fault(volatile int64_t* fault_ns) {
  volatile int* volatile nowhere = nullptr;
  *fault_ns = static_cast<int64_t>(vmm::MonotonicNs());
  *nowhere = 1;
  __builtin_trap();  // not reached; a null dereference is a SIGSEGV
}
