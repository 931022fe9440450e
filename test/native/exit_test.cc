// Interrupted ends of a process: exit() in a signal handler, a store that is closed while a handler still needs it, and
// waits between threads that open and close stores.

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "child.h"
#include "crash/capture.h"
#include "crash_scene.h"

namespace vmm {
namespace {

// While this is set, no lock on a named file is granted, as on a file system that hangs.
std::atomic<bool> g_hangs{false};
std::atomic<int> g_hanging{0};

}  // namespace
}  // namespace vmm

// The sanitizers replace many functions, but not flock(). Only some C libraries declare it noexcept.
extern "C" int flock(int fd, int operation) noexcept(noexcept(::flock(0, 0))) {
  const auto hangs = [] { return vmm::g_hangs.load(); };
  struct stat info;
  const bool is_named = fstat(fd, &info) == 0 && info.st_nlink != 0;  // a memfd has no name, and its lock never hangs
  if (hangs() && is_named && (operation & LOCK_EX) != 0) {
    vmm::g_hanging++;
    while (hangs()) vmm::SleepMs(1);
    vmm::g_hanging--;
  }
  return static_cast<int>(syscall(SYS_flock, fd, operation));
}

namespace vmm {
namespace {

Store* OpenStore(const std::string& name, const std::string& file, Status* status) {
  StoreSpec spec = Schema(name);
  spec.file = file;
  OpenConflict conflict;
  Store* store = nullptr;
  *status = Store::Open(std::move(spec), &store, &conflict);
  return store;
}

TEST(
    "given a loop that flushes, when a signal handler calls exit() at any point of it, then the process ends with that code, and "
    "all lines are whole") {
  for (int round = 0; round < 20; round++) {
    TemporaryFolder folder;
    const std::string sink = folder / "f";
    const Death death = InChild([&] {
      Scene scene("exits");  // made in the child, since a child does not flush its parent's store
      Status status;
      if (!CHECK_EQ(scene.store->flusher().Init(sink.c_str(), -1, &status), InitResult::kDone)) _exit(2);
      if (round % 2 == 0 && !CHECK(scene.store->CaptureSignals().ok())) _exit(2);
      signal(SIGUSR1, [](int) { std::exit(42); });
      signal(SIGALRM, [](int) { raise(SIGUSR1); });
      // The first line is out before the signal can come, also on a machine that is busy.
      scene.Add(1);
      CHECK_EQ(scene.store->Flush(&status), FlushResult::kOut);
      const itimerval soon = {{0, 0}, {0, 2000 + round * 397}};
      setitimer(ITIMER_REAL, &soon, nullptr);
      for (;;) {
        scene.Add(1);
        scene.store->Flush(&status);
      }
    });
    CHECK_EQ(death.signal, 0);
    CHECK_EQ(death.exit_code, 42);
    const Lines lines(TextOf(sink));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.tail, "");
    CHECK(lines.count() > 0);
  }
}

TEST("given a thread that stops a profile whose output hangs, when a signal handler calls exit() on it, then the process ends") {
  for (int round = 0; round < 5; round++) {
    const Death death = InChild([&] {
      Scene scene("stops");
      int ends[2];
      CHECK_EQ(pipe(ends), 0);
      CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
      CHECK_EQ(write(ends[1], std::string(4096, ' ').data(), 4096), 4096);  // further writes wait for a reader
      ProfileSpec spec;
      spec.cells = {CellOf(scene.store->spec(), "g.i")};
      spec.interval_ns = 1'000'000;
      spec.header = "Time (ns)\tg.i\n";
      spec.descriptor = ends[1];
      std::shared_ptr<Profile> profile;
      CHECK(scene.store->profiler().Start(std::move(spec), &profile).ok());
      signal(SIGALRM, [](int) { std::exit(42); });
      const itimerval soon = {{0, 0}, {0, 20'000 + round * 100'000}};
      setitimer(ITIMER_REAL, &soon, nullptr);
      scene.store->profiler().Stop(profile);
      for (;;) pause();
    });
    CHECK_EQ(death.signal, 0);
    CHECK_EQ(death.exit_code, 42);
  }
}

TEST("given a thread that never gives the flusher's lock back, when the process exits, then it ends all the same") {
  const Death death = InChild([&] {
    Scene scene("held");
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    Status status;
    // A flush that waits for its sink has the lock while the pipe is full.
    std::vector<char> full(1 << 20, ' ');
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], full.data(), full.size()) > 0) {
    }
    CHECK_EQ(scene.store->flusher().Init(nullptr, ends[1], &status), InitResult::kDone);
    scene.Add(1);
    std::thread([&] {
      Status ignored;
      scene.store->flusher().Flush(&ignored, 1 << 30);
    }).detach();
    SleepMs(20);
    std::exit(7);
  });
  CHECK_EQ(death.signal, 0);
  CHECK_EQ(death.exit_code, 7);
}

TEST("given a thread that tells the listener of a trouble, when a signal handler calls exit() on it, then the process ends") {
  TemporaryFolder folder;
  const std::string sink = folder / "f";
  const Death death = InChild([&] {
    Scene scene("troubles");
    scene.Capture(sink);
    scene.Add(3);
    signal(SIGUSR1, [](int) { std::exit(42); });
    scene.store->troubles().Listen(&scene, [] { raise(SIGUSR1); });  // here the thread has the lock of the troubles
    scene.store->troubles().AddMissed({Code::kWrite, EAGAIN, "write"});
  });
  CHECK_EQ(death.exit_code, 42);
  const Lines lines(TextOf(sink));
  CHECK_EQ(lines.Sum("g.i"), 3);
}

TEST(
    "given a last line that waits for its reader, when the last attachment is given up meanwhile, then the line comes out as "
    "soon as the pipe is read") {
  TemporaryFolder folder;
  const std::string fifo = folder / "fifo";
  CHECK_EQ(mkfifo(fifo.c_str(), 0600), 0);
  int said[2];
  CHECK_EQ(pipe(said), 0);
  const pid_t child = StartChild([&] {
    Scene scene("waits", true);
    Status status;
    CHECK_EQ(scene.store->flusher().Init(fifo.c_str(), -1, &status), InitResult::kDone);
    const int holder = open(fifo.c_str(), O_RDWR);
    fcntl(holder, F_SETPIPE_SZ, 4096);
    CaptureOptions options;
    options.limit_ms = kChildLimitMs / 2;
    CHECK(scene.store->CaptureSignals(options).ok());
    scene.Add(5);
    while (scene.store->Flush(&status) == FlushResult::kOut) {
    }
    std::thread([] { Fault(); }).detach();
    while (scene.record().signal.load() == 0) SleepMs(1);
    SleepMs(100);  // so that the handler is writing its line
    scene.store->Detach(true);
    CHECK_EQ(write(said[1], "x", 1), 1);
    for (;;) pause();
  });
  close(said[1]);
  char x = 0;
  CHECK_EQ(read(said[0], &x, 1), 1);  // the child has detached from the store
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  std::string text;
  char piece[4096];
  const Death death = Await(child, kChildLimitMs, [&] {
    for (ssize_t bytes; (bytes = read(reader, piece, sizeof(piece))) > 0;) text.append(piece, static_cast<size_t>(bytes));
  });
  CHECK_EQ(death.signal, SIGSEGV);
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.tail, "");
  if (CHECK(lines.count() > 1)) CHECK_EQ(lines.values.back().at("signals.segv"), 1);
  close(reader);
  close(said[0]);
}

// How the region says that its writer ended.
std::pair<RegionState, int32_t> EndingOf(const RegionHeader& header) {
  const auto state = static_cast<RegionState>(header.state.load(std::memory_order_acquire));  // publishes the exit code
  return {state, header.exit_code.load(std::memory_order_relaxed)};
}

TEST(
    "given a store that ends in two ways, when one comes before the other, then the region tells the first, and a code that came "
    "later") {
  constexpr int32_t kCode = 5;
  const Ending closed = {RegionState::kClosed, 0}, exited, panicked = {RegionState::kPanicked, 7};
  const auto end = [&](const Ending& ending, bool is_exit_first) {
    Status status;
    Store* const store = OpenStore("two ends", "", &status);
    store->Retain();
    CHECK(EndingOf(store->cells().region().header()).first == RegionState::kRunning);
    if (is_exit_first) store->EndWithProcess(kCode);
    store->Detach(ending);
    if (!is_exit_first) store->EndWithProcess(kCode);
    const auto told = EndingOf(store->cells().region().header());
    store->Unreference();
    return told;
  };
  CHECK(end(closed, false) == std::make_pair(RegionState::kClosed, 0));
  CHECK(end(panicked, false) == std::make_pair(RegionState::kPanicked, 7));
  CHECK(end(exited, false) == std::make_pair(RegionState::kExited, kCode));
  for (const Ending& second : {closed, panicked, exited}) {
    CHECK(end(second, true) == std::make_pair(RegionState::kExited, kCode));
  }
}

TEST(
    "given threads that close a store and exit at the same time, when a reader looks, then it never sees one's state with the "
    "other's code") {
  constexpr int32_t kCode = 5;
  for (int round = 0; round < 50; round++) {
    Status status;
    Store* const store = OpenStore("both ends", "", &status);
    store->Retain();
    std::atomic<bool> goes{false};
    std::thread closes([&] {
      while (!goes.load()) {
      }
      store->Detach({RegionState::kPanicked, 7});
    });
    std::thread exits([&] {
      while (!goes.load()) {
      }
      store->EndWithProcess(kCode);
    });
    goes.store(true);
    const RegionHeader& header = store->cells().region().header();
    std::pair<RegionState, int32_t> first, now;
    while ((first = EndingOf(header)).first == RegionState::kRunning) {
    }
    const auto is_sound = [&](const auto& told) {
      return told == std::make_pair(RegionState::kPanicked, 7) || told == std::make_pair(RegionState::kExited, kCode);
    };
    CHECK(is_sound(first));
    closes.join();
    exits.join();
    CHECK(EndingOf(header) == first);
    store->Unreference();
  }
}

TEST("given a store whose file system hangs, when other stores are opened and closed, then they do not wait for it") {
  TemporaryFolder folder;
  g_hangs = true;
  Status slow;
  std::thread hangs([&] {
    Store* const store = OpenStore("hangs", folder / "r", &slow);
    if (store != nullptr) store->Detach(false);
  });
  while (g_hanging == 0) SleepMs(1);
  Status status;
  for (int i = 0; i < 3; i++) {
    Store* const other = OpenStore("other", "", &status);
    CHECK(status.ok());
    if (other != nullptr) other->Detach(true);
  }
  CHECK(g_hanging > 0);
  g_hangs = false;
  hangs.join();
  CHECK(slow.ok());
}

TEST(
    "given a store that another thread is closing, when its name and file are opened again, then the opening waits, and finds "
    "nothing busy") {
  for (const bool same_name : {true, false}) {
    TemporaryFolder folder;
    const std::string file = folder / "r";
    Status status;
    Store* first = OpenStore("closing", file, &status);
    if (!CHECK(status.ok())) return;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    std::vector<char> full(4096, ' ');
    while (write(ends[1], full.data(), full.size()) > 0) {
    }
    CHECK_EQ(first->flusher().Init(nullptr, ends[1], &status), InitResult::kDone);
    AddShared(first->cells().Shared(CellOf(first->spec(), "g.i")), 1);
    std::atomic<bool> is_closing{false};
    // The last line waits for a reader that never comes.
    std::thread closes([&] {
      is_closing = true;
      first->Detach(true);
    });
    while (!is_closing || !first->is_closed()) SleepMs(1);
    Store* const again = OpenStore(same_name ? "closing" : "another", file, &status);
    CHECK(status.ok());
    closes.join();
    if (again != nullptr) again->Detach(false);
    close(ends[0]);
    close(ends[1]);
  }
}

}  // namespace
}  // namespace vmm
