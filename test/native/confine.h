// Confine lets this thread make no system call but those that docs/crash-safety.md tells a jailed host to allow to the
// crash handler.
//
// Thread-safety:       of the calling thread alone, and of those that it makes from then on.
// Async-signal-safety: none.

#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstdint>

namespace vmm {

struct CrashCall {
  const char* name;
  uint32_t number;
};

#define CRASH_CALL(name) \
  { #name, SYS_##name }
// As glibc makes them; both of two alike, whichever this machine's takes.
constexpr CrashCall kCrashCalls[] = {
    CRASH_CALL(getpid),         CRASH_CALL(gettid),          CRASH_CALL(rt_sigaction),
    CRASH_CALL(rt_sigprocmask), CRASH_CALL(rt_sigreturn),    CRASH_CALL(rt_tgsigqueueinfo),
    CRASH_CALL(write),          CRASH_CALL(newfstatat),      CRASH_CALL(tgkill),
    CRASH_CALL(clock_gettime),  CRASH_CALL(nanosleep),       CRASH_CALL(clock_nanosleep),
    CRASH_CALL(openat),         CRASH_CALL(close),           CRASH_CALL(fstat),
    CRASH_CALL(pread64),        CRASH_CALL(sendto),          CRASH_CALL(ppoll),
    CRASH_CALL(fcntl),          CRASH_CALL(rt_sigtimedwait), CRASH_CALL(mmap),
    CRASH_CALL(mremap),         CRASH_CALL(exit_group),      CRASH_CALL(pwrite64),
    CRASH_CALL(pwritev2),       CRASH_CALL(splice),          CRASH_CALL(read),
#if defined(SYS_poll)
    CRASH_CALL(poll),
#endif
};
#undef CRASH_CALL
constexpr size_t kCrashCallCount = sizeof(kCrashCalls) / sizeof(kCrashCalls[0]);

// Whatever is not among the first `allowed` of them gives `otherwise`, a SECCOMP_RET_...; false when there can be no
// filter here.
inline bool Confine(uint32_t otherwise, size_t allowed = kCrashCallCount) {
  sock_filter filter[2 * kCrashCallCount + 2];
  size_t count = 0;
  filter[count++] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  for (size_t i = 0; i < allowed; i++) {
    filter[count++] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kCrashCalls[i].number, 0, 1);
    filter[count++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
  filter[count++] = BPF_STMT(BPF_RET | BPF_K, otherwise);
  const sock_fprog program = {static_cast<unsigned short>(count), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace vmm
