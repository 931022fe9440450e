// The ways to die: after each, the process has died as it would without capture, and its last line is out.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "crash/capture.h"
#include "crash_scene.h"
#include "line_reader.h"

namespace vmm {
namespace {

// The frames are so large that the stack ends before a sanitizer's own stack does.
__attribute__((noinline)) int UseUpTheStack(volatile char* caller) {
  volatile char frame[16384];
  frame[0] = frame[16383] = caller == nullptr ? 0 : *caller;
  return frame[0] == 0 ? UseUpTheStack(frame) + frame[16383] : 0;  // always 0, but the compiler does not know that
}

template <int kSignal>
constexpr Way Raise() {
  return {"raise", kSignal, [] { raise(kSignal); }};
}

TEST("given a captured store, when the process dies in any way, then the signal is the same, and one last line counts it") {
  const Way ways[] = {
    Raise<SIGSEGV>(),
    Raise<SIGBUS>(),
    Raise<SIGILL>(),
    Raise<SIGFPE>(),
    Raise<SIGABRT>(),
    Raise<SIGSYS>(),
    Raise<SIGTRAP>(),
    Raise<SIGTERM>(),
    Raise<SIGHUP>(),
    {"a real fault", SIGSEGV, Fault},
    {"abort", SIGABRT, std::abort},
    {"kill from outside", SIGSEGV, [] { kill(getpid(), SIGSEGV); }},
    {"a fault on another thread", SIGSEGV, [] { std::thread(Fault).join(); }},
    {"an abort on another thread", SIGABRT, [] { std::thread(std::abort).join(); }},
    {"an exception that nobody catches", SIGABRT, [] { std::thread([] { throw 1; }).join(); }},
#if defined(__x86_64__)
    {"an illegal instruction", SIGILL, [] { asm volatile("ud2"); }},
    {"a division by zero", SIGFPE,
     [] {
       asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx");
     }},
    {"a breakpoint", SIGTRAP, [] { asm volatile("int3"); }},
#endif
  };
  for (const Way& way : ways) {
    const int failed = check::failed;
    Scene scene;
    const Death death = InChild([&] {
      scene.Capture();
      scene.Add(5);
      CHECK_EQ(scene.Flush(), FlushResult::kOut);
      scene.Add(6);
      way.die();
    });
    CHECK_EQ(death.signal, way.signal);
    CHECK_EQ(death.exit_code, 0);
    scene.CheckLastLine(way.signal, 1);
    const Lines lines = scene.lines();
    CHECK_EQ(lines.Sum("g.i"), 11);
    if (check::failed != failed) std::printf("  %s, signal %d\n", way.what, way.signal);
  }
}

TEST("given a truncated mapping of the host, when it is read, then SIGBUS with a last line") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    const int fd = static_cast<int>(memfd_create("host", MFD_CLOEXEC));
    CHECK_EQ(ftruncate(fd, 4096), 0);
    volatile char* memory = static_cast<char*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
    CHECK_EQ(ftruncate(fd, 0), 0);
    static_cast<void>(*memory);
  });
  CHECK_EQ(death.signal, SIGBUS);
  scene.CheckLastLine(SIGBUS);
}

TEST(
    "given a thread that claimed a shard, when its stack is used up, then SIGSEGV with a last line, sent on the alternate "
    "stack") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    std::thread([&] {
      vmm_metrics_store native = {&scene.store->abi()};
      vmm_metrics_shard shard;
      CHECK_EQ(vmm_metrics_claim(&native, &shard), VMM_METRICS_OK);
      UseUpTheStack(nullptr);
    }).join();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  scene.CheckLastLine(SIGSEGV);
}

TEST("given a crash, when its record is read, then it holds signal, code, address, thread and time") {
  Scene scene;
  void* memory = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int64_t before_ns = RealtimeNs();
  const pid_t child = StartChild([&] {
    scene.Capture();
    static_cast<volatile char*>(memory)[123] = 1;
  });
  CHECK_EQ(Await(child, kChildLimitMs, [] {}).signal, SIGSEGV);
  const CrashRecord& record = scene.record();
  CHECK_EQ(record.signal.load(), SIGSEGV);
  CHECK_EQ(record.code, SEGV_ACCERR);
  CHECK_EQ(record.address, reinterpret_cast<uint64_t>(memory) + 123);
  CHECK_EQ(record.thread_id, child);
  CHECK(record.realtime_ns >= before_ns && record.realtime_ns < before_ns + 60'000'000'000);
  munmap(memory, 4096);
}

TEST("given two stores, when the process dies, then each has its own last line") {
  Scene first("first"), second("second");
  const Death death = InChild([&] {
    first.Capture();
    second.Capture();
    first.Add(5);
    second.Add(7);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  first.CheckLastLine(SIGSEGV);
  second.CheckLastLine(SIGSEGV);
  CHECK_EQ(first.lines().Sum("g.i"), 5);
  CHECK_EQ(second.lines().Sum("g.i"), 7);
}

TEST("given a store without a sink, when the process dies, then its region has the record, and another store has its last line") {
  Scene without("without"), with("with");
  const Death death = InChild([&] {
    CHECK(without.store->CaptureSignals().ok());
    with.Capture();
    without.Add(3);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  CHECK_EQ(without.record().signal.load(), SIGSEGV);
  CHECK_EQ(without.Pending("g.i"), 3);
  CHECK_EQ(without.Total("signals.segv"), 1);
  with.CheckLastLine(SIGSEGV);
}

TEST("given eight threads that crash at once, when the process dies, then there is one last line, of the signal that killed it") {
  for (int round = 0; round < 4; round++) {
    Scene scene;
    const Death death = InChild([&] {
      scene.Capture();
      std::atomic<int> ready{0};
      std::vector<std::thread> threads;
      for (int t = 0; t < 8; t++) {
        threads.emplace_back([&, t] {
          scene.Add(1);
          ready++;
          while (ready < 8) std::this_thread::yield();
          t % 2 == 0 ? Fault() : std::abort();
        });
      }
      for (std::thread& thread : threads) thread.join();
    });
    CHECK(death.signal == SIGSEGV || death.signal == SIGABRT);
    scene.CheckLastLine(death.signal);
    CHECK_EQ(scene.lines().Sum("g.i"), 8);
  }
}

TEST("given a fault inside the handler, when it occurs, then the process still dies, with the lines that were already out") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    // A target whose line sender is in memory without access rights.
    static CaptureTarget broken;
    broken.cells = &scene.store->cells();
    broken.sender = const_cast<LineSender*>(reinterpret_cast<const volatile LineSender*>(Forbidden()));
    CHECK(Capture(&broken).ok());
    scene.Add(5);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  scene.CheckLastLine(SIGSEGV);  // the scene was captured before the broken target
}

TEST(
    "given a thread that blocks a signal, when its own instruction raises that signal, then the kernel calls no handler, and "
    "there is no line") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  CHECK_EQ(scene.lines().count(), 0);
}

}  // namespace
}  // namespace vmm
