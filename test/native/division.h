// A division by zero, and a handler that continues after it.
//
// Thread-safety:       any thread.
// Async-signal-safety: safe.

#pragma once

#include <signal.h>
#include <ucontext.h>

namespace vmm {

// Raises SIGFPE on processors that fault on a division by zero. On others nothing happens.
inline void DivideByZero() {
#if defined(__x86_64__)
  asm volatile("xorl %%ecx, %%ecx; movl $1, %%eax; cltd; idivl %%ecx" ::: "eax", "ecx", "edx", "memory");
#endif
}

// A handler of SIGFPE: the thread continues after the division.
inline void SkipDivision(int, siginfo_t*, void* context) {
#if defined(__x86_64__)
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] += 2;  // the length of `idivl %ecx`
#else
  (void)context;
#endif
}

}  // namespace vmm
