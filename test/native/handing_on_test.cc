// Handlers that hand on: each handler above or below ours is called once, the process dies or survives as it would
// without ours, and no handlers call one another in a circle.

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "check.h"
#include "child.h"
#include "crash/alternate_stack.h"
#include "crash/capture.h"
#include "crash_scene.h"
#include "host_handler.h"

namespace vmm {
namespace {

volatile sig_atomic_t g_calls[kSignals];

// A host's handler that is installed above the current handler and hands on to it. Each number is another handler,
// since a host may have several.
template <int kNumber>
struct Above {
  static inline struct sigaction found[kSignals];

  static void Handle(int signal, siginfo_t* info, void* context) {
    g_calls[signal] = g_calls[signal] + 1;
    if (g_calls[signal] > 100) _exit(99);  // the handlers call one another in a circle
    const struct sigaction& next = found[signal];
    if ((next.sa_flags & SA_SIGINFO) != 0) {
      next.sa_sigaction(signal, info, context);
    } else if (next.sa_handler == SIG_DFL || next.sa_handler == SIG_IGN) {
      // There is no handler to hand on to, so the host's handler returns.
    } else {
      next.sa_handler(signal);
    }
  }

  static void Install(int signal, int flags = 0) { found[signal] = InstallHandler(signal, Handle, flags); }
};

TEST(
    "given handlers above ours that hand on, when ours is put above them again and a killing signal comes, then each is reached "
    "once") {
  for (const int signal : {SIGTERM, SIGHUP, SIGABRT}) {
    for (const int handlers : {1, 2}) {
      Scene scene("handing" + std::to_string(signal) + std::to_string(handlers));
      const Death death = InChild([&] {
        scene.Capture();
        Above<1>::Install(signal);
        CHECK(scene.store->CaptureSignals().ok());
        if (handlers == 2) {
          Above<2>::Install(signal);
          CHECK(scene.store->CaptureSignals().ok());
        }
        CHECK(scene.store->CaptureSignals().ok());
        scene.Add(5);
        raise(signal);
        _exit(98);
      });
      CHECK_EQ(death.signal, signal);
      CHECK_EQ(death.exit_code, 0);
      scene.CheckLastLine(signal);
    }
  }
}

TEST(
    "given a handler above ours that hands on, when ours is put above it again and a fault comes, then the process dies of it, "
    "with a last line") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    Above<1>::Install(SIGSEGV);
    CHECK(scene.store->CaptureSignals().ok());
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
  scene.CheckLastLine(SIGSEGV);
}

TEST(
    "given handlers above ours that hand on, when a harmless signal comes again and again, then each handler sees it once each "
    "time") {
  CheckInChild([] {
    Scene scene;
    static volatile sig_atomic_t g_first = 0;
    InstallHandler(SIGHUP, [](int) { g_first = g_first + 1; });
    scene.Capture();
    Above<1>::Install(SIGHUP);
    Above<1>::Install(SIGCHLD);
    CHECK(scene.store->CaptureSignals().ok());
    Above<2>::Install(SIGHUP);
    CHECK(scene.store->CaptureSignals().ok());
    for (int n = 0; n < 10; n++) raise(SIGHUP), raise(SIGCHLD);
    CHECK_EQ(static_cast<int>(g_first), 10);
    CHECK_EQ(static_cast<int>(g_calls[SIGHUP]), 20);  // two handlers count
    CHECK_EQ(static_cast<int>(g_calls[SIGCHLD]), 10);
    CHECK_EQ(scene.Total("signals.hup"), 10);
    CHECK_EQ(scene.Total("signals.chld"), 10);
  });
}

// A host's handler that jumps to where `g_back` was set.
sigjmp_buf g_back;
volatile sig_atomic_t g_jumps = 0;
void Jump(int) {
  g_jumps = g_jumps + 1;
  siglongjmp(g_back, 1);
}

TEST(
    "given a handler that leaves by a jump, when its signal comes a thousand times, then each one is counted and reaches the "
    "handler") {
  CheckInChild([] {
    Scene scene;
    InstallHandler(SIGHUP, Jump);
    scene.Capture();
    Above<1>::Install(SIGHUP);
    CHECK(scene.store->CaptureSignals().ok());
    for (volatile int i = 0; i < 1000; i = i + 1) {
      g_calls[SIGHUP] = 0;
      if (sigsetjmp(g_back, 1) == 0) raise(SIGHUP);
    }
    CHECK_EQ(static_cast<int>(g_jumps), 1000);
    CHECK_EQ(scene.Total("signals.hup"), 1000);
  });
}

TEST(
    "given a handler that leaves by a jump, when another handler is put above ours afterwards, then each signal is still "
    "counted") {
  CheckInChild([] {
    Scene scene;
    InstallHandler(SIGHUP, Jump);
    scene.Capture();
    for (volatile int i = 0; i < 100; i = i + 1) {
      if (i == 10) Above<1>::Install(SIGHUP);
      g_calls[SIGHUP] = 0;
      if (sigsetjmp(g_back, 1) == 0) raise(SIGHUP);
    }
    CHECK_EQ(static_cast<int>(g_jumps), 100);
    CHECK_EQ(scene.Total("signals.hup"), 100);
  });
}

TEST(
    "given a survived abort and a handler that hands on, when SIGTERM comes after it, then nothing runs in a circle, and the "
    "process dies of SIGTERM") {
  Scene scene;
  const Death death = InChild([&] {
    scene.Capture();
    Above<1>::Install(SIGTERM);
    InstallHandler(SIGABRT, Jump);
    CHECK(scene.store->CaptureSignals().ok());
    if (sigsetjmp(g_back, 1) == 0) std::abort();
    // Flushes until the death counts as survived. The flush then captures again.
    Status status;
    for (int tries = 0; scene.store->Flush(&status) != FlushResult::kOut && tries < kChildLimitMs; tries++) SleepMs(20);
    CHECK_EQ(status.error, 0);
    scene.Add(5);
    raise(SIGTERM);
  });
  CHECK_EQ(death.signal, SIGTERM);
  const Lines lines = scene.lines();
  scene.CheckExact(lines);
  CHECK_EQ(lines.values.back().at("signals.term"), 1);
}

// The record of such calls must stay bounded.
TEST(
    "given a host that takes its signal and gives it back again and again, when ours takes it again each time, then the handlers "
    "keep their order") {
  CheckInChild([] {
    Scene scene;
    static volatile sig_atomic_t g_host = 0;
    scene.Capture();
    const Disposition* with_host = nullptr;
    const int failed = check::failed;
    for (int i = 0; i < 1000 && check::failed == failed; i++) {
      InstallHandler(SIGHUP, [](int) { g_host = g_host + 1; });
      Retake(~SignalSet{0});
      if (with_host == nullptr) with_host = DispositionAt(SIGHUP, 0);
      CHECK(DispositionAt(SIGHUP, 0) == with_host);
      raise(SIGHUP);
      InstallHandler(SIGHUP, SIG_DFL);
      Retake(~SignalSet{0});
      CHECK_EQ(Displaced(), 0);
    }
    CHECK_EQ(static_cast<int>(g_host), 1000);
    CHECK_EQ(scene.Total("signals.hup"), 1000);
  });
}

TEST(
    "given a handler above ours that put ours back after a release, when signals are captured again, then they are watched and "
    "released as before") {
  CheckInChild([] {
    const int failed = check::failed;
    Scene first("first");
    const struct sigaction before = ActionOf(SIGHUP);
    CHECK(first.store->CaptureSignals().ok());
    Above<1>::Install(SIGHUP);
    first.store->Retain();
    first.store->Detach(false);                                         // our handler stays below
    CHECK_EQ(sigaction(SIGHUP, &Above<1>::found[SIGHUP], nullptr), 0);  // and is on top again
    Scene second("second");
    CHECK(second.store->CaptureSignals().ok());
    const struct sigaction ours = InstallHandler(SIGHUP, [](int) {});
    CHECK_EQ(Displaced(), SetOf(SIGHUP));
    sigaction(SIGHUP, &ours, nullptr);
    second.store->Retain();
    second.store->Detach(false);
    CHECK(ActionOf(SIGHUP).sa_handler == before.sa_handler);
    std::fflush(stdout);
    _exit(check::failed == failed ? 0 : 1);  // both stores are closed: no destructor may run
  });
}

// The frame is larger than our alternate stacks.
__attribute__((noinline)) void UseALargeFrame() {
  volatile char frame[200 * 1024];
  for (size_t i = 0; i < sizeof(frame); i += 512) frame[i] = 1;
}

TEST(
    "given a host's handler with a large frame, when its signal is captured or a region file is open, then it runs as it would "
    "without us") {
  for (const bool with_file : {false, true}) {
    CheckInChild([&] {
      static volatile sig_atomic_t g_done = 0;
      const int signal = with_file ? SIGBUS : SIGHUP;
      InstallHandler(signal, [](int) {
        UseALargeFrame();
        g_done = 1;
      });
      TemporaryFolder folder;
      StoreSpec spec = Schema("large");
      if (with_file) spec.file = folder / "r";
      OpenConflict conflict;
      Store* store = nullptr;
      CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
      void* const stack = MakeAlternateStack();
      if (!with_file) CHECK(store->CaptureSignals().ok());
      raise(signal);
      CHECK_EQ(static_cast<int>(g_done), 1);
      FreeAlternateStack(stack);
      store->Detach(false);
    });
  }
}

TEST(
    "given a host's handler for SIGBUS and an open region file, when signals are captured and the process dies, then SIGBUS has "
    "an alternate stack") {
  Scene scene;
  const Death death = InChild([&] {
    InstallHandler(SIGBUS, [](int) {});
    TemporaryFolder folder;
    StoreSpec spec = Schema("guarded");
    spec.file = folder / "r";
    OpenConflict conflict;
    Store* store = nullptr;
    CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
    scene.Capture();
    CHECK((ActionOf(SIGBUS).sa_flags & SA_ONSTACK) != 0);
    store->Detach(false);
    Fault();
  });
  CHECK_EQ(death.signal, SIGSEGV);
}

// ThreadSanitizer treats all that the child does as the work of a signal handler.
#if !defined(__SANITIZE_THREAD__)
TEST(
    "given a handler below ours that forks while the process dies, when the child captures its own store and dies, then that "
    "store has a last line") {
  for (const bool survived : {false, true}) {
    Scene scene("forking" + std::to_string(survived));
    Scene own("own" + std::to_string(survived));
    static Scene* g_own;
    g_own = &own;
    static volatile sig_atomic_t g_child = 0;
    static volatile sig_atomic_t g_forks_later = 0;
    g_forks_later = survived ? 1 : 0;
    static const auto child = [] {
      const pid_t made = fork();
      if (made == 0) {
        g_own->Capture();
        g_own->Add(6);
        Fault();
      }
      g_child = made;
    };
    const Death death = InChild([&] {
      InstallHandler(SIGABRT, [](int) {
        if (g_forks_later == 0) child();
        siglongjmp(g_back, 1);
      });
      scene.Capture();
      scene.Add(5);
      if (sigsetjmp(g_back, 1) == 0) std::abort();
      if (survived) child();
      int how = 0;
      CHECK_EQ(waitpid(g_child, &how, 0), static_cast<pid_t>(g_child));
      CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGSEGV);
    });
    CHECK_EQ(death.signal, 0);
    CHECK_EQ(death.exit_code, 0);
    own.CheckLastLine(SIGSEGV);
  }
}
#endif

}  // namespace
}  // namespace vmm
