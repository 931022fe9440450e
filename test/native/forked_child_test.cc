// A forked child dies as it would without capture, and its parent's metrics and sink stay as they were.

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fork.h"
#include "check.h"
#include "child.h"
#include "crash_scene.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST("given a forked child, when it crashes, then it dies as without capture, and its parent's metrics and sink are untouched") {
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
    "given a forked child with its parent's number in a PID namespace of its own, when it crashes, then it is not taken for its "
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

TEST("given a forked child that captures its own store, when it crashes, then only that store has a last line") {
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

}  // namespace
}  // namespace vmm
