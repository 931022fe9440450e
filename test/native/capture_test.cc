// Capture and release of signals: a host's earlier handlers are called as before, and the release of the last store
// restores all dispositions.

#include "crash/capture.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "crash_scene.h"
#include "host_handler.h"

namespace vmm {
namespace {

volatile sig_atomic_t g_host_saw = 0;
volatile sig_atomic_t g_host_code = 0;
void HostHandler(int signal, siginfo_t* info, void*) {
  g_host_saw = signal;
  g_host_code = info->si_code;
}
void HostHandlerThatEnds(int, siginfo_t* info, void* context) {
  _exit(info != nullptr && info->si_code == SEGV_ACCERR && context != nullptr ? 42 : 43);
}

TEST("given a host's handler, when a fault comes, then a last line goes out, and the handler gets the siginfo of the fault") {
  Scene scene;
  const Death death = InChild([&] {
    InstallHandler(SIGSEGV, HostHandlerThatEnds);
    scene.Capture();
    scene.Add(5);
    Fault();
  });
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 42);
  scene.CheckLastLine(SIGSEGV);
}

TEST("given a host's handler that was put above ours and hands on, when a fault comes, then both are reached") {
  Scene scene;
  static struct sigaction ours;
  const Death death = InChild([&] {
    scene.Capture();
    ours = InstallHandler(SIGSEGV, [](int signal, siginfo_t* info, void* context) {
      ours.sa_sigaction(signal, info, context);
      _exit(42);
    });
    Fault();
  });
  CHECK_EQ(death.exit_code, 42);
  scene.CheckLastLine(SIGSEGV);
}

TEST("given signals that are handled, ignored or harmless, when they arrive, then they are counted, and the process survives") {
  CheckInChild([] {
    Scene scene;
    InstallHandler(SIGHUP, HostHandler);
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

TEST("given a request for every signal, when it is carried out, then each that the C library lets a program handle is captured") {
  Scene scene;
  CheckInChild([&] {
    CaptureOptions options;
    options.signals = ~SignalSet{0};
    CHECK(scene.store->CaptureSignals(options).ok());
    for (int signal = 1; signal < kSignals; signal++) {
      struct sigaction now;
      if (signal == SIGKILL || signal == SIGSTOP || sigaction(signal, nullptr, &now) != 0) continue;
      if (!CHECK(now.sa_handler != SIG_DFL)) std::printf("signal %d\n", signal);
    }
  });
}

TEST("given handlers and ignored signals, when the last captured store is released, then all dispositions are as before") {
  CheckInChild([] {
    InstallHandler(SIGHUP, HostHandler);
    signal(SIGTERM, SIG_IGN);
    struct sigaction before[kSignals] = {}, after[kSignals] = {};  // sigaction() refuses the C library's own signals
    for (int signal = 1; signal < kSignals; signal++) sigaction(signal, nullptr, &before[signal]);
    {
      Scene first("first"), second("second");
      CHECK(first.store->CaptureSignals().ok());
      CHECK(first.store->CaptureSignals().ok());  // twice is harmless
      CHECK(second.store->CaptureSignals().ok());
      const struct sigaction now = ActionOf(SIGSEGV);
      CHECK(now.sa_handler != before[SIGSEGV].sa_handler);
      CHECK((now.sa_flags & SA_ONSTACK) != 0);
    }
    for (int signal = 1; signal < kSignals; signal++) {
      sigaction(signal, nullptr, &after[signal]);
      CHECK(after[signal].sa_handler == before[signal].sa_handler);
    }
  });
}

TEST("given a handler above ours that hands signals on, when the last store is released, then these signals still kill") {
  Scene scene;
  static struct sigaction ours;
  const Death death = InChild([&] {
    CHECK(scene.store->CaptureSignals().ok());
    const auto above = +[](int signal, siginfo_t* info, void* context) { ours.sa_sigaction(signal, info, context); };
    ours = InstallHandler(SIGTERM, above);
    scene.store->Retain();
    scene.store->Detach(false);
    if (CHECK(ActionOf(SIGTERM).sa_sigaction == above)) raise(SIGTERM);
  });
  CHECK_EQ(death.signal, SIGTERM);
}

TEST(
    "given as many captured stores as there is room for, when one more is captured, then kTooManyCaptured, until one is "
    "released") {
  CheckInChild([] {
    std::vector<CaptureTarget> all(kCapturedMax + 1);
    Scene scene;
    for (CaptureTarget& target : all) {
      target.cells = &scene.store->cells();
      target.sender = &scene.store->flusher().sender();
    }
    for (int i = 0; i < kCapturedMax; i++) CHECK(Capture(&all[static_cast<size_t>(i)]).ok());
    CHECK_EQ(Capture(&all.back()).code, Code::kTooManyCaptured);
    CHECK(Capture(&all[3]).ok());  // a target that is captured already needs no new place
    Release(&all[7]);
    CHECK(Capture(&all.back()).ok());
    for (CaptureTarget& target : all) Release(&target);
  });
}

TEST("given a thread that gets signals without pause, when stores come and go, then no handler uses a released store") {
  CheckInChild([] {
    InstallHandler(SIGHUP, HostHandler);
    std::atomic<bool> done{false};
    std::thread signalled([&] {
      while (!done) raise(SIGHUP);
    });
    for (int i = 0; i < 200; i++) {
      Scene scene;  // AddressSanitizer reports a use after its end
      CHECK(scene.store->CaptureSignals().ok());
    }
    done = true;
    signalled.join();
  });
}

}  // namespace
}  // namespace vmm
