// Confine allows this thread only the system calls of the crash handler. docs/crash-safety.md lists them for hosts in a
// jail.
//
// Thread-safety:       applies to the calling thread and to threads that it starts later.
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
// The system calls that the C library makes. Where versions of glibc use different calls for one function, both calls
// are listed. musl makes older calls where the architecture has them.
constexpr CrashCall kCrashCalls[] = {
    CRASH_CALL(getpid),       CRASH_CALL(gettid),
    CRASH_CALL(rt_sigaction), CRASH_CALL(rt_sigprocmask),
    CRASH_CALL(rt_sigreturn), CRASH_CALL(rt_tgsigqueueinfo),
    CRASH_CALL(write),        CRASH_CALL(newfstatat),
    CRASH_CALL(tgkill),       CRASH_CALL(clock_gettime),
    CRASH_CALL(nanosleep),    CRASH_CALL(clock_nanosleep),
    CRASH_CALL(openat),       CRASH_CALL(close),
    CRASH_CALL(fstat),        CRASH_CALL(pread64),
    CRASH_CALL(sendto),       CRASH_CALL(ppoll),
    CRASH_CALL(fcntl),        CRASH_CALL(rt_sigtimedwait),
    CRASH_CALL(mmap),         CRASH_CALL(mremap),
    CRASH_CALL(exit_group),   CRASH_CALL(pwrite64),
    CRASH_CALL(pwritev2),     CRASH_CALL(splice),
    CRASH_CALL(read),
#if defined(SYS_poll)
    CRASH_CALL(poll),
#endif
#if !defined(__GLIBC__) && defined(SYS_open)
    CRASH_CALL(open),         CRASH_CALL(stat),
    CRASH_CALL(lstat),
#endif
};
#undef CRASH_CALL
constexpr size_t kCrashCallCount = sizeof(kCrashCalls) / sizeof(kCrashCalls[0]);

// Allows the first `allowed` of these calls. Any other call gets `otherwise`, a SECCOMP_RET_... value. Returns false if
// the system refuses the filter.
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
