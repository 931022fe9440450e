// A process dies while a profile runs: the samples so far are in the output, and the last line is out.

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "crash_scene.h"
#include "profile_bench.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// Called in the child: one row a millisecond, with one metric.
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

TEST("given a profile, when the process dies, then its file has the samples so far, each whole, and the last line is out") {
  for (const int signal : {SIGSEGV, SIGTERM}) {
    Scene scene;
    const Death death = InChild([&] {
      scene.Capture();
      const auto profile = StartProfile(scene, scene.folder / "p");
      SleepMs(20);
      scene.Add(3);
      AwaitRows(scene.folder / "p", 3);
      SleepMs(50);  // rows since then may not be written yet
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

TEST(
    "given a profile whose writing is under way, when the process dies, then no row is broken, and none is missing between two "
    "others") {
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
      while (TextOf(scene.folder / "p").size() < 1000) SleepMs(1);  // until the profile is writing
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
    "given a profile into a pipe that stays full, when the process dies, then the death waits only until its deadline, and the "
    "last line is out") {
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

TEST("given a profile in a process that survives a captured signal, when time passes, then its samples go on") {
  Scene scene;
  const Death death = InChild([&] {
    signal(SIGABRT, [](int) {});  // a host that survives, which the capture cannot know
    scene.Capture();
    const auto profile = StartProfile(scene, scene.folder / "p");
    AwaitRows(scene.folder / "p", 2);
    const int64_t died_ms = MonotonicMs();
    raise(SIGABRT);
    const int rows = ProfileText(TextOf(scene.folder / "p")).rows;
    CHECK(rows > 1);
    SleepMs(600);
    const int rows_then = ProfileText(TextOf(scene.folder / "p")).rows;
    // The process may still be dying, so no row may follow.
    if (MonotonicMs() - died_ms < kSurvivedMs) CHECK_EQ(rows_then, rows);
    AwaitRows(scene.folder / "p", rows_then + 300);
    CHECK(MonotonicMs() - died_ms >= kSurvivedMs);
    CHECK(ProfileText(TextOf(scene.folder / "p")).rows >= rows_then + 300);
    CHECK(scene.store->profiler().Stop(profile).status.ok());
    CHECK(ProfileText(TextOf(scene.folder / "p")).is_whole);
  });
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 0);
}

TEST("given a profile in a process that survives, when it is stopped soon and released, then its output is closed") {
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
    // Readers of the output see its end while the profile object still exists.
    scene.store->profiler().Stop(profile);
    CHECK(!is_open());
    profile.reset();
    for (int i = 0; i < 10'000 && is_open(); i++) SleepMs(1);
    CHECK(!is_open());
  });
  close(readers_own);
}

TEST("given a profile, when a forked child captures signals itself and dies, then it writes none of its parent's rows") {
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

TEST("given a profile into a pipe without a reader, when SIGTERM comes, then the process dies of SIGTERM and not of SIGPIPE") {
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
    raise(SIGTERM);  // a SIGPIPE would come first
  });
  CHECK_EQ(death.signal, SIGTERM);
  scene.CheckLastLine(SIGTERM);
}

TEST("given a profile whose disk was full, when the process dies later, then the death waits for nothing") {
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

}  // namespace
}  // namespace vmm
