// Two numbers of the calling thread, and a mark that holds one of them.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe. Neither number is cached: a cache would be a thread_local, whose first use in a dlopened
//                      library may allocate.

#pragma once

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace vmm {

// The kernel's number of the thread, gettid(2); never 0. Older C libraries have no wrapper for the call.
inline pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// The C library's number of the thread; never 0. It needs no system call, and a forked child has the same number.
inline uintptr_t ThreadHandle() { return reinterpret_cast<uintptr_t>(reinterpret_cast<void*>(pthread_self())); }

// While a ThreadMark lives, `mark` holds the calling thread's ThreadHandle; afterwards it holds 0. Relaxed: a thread
// looks only for itself, so the mark publishes nothing.
class ThreadMark {
 public:
  explicit ThreadMark(std::atomic<uintptr_t>& mark) : mark_(mark) { mark_.store(ThreadHandle(), std::memory_order_relaxed); }
  ~ThreadMark() { mark_.store(0, std::memory_order_relaxed); }
  ThreadMark(const ThreadMark&) = delete;
  ThreadMark& operator=(const ThreadMark&) = delete;

 private:
  std::atomic<uintptr_t>& mark_;
};

}  // namespace vmm
