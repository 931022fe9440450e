// Crash: a process dies as it would have died, and before that its last line is out, whole and exact.
//
// Each test lets children die. The store is opened before the fork: the child shares its region, in which the parent
// then finds what is still pending and the crash record. The sink is the child's own.
//
// Invariant, after any death: there is no broken line, and the deltas in all lines and those pending are together what
// was added.

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "crash/capture.h"
#include "crash_scene.h"
#include "line_reader.h"
#include "region/region_guard.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// Frames so large that no sanitizer runs out of its own stack first.
__attribute__((noinline)) int UseUpTheStack(volatile char* caller) {
  volatile char frame[16384];
  frame[0] = frame[16383] = caller == nullptr ? 0 : *caller;
  return frame[0] == 0 ? UseUpTheStack(frame) + frame[16383] : 0;  // it is always 0, which the compiler does not know
}

struct Way {
  const char* what;
  int signal;
  void (*die)();
};

template <int kSignal>
constexpr Way Raise() {
  return {"raise", kSignal, [] { raise(kSignal); }};
}

TEST("given a captured store, when the process dies in any way, then it dies by that signal, with one last line that has it") {
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

TEST("given a truncated mapping of the host's own, when it is read, then SIGBUS with a last line") {
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

TEST("given a thread that claimed a shard, when its stack is used up, then SIGSEGV with a last line, from the alternate stack") {
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

TEST("given a crash, when its record is read, then it says signal, code, address, thread and time") {
  Scene scene;
  void* memory = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  timespec before;
  clock_gettime(CLOCK_REALTIME, &before);
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
  const int64_t before_ns = static_cast<int64_t>(before.tv_sec) * 1'000'000'000 + before.tv_nsec;
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

TEST("given a store without a sink, when the process dies, then its region has the record, and the other store its line") {
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

TEST("given eight threads that crash at once, when the process dies, then one last line, of the signal that it died by") {
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

TEST("given a last line that is slow to go out, when other threads crash meanwhile, then they wait for it") {
  Scene scene("crash", true);
  Fifo fifo(scene.folder / "fifo");
  std::string text;
  const pid_t child = StartChild([&] {
    scene.Capture(scene.folder / "fifo");
    for (int t = 0; t < 3; t++) {
      std::thread([] {
        SleepMs(20);
        std::abort();
      }).detach();
    }
    Fault();
  });
  const Death death = Await(child, kChildLimitMs, [&] {
    SleepMs(40);
    text += fifo.Take();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  for (std::string more; !(more = fifo.Take()).empty();) text += more;
  const Lines lines(text);
  scene.CheckExact(lines);
  CHECK_EQ(lines.tail, "");
  if (!CHECK_EQ(lines.count(), 1)) return;
  CHECK_EQ(lines.values[0].at("signals.segv"), 1);
  CHECK_EQ(lines.values[0].at("signals.abrt"), 0);
}

TEST("given a forked child, when it crashes, then it dies as it would, and its parent's metrics and sink are untouched") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    scene.Add(5);
    for (const bool real : {true, false}) {
      const Death inner = InChild([&] { real ? Fault() : std::abort(); });
      CHECK_EQ(inner.signal, real ? SIGSEGV : SIGABRT);
    }
    CHECK_EQ(TextOf(scene.folder / "f"), "");
    CHECK_EQ(scene.Total("signals.segv"), 0);
    CHECK_EQ(scene.record().signal.load(), 0);
    CHECK_EQ(scene.Flush(), FlushResult::kOut);
    scene.Add(6);
    if (check::failed == 0) Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  scene.CheckLastLine(SIGSEGV, 1);
  CHECK_EQ(scene.lines().Sum("g.i"), 11);
}

TEST(
    "given a forked child with the number of its parent, in a PID namespace of its own, when it crashes, then it is still no "
    "parent") {
  Scene scene;
  const Death death = InChild([&] {
    if (unshare(CLONE_NEWPID) != 0) _exit(3);
    const Death init = InChild([&] {
      scene.Capture();
      const uint32_t own = ForkGeneration::Own();
      if (unshare(CLONE_NEWPID) != 0) _exit(3);
      const pid_t child = StartChild([&] {
        CHECK_EQ(getpid(), 1);
        if (ForkGeneration::IsOwn(own)) _exit(4);
        Fault();
      });
      CHECK_EQ(getpid(), 1);
      CHECK(ForkGeneration::IsOwn(own));
      CHECK_EQ(Await(child, kChildLimitMs, [] {}).signal, SIGSEGV);
    });
    CHECK_EQ(init.signal, 0);
    if (init.exit_code != 0) _exit(init.exit_code);
  });
  const bool can = death.exit_code != 3;
  if (!can) std::printf("  no PID namespace can be made here: not tested\n");
  CHECK(!can || death.exit_code == 0);
  CHECK_EQ(scene.record().signal.load(), 0);
  CHECK_EQ(scene.lines().count(), 0);
}

TEST("given a forked child that captures a store of its own, when it crashes, then only that one has a last line") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    scene.Add(5);
    Scene own("own");
    const Death inner = InChild([&] {
      own.Capture();
      own.Add(6);
      Fault();
    });
    CHECK_EQ(inner.signal, SIGSEGV);
    own.CheckLastLine(SIGSEGV);
    CHECK_EQ(TextOf(scene.folder / "f"), "");
    CHECK_EQ(scene.record().signal.load(), 0);
  });
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 0);
}

// What was added before the fault is known exactly, and the flushing thread is anywhere in its work when it comes.
TEST("given threads that flush in a loop, when another one crashes, then every line is whole, and together they have every add") {
  for (int round = 0; round < 12; round++) {
    Scene scene;
    constexpr uint64_t kAdds = 3000;
    const Death death = InChild([&] {
      scene.Capture();
      for (int t = 0; t < 2; t++)
        std::thread([&] {
          while (true) scene.Flush();
        }).detach();
      std::thread([&] {
        vmm_metrics_store native = {&scene.store->abi()};
        vmm_metrics::Shard shard(native);
        vmm_metrics_metric metric;
        CHECK_EQ(vmm_metrics_find(&native, "g.i", VMM_METRICS_INC, &metric), VMM_METRICS_OK);
        for (uint64_t i = 0; i < kAdds; i++) vmm_metrics_add(&shard.get(), metric, 1);
      }).join();
      SleepMs(round % 4);
      round % 2 == 0 ? Fault() : std::abort();
    });
    const int signal = round % 2 == 0 ? SIGSEGV : SIGABRT;
    CHECK_EQ(death.signal, signal);
    const Lines lines = scene.lines();
    CHECK(lines.count() > 0);
    scene.CheckLastLine(signal, lines.count() - 1);
    CHECK_EQ(lines.Sum("g.i"), kAdds);
  }
}

TEST("given a thread that flushes in a loop, when a signal meets it anywhere, then all lines are whole and have every add") {
  for (int round = 0; round < 12; round++) {
    Scene scene;
    const Death death = InChild([&] {
      scene.Capture();
      const itimerval soon = {{0, 0}, {0, 2000 + round * 397}};
      signal(SIGALRM, [](int) { raise(SIGTERM); });
      setitimer(ITIMER_REAL, &soon, nullptr);
      while (true) {
        scene.Add(1);
        scene.Flush();
      }
    });
    CHECK_EQ(death.signal, SIGTERM);
    const Lines lines = scene.lines();
    CHECK(lines.count() > 0);
    scene.CheckLastLine(SIGTERM, lines.count() - 1);
  }
}

TEST("given threads that add on and on, when another one crashes, then what the lines have is what is not pending") {
  for (int round = 0; round < 4; round++) {
    Scene scene;
    const Death death = InChild([&] {
      scene.Capture();
      for (int t = 0; t < 2; t++)
        std::thread([&] {
          while (true) scene.Add(1);
        }).detach();
      std::thread([&] {
        while (true) scene.Flush();
      }).detach();
      while (scene.store->cells().Total(CellOf(scene.store->spec(), "g.i")) == 0) SleepMs(1);  // both are at it
      SleepMs(3);
      Fault();
    });
    CHECK_EQ(death.signal, SIGSEGV);
    const Lines lines = scene.lines();
    CHECK(lines.Sum("g.i") > 0);
    scene.CheckExact(lines);
    CHECK_EQ(lines.tail, "");
  }
}

TEST("given a half-sent line in a pipe, when the process dies and the pipe is read, then that line and the last one are whole") {
  Scene scene("crash", true);
  Fifo fifo(scene.folder / "fifo");
  std::string text;
  const pid_t child = StartChild([&] {
    scene.Capture(scene.folder / "fifo");
    scene.Add(5);
    CHECK_EQ(scene.Flush(), FlushResult::kFailed);
    scene.Add(6);
    Fault();
  });
  const Death death = Await(child, kChildLimitMs, [&] { text += fifo.Take(); });
  for (std::string more; !(more = fifo.Take()).empty();) text += more;
  CHECK_EQ(death.signal, SIGSEGV);
  const Lines lines(text);
  scene.CheckExact(lines);
  CHECK_EQ(lines.tail, "");
  if (!CHECK_EQ(lines.count(), 2)) return;
  CHECK_EQ(lines.values[0].at("g.i"), 5);
  CHECK_EQ(lines.values[1].at("g.i"), 6);
  CHECK_EQ(lines.values[1].at("signals.segv"), 1);
}

TEST("given pipes that stay full, when the process dies, then it waits no longer than it may, however many stores there are") {
  for (const size_t stores : {1u, 3u}) {
    std::vector<std::unique_ptr<Scene>> scenes;
    std::vector<std::unique_ptr<Fifo>> fifos;
    for (size_t i = 0; i < stores; i++) {
      scenes.push_back(std::make_unique<Scene>(std::to_string(i)));
      fifos.push_back(std::make_unique<Fifo>(scenes[i]->folder / "fifo"));
      fifos[i]->Fill();
    }
    const Death death = InChild([&] {
      for (const auto& scene : scenes) {
        scene->Capture(scene->folder / "fifo", 100);
        scene->Add(5);
      }
      Fault();
    });
    CHECK_EQ(death.signal, SIGSEGV);
    for (const auto& scene : scenes) CHECK_EQ(scene->Pending("g.i"), 5);
  }
}

TEST("given a sink that takes nothing, when the process dies, then the last line is missed and counted, and all stays pending") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture("/dev/full");
    scene.Add(5);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  CHECK_EQ(scene.Pending("g.i"), 5);
  CHECK_EQ(scene.Total("logger.missed"), 1);
}

TEST("given one pipe that stays full, when the process dies, then the other stores still have their last lines") {
  Scene stuck("stuck"), well("well");
  Fifo fifo(stuck.folder / "fifo");
  fifo.Fill();
  const Death death = InChild([&] {
    well.Capture();
    stuck.Capture(stuck.folder / "fifo", 100);
    well.Add(5);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  well.CheckLastLine(SIGSEGV);
}

// In the child: rows of one metric, each a millisecond.
std::shared_ptr<Profile> StartProfile(Scene& scene, const std::string& path, int descriptor = -1) {
  ProfileSpec spec;
  spec.descriptor = descriptor;
  spec.cells = {CellOf(scene.store->spec(), "g.i")};
  spec.interval_ns = 1'000'000;
  spec.header = "Time (ns)\tg.i\n";
  spec.path = path;
  std::shared_ptr<Profile> profile;
  CHECK(scene.store->profiler().Start(std::move(spec), &profile).ok());
  return profile;
}

struct ProfileText {
  explicit ProfileText(const std::string& text) : is_whole(!text.empty() && text.back() == '\n') {
    const std::string header = "Time (ns)\tg.i\n";
    is_whole = is_whole && text.compare(0, header.size(), header) == 0;
    for (size_t at = header.size(); at < text.size(); rows++) {
      const int fields = std::sscanf(text.c_str() + at, "%*u\t%lu\n", &last_value);
      is_whole = is_whole && fields == 1;
      at = text.find('\n', at) + 1;
      if (at == 0) break;
    }
  }
  bool is_whole;
  int rows = 0;
  unsigned long last_value = 0;
};

// A busy machine may let the sampling thread begin late.
void AwaitRows(const std::string& path, int rows) {
  for (int i = 0; i < kChildLimitMs && ProfileText(TextOf(path)).rows < rows; i++) SleepMs(1);
}

TEST("given a profile, when the process dies, then the samples so far are in its file, each whole, and the last line is out") {
  for (const int signal : {SIGSEGV, SIGTERM}) {
    Scene scene;
    const Death death = InChild([&] {
      scene.Capture();
      const auto profile = StartProfile(scene, scene.folder / "p");
      SleepMs(20);
      scene.Add(3);
      AwaitRows(scene.folder / "p", 3);
      SleepMs(50);  // and what came since may not be written yet
      raise(signal);
    });
    CHECK_EQ(death.signal, signal);
    scene.CheckLastLine(signal);
    const ProfileText text(TextOf(scene.folder / "p"));
    CHECK(text.is_whole);
    CHECK(text.rows >= 3);
    CHECK_EQ(text.last_value, 3);
  }
}

TEST("given a profile whose writing is under way, when the process dies, then no row is lost in between or broken") {
  for (int round = 0; round < 20; round++) {
    Scene scene;
    const Death death = InChild([&] {
      scene.Capture();
      ProfileSpec spec;
      spec.cells.assign(50, CellOf(scene.store->spec(), "g.i"));
      spec.interval_ns = 2'000;
      spec.header = "\n";
      spec.path = scene.folder / "p";
      std::shared_ptr<Profile> profile;
      CHECK(scene.store->profiler().Start(std::move(spec), &profile).ok());
      while (TextOf(scene.folder / "p").size() < 1000) SleepMs(1);  // until it is at it
      SleepMs(round);
      std::thread(Fault).join();
    });
    CHECK_EQ(death.signal, SIGSEGV);
    const std::string text = TextOf(scene.folder / "p");
    CHECK(text.size() > 1 && text.back() == '\n');
    uint64_t before_ns = 0, wrong = 0, rows = 0;
    for (size_t at = 1; at < text.size(); at = text.find('\n', at) + 1, rows++) {
      const std::string row = text.substr(at, text.find('\n', at) - at);
      const uint64_t time_ns = std::strtoull(row.c_str(), nullptr, 10);
      if (time_ns <= before_ns || std::count(row.begin(), row.end(), '\t') != 50) wrong++;
      before_ns = time_ns;
    }
    CHECK(rows > 0);
    CHECK_EQ(wrong, 0);
  }
}

TEST(
    "given a profile into a pipe that stays full, when the process dies, then it waits no longer than it may, and the last line "
    "is out") {
  Scene scene;
  Fifo fifo(scene.folder / "pipe");
  fifo.Fill();
  const Death death = InChild([&] {
    scene.Capture(scene.folder / "f", 100);
    const auto profile = StartProfile(scene, scene.folder / "pipe");
    SleepMs(50);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  scene.CheckLastLine(SIGSEGV);
}

TEST("given a profile in a process that survives what looked like its death, when time goes by, then its samples go on") {
  Scene scene;
  const Death death = InChild([&] {
    signal(SIGABRT, [](int) {});  // a host that lives on; the capture cannot know
    scene.Capture();
    const auto profile = StartProfile(scene, scene.folder / "p");
    AwaitRows(scene.folder / "p", 2);
    const int64_t died_ms = NowMs();
    raise(SIGABRT);
    const int rows = ProfileText(TextOf(scene.folder / "p")).rows;
    CHECK(rows > 1);
    SleepMs(600);
    const int rows_then = ProfileText(TextOf(scene.folder / "p")).rows;
    // It may be about to die: what is there is all there is.
    if (NowMs() - died_ms < kSurvivedMs) CHECK_EQ(rows_then, rows);
    AwaitRows(scene.folder / "p", rows_then + 300);
    CHECK(NowMs() - died_ms >= kSurvivedMs);
    CHECK(ProfileText(TextOf(scene.folder / "p")).rows >= rows_then + 300);
    CHECK(scene.store->profiler().Stop(profile).status.ok());
    CHECK(ProfileText(TextOf(scene.folder / "p")).is_whole);
  });
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 0);
}

TEST("given a profile in a process that survives, when it is stopped soon and let go of, then its output is closed") {
  Scene scene;
  Fifo fifo(scene.folder / "pipe");
  const int readers_own = open((scene.folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  CheckInChild([&] {
    signal(SIGABRT, [](int) {});
    scene.Capture();
    const std::string path = scene.folder / "pipe";
    const auto is_open = [&] {
      char name[PATH_MAX] = "";
      bool found = false;
      for (int fd = readers_own + 1; fd < 64; fd++) {
        const ssize_t bytes = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof(name));
        found = found || (bytes > 0 && std::string(name, static_cast<size_t>(bytes)) == path);
      }
      return found;
    };
    auto profile = StartProfile(scene, path);
    SleepMs(20);
    CHECK(is_open());
    raise(SIGABRT);
    // It has an end for who reads it, before anybody lets go of the profile.
    scene.store->profiler().Stop(profile);
    CHECK(!is_open());
    profile.reset();
    for (int i = 0; i < 10'000 && is_open(); i++) SleepMs(1);
    CHECK(!is_open());
  });
  close(readers_own);
}

TEST("given a profile, when a forked child captures anew and dies, then it writes none of its parent's rows") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    const auto profile = StartProfile(scene, scene.folder / "p");
    SleepMs(100);  // rows that are not written yet
    const Death child = InChild([&] {
      CHECK(scene.store->CaptureSignals().ok());
      raise(SIGSEGV);
    });
    CHECK_EQ(child.signal, SIGSEGV);
    const ProfileResult result = scene.store->profiler().Stop(profile);
    const ProfileText text(TextOf(scene.folder / "p"));
    CHECK(text.is_whole);
    CHECK_EQ(static_cast<uint64_t>(text.rows), result.samples);
  });
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 0);
}

TEST("given a profile into a pipe without a reader, when the process is told to go, then it dies of that, and not of the pipe") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    const auto profile = StartProfile(scene, "", ends[1]);
    char opening[64];
    CHECK(read(ends[0], opening, sizeof(opening)) > 0);
    SleepMs(20);  // rows that are not written yet
    close(ends[0]);
    raise(SIGTERM);  // which would come after a SIGPIPE
  });
  CHECK_EQ(death.signal, SIGTERM);
  scene.CheckLastLine(SIGTERM);
}

TEST("given a profile whose disk was full, when the process dies later, then it waits for nothing") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture(scene.folder / "f", 2 * kChildLimitMs);
    const auto profile = StartProfile(scene, "/dev/full");
    SleepMs(500);
    raise(SIGSEGV);
  });
  CHECK_EQ(death.signal, SIGSEGV);
  scene.CheckLastLine(SIGSEGV);
}

TEST("given a fault inside the handler, when it comes, then the process still dies, with the lines that were out by then") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    // A store whose flusher is in memory that nobody may touch.
    static Captured broken;
    broken.cells = &scene.store->cells();
    broken.flusher = const_cast<Flusher*>(reinterpret_cast<const volatile Flusher*>(Forbidden()));
    CHECK(Capture(&broken).ok());
    scene.Add(5);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  scene.CheckLastLine(SIGSEGV);  // it was captured before the broken one
}

volatile sig_atomic_t g_host_saw = 0;
volatile sig_atomic_t g_host_code = 0;
void HostHandler(int signal, siginfo_t* info, void*) {
  g_host_saw = signal;
  g_host_code = info->si_code;
}
void HostHandlerThatEnds(int, siginfo_t* info, void* context) {
  _exit(info != nullptr && info->si_code == SEGV_ACCERR && context != nullptr ? 42 : 43);
}

void Install(int signal, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  CHECK_EQ(sigaction(signal, &action, nullptr), 0);
}

TEST(
    "given a thread that blocks a signal, when its own instruction raises it, then the kernel lets no handler see it, and no "
    "line") {
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

TEST("given a host's handler, when the fault comes, then a last line goes out, and the handler is reached with its siginfo") {
  Scene scene;
  const Death death = InChild([&] {
    Install(SIGSEGV, HostHandlerThatEnds);
    scene.Capture();
    scene.Add(5);
    Fault();
  });
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 42);
  scene.CheckLastLine(SIGSEGV);
}

TEST("given a host's handler that was put above ours and hands on, when the fault comes, then both are reached") {
  Scene scene;
  static struct sigaction ours;
  const Death death = InChild([&] {
    scene.Capture();
    struct sigaction above = {};
    above.sa_sigaction = [](int signal, siginfo_t* info, void* context) {
      ours.sa_sigaction(signal, info, context);
      _exit(42);
    };
    above.sa_flags = SA_SIGINFO;
    CHECK_EQ(sigaction(SIGSEGV, &above, &ours), 0);
    Fault();
  });
  CHECK_EQ(death.exit_code, 42);
  scene.CheckLastLine(SIGSEGV);
}

TEST("given signals that are handled, ignored or harmless, when they come, then they are counted, and the process lives") {
  CheckInChild([] {
    Scene scene;
    Install(SIGHUP, HostHandler);
    signal(SIGTERM, SIG_IGN);
    signal(SIGABRT, SIG_IGN);
    scene.Capture();
    for (int i = 0; i < 3; i++) {
      g_host_saw = 0;
      errno = 77;
      raise(SIGHUP);
      CHECK_EQ(errno, 77);
      CHECK_EQ(static_cast<int>(g_host_saw), SIGHUP);
      CHECK_EQ(static_cast<int>(g_host_code), SI_TKILL);
      raise(SIGCHLD);
      raise(SIGTERM);
      raise(SIGABRT);
    }
    CHECK_EQ(scene.Total("signals.hup"), 3);
    CHECK_EQ(scene.Total("signals.chld"), 3);
    CHECK_EQ(scene.Total("signals.term"), 1);  // a store metric
    CHECK_EQ(scene.Total("signals.abrt"), 1);
    CHECK_EQ(scene.record().signal.load(), 0);
    CHECK_EQ(TextOf(scene.folder / "f"), "");
    CHECK_EQ(scene.Flush(), FlushResult::kOut);
  });
}

TEST("given handlers and ignored signals, when the last captured store is released, then all are as they were before") {
  CheckInChild([] {
    Install(SIGHUP, HostHandler);
    signal(SIGTERM, SIG_IGN);
    struct sigaction before[kSignals] = {}, after[kSignals] = {};  // those of the C library's own signals stay so
    for (int signal = 1; signal < kSignals; signal++) sigaction(signal, nullptr, &before[signal]);
    {
      Scene first("first"), second("second");
      CHECK(first.store->CaptureSignals().ok());
      CHECK(first.store->CaptureSignals().ok());  // twice is harmless
      CHECK(second.store->CaptureSignals().ok());
      struct sigaction now;
      sigaction(SIGSEGV, nullptr, &now);
      CHECK(now.sa_handler != before[SIGSEGV].sa_handler);
      CHECK((now.sa_flags & SA_ONSTACK) != 0);
    }
    for (int signal = 1; signal < kSignals; signal++) {
      sigaction(signal, nullptr, &after[signal]);
      CHECK(after[signal].sa_handler == before[signal].sa_handler);
    }
  });
}

TEST("given a handler above ours that hands on, when the last store is released, then what it hands on still kills") {
  Scene scene;
  static struct sigaction ours;
  const Death death = InChild([&] {
    CHECK(scene.store->CaptureSignals().ok());
    struct sigaction above = {};
    above.sa_sigaction = [](int signal, siginfo_t* info, void* context) { ours.sa_sigaction(signal, info, context); };
    above.sa_flags = SA_SIGINFO;
    CHECK_EQ(sigaction(SIGTERM, &above, &ours), 0);
    scene.store->Retain();
    scene.store->Detach(false);
    struct sigaction now;
    sigaction(SIGTERM, nullptr, &now);
    CHECK(now.sa_sigaction == above.sa_sigaction);
    if (now.sa_sigaction == above.sa_sigaction) raise(SIGTERM);
  });
  CHECK_EQ(death.signal, SIGTERM);
}

TEST("given a closed store, when the process dies, then no line comes after the one of the close") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    scene.Add(5);
    scene.store->Retain();
    scene.store->Detach(false);
    scene.Add(6);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  const Lines lines = scene.lines();
  CHECK_EQ(lines.count(), 1);
  CHECK_EQ(lines.Sum("g.i"), 5);
}

TEST("given as many captured stores as there is room for, when one more is captured, then kFull, until one is released") {
  CheckInChild([] {
    std::vector<Captured> all(kCapturedMax + 1);
    Scene scene;
    for (Captured& captured : all) {
      captured.cells = &scene.store->cells();
      captured.flusher = &scene.store->flusher();
    }
    for (int i = 0; i < kCapturedMax; i++) CHECK(Capture(&all[static_cast<size_t>(i)]).ok());
    CHECK_EQ(Capture(&all.back()).code, Code::kFull);
    CHECK(Capture(&all[3]).ok());  // is captured already
    Release(&all[7]);
    CHECK(Capture(&all.back()).ok());
    for (Captured& captured : all) Release(&captured);
  });
}

TEST("given a thread that is signalled without pause, when stores come and go, then no handler uses one that is gone") {
  CheckInChild([] {
    Install(SIGHUP, HostHandler);
    std::atomic<bool> done{false};
    std::thread signalled([&] {
      while (!done) raise(SIGHUP);
    });
    for (int i = 0; i < 200; i++) {
      Scene scene;  // AddressSanitizer sees a use after it is gone
      CHECK(scene.store->CaptureSignals().ok());
    }
    done = true;
    signalled.join();
  });
}

// Memory of the host's own that is gone: the file under it was cut.
volatile char* g_lost;
volatile sig_atomic_t g_host_calls;

void LoseMemory() {
  const int fd = memfd_create("lost", MFD_CLOEXEC);
  CHECK_EQ(ftruncate(fd, 4096), 0);
  g_lost = static_cast<volatile char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  CHECK_EQ(ftruncate(fd, 0), 0);
  close(fd);
}

void SetHostHandler(void (*handler)(int), int flags) {
  struct sigaction host = {};
  host.sa_handler = handler;
  host.sa_flags = flags;
  CHECK_EQ(sigaction(SIGBUS, &host, nullptr), 0);
}

void Report(int) {
  g_host_calls = g_host_calls + 1;
  if (write(2, "", 0) != 0 || g_host_calls > 3) _exit(77);
}

void Mend(int) {
  g_host_calls = g_host_calls + 1;
  mmap(const_cast<char*>(g_lost), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

// A store with a file, in the child.
struct FileScene {
  FileScene() {
    StoreSpec spec = Schema("file");
    spec.file = folder / "r";
    OpenConflict conflict;
    CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
    Status status;
    CHECK_EQ(store->flusher().Init((folder / "f").c_str(), -1, &status), InitResult::kDone);
  }
  void Add(uint64_t n) { AddShared(store->cells().Shared(CellOf(store->spec(), "g.i")), n); }
  void Cut() { CHECK_EQ(truncate((folder / "r").c_str(), 0), 0); }
  FlushResult Flush() {
    Status status;
    return store->Flush(&status);
  }
  bool IsAtHome() { return store->cells().region().header().state.load() == static_cast<uint32_t>(RegionState::kRunning); }

  TemporaryFolder folder;
  Store* store = nullptr;
};

TEST("given a host's handler that is to run once, when a file is guarded and the host's own memory is lost, then it runs once") {
  const Death death = InChild([] {
    SetHostHandler(Report, SA_RESETHAND);
    FileScene scene;
    LoseMemory();
    *g_lost = 1;
  });
  CHECK_EQ(death.signal, SIGBUS);
}

TEST("given a host's handler that mends, when its own memory is lost, then it mends, and the file is still guarded") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  for (const bool with_capture : {false, true}) {
    CheckInChild([&] {
      SetHostHandler(Mend, SA_NODEFER);
      FileScene scene;
      // Captured for something else, which says nothing of SIGBUS.
      if (with_capture) CHECK(scene.store->CaptureSignals({SetOf(SIGTERM)}).ok());
      LoseMemory();
      *g_lost = 1;
      CHECK_EQ(g_host_calls, 1);
      CHECK(scene.IsAtHome());
      CHECK_EQ(scene.store->cells().region().header().crash.signal.load(), 0);
      scene.Add(2);
      CHECK_EQ(scene.Flush(), FlushResult::kOut);
      scene.Cut();
      scene.Add(3);
      CHECK_EQ(g_host_calls, 1);
      CHECK_EQ(scene.Flush(), FlushResult::kOut);
      CHECK_EQ(Lines(TextOf(scene.folder / "f")).Sum("g.i"), 5);
      scene.store->Detach(false);
    });
  }
}

TEST("given a guarded file and no capture, when capture has come and gone, then SIGBUS is the host's again") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  CheckInChild([] {
    SetHostHandler(Mend, 0);
    FileScene scene;
    OpenConflict conflict;
    Store* other = nullptr;
    CHECK(Store::Open(Schema("other"), &other, &conflict).ok());
    CHECK(other->CaptureSignals().ok());
    other->Detach(false);
    LoseMemory();
    *g_lost = 1;
    CHECK_EQ(g_host_calls, 1);
    scene.Cut();
    scene.Add(1);
    CHECK(scene.store->cells().region().is_degraded());
    scene.store->Detach(false);
    LoseMemory();
    *g_lost = 1;
    CHECK_EQ(g_host_calls, 2);
    struct sigaction now;
    CHECK_EQ(sigaction(SIGBUS, nullptr, &now), 0);
    CHECK(now.sa_handler == Mend);
  });
}

TEST("given a SIGBUS that is sent while lines go out, when it comes, then the line is out first, whole") {
  for (int round = 0; round < 8; round++) {
    Scene scene("sent" + std::to_string(round));
    const pid_t child = StartChild([&] {
      scene.Capture();
      for (;;) scene.Add(1), scene.Flush();
    });
    // From the first line on it is captured and at it.
    for (int waited_ms = 0; waited_ms < kChildLimitMs && scene.lines().count() == 0; waited_ms++) SleepMs(1);
    SleepMs(round);
    kill(child, SIGBUS);
    CHECK_EQ(Await(child, kChildLimitMs, [] {}).signal, SIGBUS);
    const Lines lines = scene.lines();
    CHECK_EQ(lines.tail, "");
    scene.CheckExact(lines);
    if (CHECK(lines.count() != 0)) CHECK_EQ(lines.values.back().at("signals.bus"), 1);
  }
}

TEST(
    "given a file that is cut, when lines go out, then one of them says so, once; and the file is free when the store is "
    "closed") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  CheckInChild([] {
    TemporaryFolder folder;
    StoreSpec spec = Schema("degraded");
    spec.file = folder / "r";
    spec.error_cell = CellOf(spec, "signals.hup");
    const std::string file = spec.file;
    OpenConflict conflict;
    Store* store = nullptr;
    Status status;
    CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
    CHECK_EQ(store->flusher().Init((folder / "f").c_str(), -1, &status), InitResult::kDone);
    Cell& added = store->cells().Shared(CellOf(store->spec(), "g.i"));
    AddShared(added, 7);
    CHECK_EQ(store->Flush(&status), FlushResult::kOut);
    CHECK_EQ(truncate(file.c_str(), 0), 0);
    for (int i = 0; i < 3; i++) {
      AddShared(added, 2);
      CHECK_EQ(store->Flush(&status), FlushResult::kOut);
    }
    const Lines lines(TextOf(folder / "f"));
    CHECK_EQ(lines.Sum("g.i"), 7 + 3 * 2);
    CHECK_EQ(lines.Sum("signals.hup"), 1);
    CHECK_EQ(lines.values[1].at("signals.hup"), 1);
    store->Retain();  // as an external of another addon does
    const int other = open(file.c_str(), O_RDWR | O_CLOEXEC);
    CHECK(flock(other, LOCK_EX | LOCK_NB) != 0);
    store->Detach(false);
    CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
    CHECK_EQ(store->cells().region().header().state.load(), static_cast<uint32_t>(RegionState::kExited));
    store->Unreference();
  });
}

TEST("given as many files as can be guarded, when one more is opened, then kFull, and when one is closed, then there is room") {
  CheckInChild([] {
    TemporaryFolder folder;
    std::vector<Store*> stores;
    const auto open_one = [&](int n, Store** store) {
      StoreSpec spec = Schema("s" + std::to_string(n));
      spec.file = folder / ("r" + std::to_string(n));
      OpenConflict conflict;
      return Store::Open(std::move(spec), store, &conflict).code;
    };
    for (int n = 0; n < kGuardedMax; n++) {
      stores.push_back(nullptr);
      CHECK_EQ(open_one(n, &stores.back()), Code::kOk);
    }
    Store* more = nullptr;
    CHECK_EQ(open_one(kGuardedMax, &more), Code::kFull);
    CHECK(access((folder / ("r" + std::to_string(kGuardedMax))).c_str(), F_OK) != 0);
    stores.back()->Detach(false);
    stores.pop_back();
    CHECK_EQ(open_one(kGuardedMax, &more), Code::kOk);
    more->Detach(false);
    for (Store* store : stores) store->Detach(false);
  });
}

}  // namespace
}  // namespace vmm
