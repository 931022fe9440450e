// The crash handler on the interrupted thread: it allocates nothing, makes few system calls, and keeps errno.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "confine.h"
#include "crash_scene.h"
#include "division.h"
#include "handler_watch.h"
#include "host_handler.h"
#include "line_reader.h"
#include "resource_limit.h"
#include "schema_builder.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

StoreSpec HandlerSchema(bool wide) {
  const std::vector<Field> fields = {Inc("i"), Latency("l")};
  SchemaBuilder schema;
  schema.Group("g", wide ? WithManyMore(fields) : fields)
      .Group("signals", {Gauge("segv"), Inc("hup"), Inc("pipe"), Inc("chld")})
      .PerDevice("d", {Inc("i")});
  schema.Group("logger", {Inc("missed")}).OnMissedFlush("logger.missed");
  schema.OnSignal(SIGSEGV, "signals.segv").OnSignal(SIGHUP, "signals.hup");
  schema.OnSignal(SIGPIPE, "signals.pipe").OnSignal(SIGCHLD, "signals.chld");
  return schema.Build("handler");
}

struct HandlerScene : Scene {
  explicit HandlerScene(bool wide = false) : Scene(HandlerSchema(wide)) {}

  // Called in the child. The handler waits 100 ms at most for a sink that takes nothing.
  void Capture(const char* path, int descriptor = -1) { CaptureInto(path, descriptor, 100); }
  void CaptureIn(const std::string& name) { Capture((folder / name).c_str()); }
};

// Captures with a sink that fails, so that the handler's own calls set errno.
void CaptureWithFailingSink(HandlerScene& scene, int sink) {
  if (sink == 0) scene.Capture("/dev/full");
  if (sink == 1) scene.CaptureIn("fifo");
  if (sink == 2) {
    scene.CaptureIn("f");
    LimitResource(RLIMIT_FSIZE, 0);
    signal(SIGXFSZ, SIG_IGN);
  }
}

TEST(
    "given signals that are counted, when they have been handled, then errno is what it was, whatever the host's handler did to "
    "it") {
  CheckInChild([] {
    HandlerScene scene;
    InstallHandler(SIGHUP, [](int, siginfo_t*, void*) { errno = EIO; });
    signal(SIGPIPE, SIG_IGN);
    scene.CaptureIn("f");
    for (const int signal : {SIGHUP, SIGPIPE, SIGCHLD}) {
      errno = 77;
      raise(signal);
      CHECK_EQ(errno, 77);
    }
    CHECK_EQ(scene.Total("signals.hup") + scene.Total("signals.pipe") + scene.Total("signals.chld"), 3);
  });
}

TEST("given a sink that fails, when an earlier handler survives the signal, then errno is restored") {
  for (const int sink : {0, 1, 2}) {
    CheckInChild([&] {
      HandlerScene scene;
      Fifo fifo(scene.folder / "fifo");
      fifo.Fill();
      InstallHandler(SIGABRT, [](int, siginfo_t*, void*) {});
      CaptureWithFailingSink(scene, sink);
      scene.Add(5);
      errno = 77;
      raise(SIGABRT);
      CHECK_EQ(errno, 77);
      CHECK_EQ(scene.store->cells().Pending(CellOf(scene.store->spec(), "g.i")), 5);  // the sink did fail
    });
  }
}

#if defined(__x86_64__)
TEST("given a sink that fails, when an earlier handler repairs a fault, then errno is restored") {
  for (const int sink : {0, 1, 2}) {
    CheckInChild([&] {
      HandlerScene scene;
      Fifo fifo(scene.folder / "fifo");
      fifo.Fill();
      InstallHandler(SIGFPE, SkipDivision);
      CaptureWithFailingSink(scene, sink);
      errno = 77;
      DivideByZero();
      CHECK_EQ(errno, 77);
    });
  }
}
#endif

#if defined(VMM_WATCHES_HANDLERS)

// Mapped at the start, so that the test does not call mmap() under the filter.
void* const g_forbidden = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

const Way kWays[] = {
    {"a fault", SIGSEGV, [] { *static_cast<volatile char*>(g_forbidden) = 1; }},
    {"a bus error", SIGBUS, [] { raise(SIGBUS); }},
    {"an abort", SIGABRT, [] { raise(SIGABRT); }},
    {"a hang-up", SIGHUP, [] { raise(SIGHUP); }},
    {"a termination", SIGTERM, [] { raise(SIGTERM); }},
#if defined(__x86_64__)
    {"a division by zero", SIGFPE, DivideByZero},
    {"a breakpoint", SIGTRAP, [] { asm volatile("int3"); }},
#endif
};

// The state of the store and its sink when the process dies.
struct Situation {
  const char* what;
  size_t lines;  // how many lines are out in the end
  bool wide;
  void (*prepare)(HandlerScene& scene);
};

void CaptureDescriptor(HandlerScene& scene, int descriptor) {
  scene.Capture(nullptr, descriptor);
  close(descriptor);
}

const Situation kSituations[] = {
    {"a file", 1, false, [](HandlerScene& scene) { scene.CaptureIn("lines"); }},
    {"devices", 1, false,
     [](HandlerScene& scene) {
       const Device* device = nullptr;
       for (const char* id : {"a", "b", "c"}) CHECK(scene.store->AllocDevice(0, id, &device).ok());
       scene.CaptureIn("lines");
     }},
    {"a line longer than a page", 1, true, [](HandlerScene& scene) { scene.CaptureIn("lines"); }},
    {"a file that was rotated", 2, false,
     [](HandlerScene& scene) {
       scene.CaptureIn("lines");
       CHECK_EQ(scene.Flush(), FlushResult::kOut);
       CHECK_EQ(rename((scene.folder / "lines").c_str(), (scene.folder / "lines.1").c_str()), 0);
     }},
    {"a file that ends in half a line", 1, false,
     [](HandlerScene& scene) {
       WriteText(scene.folder / "lines", "half");
       scene.CaptureIn("lines");
     }},
    {"such a file by its descriptor, for writing only", 1, false,
     [](HandlerScene& scene) {
       WriteText(scene.folder / "lines", "half");
       CaptureDescriptor(scene, open((scene.folder / "lines").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
     }},
    {"a file at its limit", 0, false,
     [](HandlerScene& scene) {
       scene.CaptureIn("lines");
       LimitResource(RLIMIT_FSIZE, 0);
     }},
    {"a full disk", 0, false, [](HandlerScene& scene) { scene.Capture("/dev/full"); }},
    {"a pipe", 1, false, [](HandlerScene& scene) { scene.CaptureIn("fifo"); }},
    {"a pipe with a held tail", 2, true,
     [](HandlerScene& scene) {
       scene.CaptureIn("fifo");
       CHECK_EQ(scene.Flush(), FlushResult::kFailed);
     }},
    {"a pipe by its descriptor", 1, false,
     [](HandlerScene& scene) { CaptureDescriptor(scene, open((scene.folder / "fifo").c_str(), O_RDWR | O_CLOEXEC)); }},
    {"a pipe without a name, that nobody reads", 0, false,
     [](HandlerScene& scene) {
       int ends[2];
       CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
       scene.Capture(nullptr, ends[1]);
       close(ends[0]);
     }},
    {"a pipe that stays full", 0, false,
     [](HandlerScene& scene) {
       int ends[2];
       CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
       scene.Capture(nullptr, ends[1]);
       while (write(ends[1], "         ", 9) > 0) {
       }
     }},
    {"a socket", 0, false,
     [](HandlerScene& scene) {
       int ends[2];
       CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
       scene.Capture(nullptr, ends[1]);
     }},
    {"another thread that is flushing", ~size_t{0}, false,
     [](HandlerScene& scene) {
       scene.CaptureIn("lines");
       std::thread([&] {
         while (true) scene.Flush();
       }).detach();
     }},
};

// Called in the child: dies while this thread is allowed only the handler's system calls, and each allocation in the
// handler is reported on standard error.
void DieWatched(const Way& way, const std::string& said) {
  const int fd = open(said.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  CHECK(dup2(fd, STDERR_FILENO) >= 0);
  CHECK(vmm_watch_handler(way.signal));
  CHECK(Confine(SECCOMP_RET_KILL_PROCESS));
  way.die();
}

TEST("given any sink, when the process dies in any way, then the handler allocates nothing and makes only the documented calls") {
  for (const Situation& situation : kSituations) {
    for (const Way& way : kWays) {
      const int failed = check::failed;
      HandlerScene scene(situation.wide);
      Fifo fifo(scene.folder / "fifo");
      std::string text;
      const pid_t child = StartChild([&] {
        situation.prepare(scene);
        DieWatched(way, scene.folder / "said");
      });
      const Death death = Await(child, kChildLimitMs, [&] { text += fifo.Take(); });
      text += fifo.TakeAll();
      for (const char* file : {"lines.1", "lines"}) text += TextOf(scene.folder / file);
      CHECK_EQ(death.signal, way.signal);
      CHECK_EQ(death.exit_code, 0);
      CHECK_EQ(TextOf(scene.folder / "said"), "");
      const Lines lines(text);
      if (~situation.lines != 0) CHECK_EQ(lines.count(), situation.lines + static_cast<size_t>(lines.broken));
      CHECK_EQ(scene.store->cells().region().header().crash.signal.load(), way.signal);
      if (check::failed != failed) std::printf("  %s, %s\n", situation.what, way.what);
    }
  }
}

TEST(
    "given a seccomp filter, when it meets a call, then SIGSYS, with a last line if the filter traps and allows the handler's "
    "calls") {
  const struct {
    uint32_t otherwise;
    size_t allowed;
    size_t lines;
  } filters[] = {
      {SECCOMP_RET_TRAP, kCrashCallCount, 1}, {SECCOMP_RET_TRAP, 0, 0}, {SECCOMP_RET_KILL_PROCESS, kCrashCallCount, 0}};
  for (const auto& filter : filters) {
    HandlerScene scene;
    const Death death = InChild([&] {
      scene.CaptureIn("lines");
      CHECK(Confine(filter.otherwise, filter.allowed));
      syscall(SYS_getppid);
    });
    CHECK_EQ(death.signal, SIGSYS);
    CHECK_EQ(Lines(TextOf(scene.folder / "lines")).count(), filter.lines);
  }
}

#endif

}  // namespace
}  // namespace vmm
