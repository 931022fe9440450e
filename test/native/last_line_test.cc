// The last line of a process that dies: it is whole, it contains every count that no earlier line contains, and no sink
// delays the death beyond the limit.
//
// Invariant, after any death: no line is broken, and the deltas in all lines and the pending counts add up to what was
// added.

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "crash_scene.h"
#include "line_reader.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST("given a last line that is written slowly, when other threads crash meanwhile, then they wait for it") {
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
  text += fifo.TakeAll();
  const Lines lines(text);
  scene.CheckExact(lines);
  CHECK_EQ(lines.tail, "");
  if (!CHECK_EQ(lines.count(), 1)) return;
  CHECK_EQ(lines.values[0].at("signals.segv"), 1);
  CHECK_EQ(lines.values[0].at("signals.abrt"), 0);
}

// The test knows exactly what was added before the fault. At the fault, the flushing threads may be anywhere in their
// work.
TEST(
    "given threads that flush in a loop, when another thread crashes, then every line is whole, and together they have every "
    "add") {
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

TEST("given a thread that flushes in a loop, when a signal interrupts it anywhere, then all lines are whole and have every add") {
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

TEST("given threads that add without pause, when another thread crashes, then lines and pending together have every add") {
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
      while (scene.store->cells().Total(CellOf(scene.store->spec(), "g.i")) == 0) SleepMs(1);  // both have begun
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

TEST("given a half-sent line in a pipe, when the process dies and the pipe is read, then that line and the last line are whole") {
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
  text += fifo.TakeAll();
  CHECK_EQ(death.signal, SIGSEGV);
  const Lines lines(text);
  scene.CheckExact(lines);
  CHECK_EQ(lines.tail, "");
  if (!CHECK_EQ(lines.count(), 2)) return;
  CHECK_EQ(lines.values[0].at("g.i"), 5);
  CHECK_EQ(lines.values[1].at("g.i"), 6);
  CHECK_EQ(lines.values[1].at("signals.segv"), 1);
}

TEST(
    "given pipes that stay full, when the process dies, then the death waits only until its deadline, however many stores there "
    "are") {
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

TEST(
    "given a sink that takes nothing, when the process dies, then the last line counts as missed, and everything stays pending") {
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

TEST("given a closed store, when the process dies, then no line follows the last line of the close") {
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

TEST(
    "given a store that flushes without pause, when another process sends SIGBUS, then the line on its way goes out whole before "
    "the death") {
  for (int round = 0; round < 8; round++) {
    Scene scene("sent" + std::to_string(round));
    const pid_t child = StartChild([&] {
      scene.Capture();
      for (;;) scene.Add(1), scene.Flush();
    });
    // After the first line, the child is captured and flushes.
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

}  // namespace
}  // namespace vmm
