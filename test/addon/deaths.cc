// Ways for a VMM to die in native code, each for real: die(how, where).

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "addon.h"
#include "ledger.h"

namespace {

#pragma GCC diagnostic ignored "-Winfinite-recursion"

// Uses the stack in small steps, so that the overflow ends at the edge of the guard page. After a deeper overflow, a
// signal handler's frame could reach over the guard page into the memory below, and a thread without an alternate stack
// would run its handler there.
int Recurse(volatile char* above) {
  volatile char frame[32];
  frame[0] = above[0];
  return Recurse(frame) + frame[0];  // not a tail call
}

// A file of guest memory that is truncated while mapped.
void ReadTruncatedMapping() {
  char path[] = "/tmp/vmm-metrics-guest-XXXXXX";
  const int fd = mkstemp(path);
  unlink(path);
  if (ftruncate(fd, 4096) != 0) abort();
  volatile char* memory = static_cast<volatile char*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
  if (ftruncate(fd, 0) != 0) abort();
  (void)memory[0];
}

// Forbids this thread a system call that nothing else uses, and makes the call.
void CallForbidden(uint32_t verdict) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getitimer, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, verdict),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(99);
  syscall(SYS_getitimer, 0, nullptr);
}

// The host writes a file of its own beyond the limit on file sizes.
void WritePastFileLimit() {
  constexpr rlim_t kLimitBytes = 1 << 20;
  char path[] = "/tmp/vmm-metrics-log-XXXXXX";
  const int fd = mkstemp(path);
  unlink(path);
  const rlimit limit = {kLimitBytes, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &limit);
  if (pwrite(fd, "x", 1, kLimitBytes) > 0) _exit(99);
  close(fd);
}

void WriteToBrokenPipe() {
  int ends[2];
  if (pipe(ends) != 0) _exit(99);
  close(ends[0]);
  if (write(ends[1], "x", 1) > 0) _exit(99);
  close(ends[1]);
}

// Exceeds a limit on CPU time: SIGXCPU after the first second, SIGKILL after the second.
void BurnCpu() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const rlim_t now_s = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
  const rlimit limit = {now_s + 1, now_s + 2};
  setrlimit(RLIMIT_CPU, &limit);
  for (volatile uint64_t n = 0;; n = n + 1) {
  }
}

}  // namespace

void Die(const std::string& how) {
  MarkFault();
  if (how == "null") {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
  } else if (how == "overflow") {
    char start = 0;
    Recurse(&start);
  } else if (how == "illegal") {
#if defined(__aarch64__)
    asm volatile(".inst 0");  // __builtin_trap() is a breakpoint there
#else
    __builtin_trap();
#endif
  } else if (how == "divide") {
#if defined(__aarch64__)
    raise(SIGFPE);  // a division by zero gives 0 there
#else
    volatile int zero = 0, some = 7;  // the compiler would replace the division of a constant
    volatile int result = some / zero;
    (void)result;
#endif
  } else if (how == "truncated") {
    ReadTruncatedMapping();
  } else if (how == "abort") {
    abort();
  } else if (how == "exit") {
    std::exit(8);
  } else if (how == "terminate") {
    std::terminate();
  } else if (how == "double-free") {
    void* volatile memory = malloc(24);
    void* volatile again = memory;
    free(memory);
    free(again);
  } else if (how == "seccomp") {
    CallForbidden(SECCOMP_RET_TRAP);
  } else if (how == "seccomp-kill") {
    CallForbidden(SECCOMP_RET_KILL_PROCESS);
  } else if (how == "file-limit") {
    WritePastFileLimit();
  } else if (how == "broken-pipe") {
    WriteToBrokenPipe();
  } else if (how == "cpu-limit") {
    BurnCpu();
  } else if (how.rfind("raise:", 0) == 0) {
    raise(atoi(how.c_str() + 6));
  }
}

namespace {

// die(how, where, delayUs): with a delay, another thread dies after the delay, and the caller goes on.
napi_value DieHere(napi_env env, napi_callback_info info) {
  const std::string how = StringArgument(env, info, 0);
  const std::string where = StringArgument(env, info, 1);
  const long delay_us = static_cast<long>(NumberArgument(env, info, 2));
  const auto die = [how, delay_us] {
    const timespec delay = {delay_us / 1'000'000, delay_us % 1'000'000 * 1000};
    nanosleep(&delay, nullptr);
    Die(how);
  };
  std::thread thread;
  if (where == "thread") {
    thread = std::thread(die);
  } else if (where == "attached") {
    // The thread has claimed a shard, and so has an alternate stack.
    thread = std::thread([die] {
      const vmm_metrics::Shard shard(AttachedStore());
      die();
    });
  } else if (where == "claimed-twice") {
    // The thread has given one of its two claims back.
    thread = std::thread([die] {
      auto first = std::make_unique<vmm_metrics::Shard>(AttachedStore());
      const vmm_metrics::Shard second(AttachedStore());
      first.reset();
      die();
    });
  } else if (where == "pool") {
    // A thread of libuv's pool, which dies while the event loop goes on.
    struct Work {
      std::function<void()> die;
      napi_async_work work;
    };
    Work* work = new Work{die, nullptr};
    napi_create_async_work(
        env, nullptr, Text(env, "die"), [](napi_env, void* data) { static_cast<Work*>(data)->die(); },
        [](napi_env, napi_status, void*) {}, work, &work->work);
    napi_queue_async_work(env, work->work);
  } else {
    Die(how);
  }
  if (thread.joinable()) delay_us > 0 ? thread.detach() : thread.join();
  return nullptr;
}

// dieTogether(how, ...): one thread for each `how`; all die at the same time.
napi_value DieTogether(napi_env env, napi_callback_info info) {
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; i++) {
    threads.emplace_back([&ready, how = StringArgument(env, info, i)] {
      ready.fetch_add(1);
      while (ready.load() < 8) {
      }
      Die(how);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return nullptr;
}

// slowWrite(ms, signal): the next line stays half written for `ms`, and its writer gets the signal meanwhile; see
// slow_write.cc.
napi_value SlowWrite(napi_env env, napi_callback_info info) {
  const auto arm = reinterpret_cast<void (*)(int, int)>(dlsym(RTLD_DEFAULT, "vmm_test_arm_slow_write"));
  if (arm == nullptr) _exit(99);
  arm(static_cast<int>(NumberArgument(env, info, 0)), static_cast<int>(NumberArgument(env, info, 1)));
  return nullptr;
}

// faultyWrite(percent): the writer of the next line has a fault after that part of the line.
napi_value FaultyWrite(napi_env env, napi_callback_info info) {
  const auto arm = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "vmm_test_arm_faulty_write"));
  if (arm == nullptr) _exit(99);
  arm(static_cast<int>(NumberArgument(env, info, 0)));
  return nullptr;
}

// awaitSlowWrite(): returns when a line is half written.
napi_value AwaitSlowWrite(napi_env, napi_callback_info) {
  const auto reached = reinterpret_cast<bool (*)()>(dlsym(RTLD_DEFAULT, "vmm_test_slow_write_reached"));
  if (reached == nullptr) _exit(99);
  while (!reached()) usleep(100);
  return nullptr;
}

}  // namespace

void DefineDeaths(napi_env env, napi_value exports) {
  Define(env, exports, "die", DieHere);
  Define(env, exports, "dieTogether", DieTogether);
  Define(env, exports, "slowWrite", SlowWrite);
  Define(env, exports, "faultyWrite", FaultyWrite);
  Define(env, exports, "awaitSlowWrite", AwaitSlowWrite);
}
