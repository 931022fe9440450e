// Two numbers of the calling thread.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe. Neither number is cached: a cache would be a thread_local, whose first use in a dlopened
//                      library may allocate.

#pragma once

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>

namespace vmm {

// The kernel's number of the thread, gettid(2); never 0. Older C libraries have no wrapper for the call.
inline pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// The C library's number of the thread; never 0. It needs no system call, and a forked child has the same number.
inline uintptr_t ThreadHandle() { return reinterpret_cast<uintptr_t>(reinterpret_cast<void*>(pthread_self())); }

}  // namespace vmm
