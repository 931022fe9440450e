// Profile and its output: if a file, pipe or disk takes nothing, or a write never returns, sampling goes on and the
// profile can end.
//
// This file replaces the C library's write(), so that a write can hang as on a lost disk.

#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/survival.h"
#include "check.h"
#include "child.h"
#include "profile/profile.h"
#include "profile_bench.h"
#include "resource_limit.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// While `g_hold` is set, no write() returns on the thread that writes samples. `g_held` is set once such a write waits.
std::atomic<bool> g_hold{false}, g_held{false};

// The number of bytes that this thread wrote.
thread_local int64_t t_written_bytes = 0;

TEST("given an output with something in it, when a profile starts, then a path is emptied, and a caller's descriptor is not") {
  const TemporaryFolder folder;
  ProfileBench bench;
  WriteText(folder / "p", std::string(100'000, 'x'));
  bench.profiler.Stop(bench.Start(bench.SpecOf(folder / "p", kHour)));
  RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n");

  WriteText(folder / "q", "before\n");
  ProfileSpec spec = bench.SpecOf("", kHour);
  spec.descriptor = open((folder / "q").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const int descriptor = spec.descriptor;
  const auto profile = bench.Start(std::move(spec));
  CHECK_EQ(close(descriptor), 0);
  CHECK(bench.profiler.Stop(profile).status.ok());
  CHECK_EQ(RowsOf(TextOf(folder / "q"), "before\nTime (ns)\tg.n\n").size(), 1);
  CHECK_EQ(close(descriptor), -1);
}

TEST("given an output that cannot be opened, when a profile starts, then a status says so, and another profile can start") {
  const TemporaryFolder folder;
  ProfileBench bench;
  CHECK(bench.Start(bench.SpecOf(folder / "none/p", kMs)) == nullptr);
  CHECK(bench.status.code == Code::kOpen && bench.status.error == ENOENT);
  ProfileSpec spec = bench.SpecOf("", kMs);
  spec.descriptor = 4000;
  CHECK(bench.Start(std::move(spec)) == nullptr);
  CHECK(bench.status.code == Code::kOpen && bench.status.error == EBADF);
  CHECK(bench.Start(bench.SpecOf(folder / "p", kMs)) != nullptr);
}

TEST("given a full disk, when a profile runs, then the sampling ends, and each stop says why") {
  ProfileBench bench;
  while (ThreadNamed("vmm-samples-out") != 0) SleepMs(1);  // of an earlier test
  const int threads = EntriesIn("/proc/self/task");
  const auto profile = bench.Start(bench.SpecOf("/dev/full", kMs));
  while (EntriesIn("/proc/self/task") > threads) SleepMs(1);  // the profile's two threads end by themselves
  const ProfileResult first = bench.profiler.Stop(profile);
  CHECK(first.status.code == Code::kWrite && first.status.error == ENOSPC);
  CHECK_EQ(bench.profiler.Stop(profile).status.error, ENOSPC);
  CHECK(bench.Start(bench.SpecOf("/dev/null", kMs)) != nullptr);
}

TEST("given a pipe that nobody reads, when the profile is stopped, then the stop ends, and says that rows are lost") {
  const TemporaryFolder folder;
  Fifo fifo(folder / "pipe");
  fifo.Fill();
  ProfileBench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "pipe", kMs));
  SleepMs(10);
  const ProfileResult result = bench.profiler.Stop(profile);
  CHECK(result.status.code == Code::kWrite && result.status.error == EAGAIN);
}

TEST("given a pipe that nobody reads, when all rows are full, then the sampling backs off, and the samples arrive whole") {
  const TemporaryFolder folder;
  Fifo fifo(folder / "pipe");
  ProfileBench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "pipe", 10'000));
  // At this interval the sampling thread gives up the processor only when it backs off.
  const auto leaves = [] {
    const std::string status = TextOf("/proc/self/task/" + std::to_string(ThreadNamed("vmm-sampling")) + "/status");
    const size_t at = status.find("\nvoluntary_ctxt_switches:");
    return at == std::string::npos ? 0 : std::strtol(status.c_str() + at + 25, nullptr, 10);
  };
  for (int i = 0; i < kChildLimitMs && leaves() < 20; i++) SleepMs(1);
  std::string text;
  std::thread reading([&] {
    for (int empty = 0; empty < 200;) {
      const std::string more = fifo.Take();
      text += more;
      empty = more.empty() ? empty + 1 : 0;
      if (more.empty()) SleepMs(1);
    }
  });
  const ProfileResult result = bench.profiler.Stop(profile);
  reading.join();
  CHECK(result.status.ok());
  CHECK(result.back_offs > 0);
  const Rows rows = RowsOf(text, "Time (ns)\tg.n\n");
  CHECK_EQ(rows.size(), result.samples);
  CHECK(rows.size() >= SampleRing::kRows);
  CHECK(result.missed_ticks >= (result.back_offs - 1) * Sampler::kBackOffTicks);  // the last one may end early
}

TEST("given a write that never returns, when the profile is stopped, then the stop ends, and the write may end later") {
  const TemporaryFolder folder;
  ProfileBench bench;
  g_hold = true;
  auto profile = bench.Start(bench.SpecOf(folder / "p", kMs));
  while (!g_held) SleepMs(1);
  const ProfileResult result = bench.profiler.Stop(profile);
  // A crash meanwhile waits for the output only until its deadline.
  profile->output().SendLast(MonotonicMs() + 100);
  // The held write may still happen, and must not happen among another profile's rows.
  const auto next = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK(next == nullptr);
  CHECK(bench.status.code == Code::kWrongFile && bench.status.error == EBUSY);
  g_hold = false;
  CHECK(result.status.code == Code::kWrite && result.status.error == ETIMEDOUT);
  const std::weak_ptr<Profile> left = profile;
  profile.reset();
  for (int i = 0; i < kChildLimitMs && !left.expired(); i++) SleepMs(1);
  CHECK(left.expired());  // the thread that was left behind has released what it owns
  RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n");
  const auto then = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK(then != nullptr);
  CHECK(bench.profiler.Stop(then).status.ok());
}

TEST("given a process that can make no thread, when a profile starts, then a status says so, and its output is untouched") {
  CheckInChild([] {
    if (!StopBeingRoot()) return (void)CHECK(true);  // root may always make threads
    const TemporaryFolder folder;
    ProfileBench bench;
    WriteText(folder / "p", "rows of yesterday\n");
    rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NPROC, &before), 0);
    LimitResource(RLIMIT_NPROC, 0);
    const auto refused = bench.Start(bench.SpecOf(folder / "p", kMs));
    LimitResource(RLIMIT_NPROC, before.rlim_cur);
    CHECK(refused == nullptr);
    CHECK(bench.status.code == Code::kThread);
    CHECK_EQ(TextOf(folder / "p"), "rows of yesterday\n");
    const auto profile = bench.Start(bench.SpecOf(folder / "p", kHour));
    if (!CHECK(profile != nullptr)) return;
    CHECK(bench.profiler.Stop(profile).status.ok());
    CHECK_EQ(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size(), 1);
  });
}

TEST("given more rows than can go out before the deadline, when the last rows are sent, then some go out, each whole") {
  const TemporaryFolder folder;
  ProfileBench bench;
  bench.Add("g.n", 1'000'000'000'000'000'000);
  const auto profile = bench.Start(bench.SpecOf(folder / "p", 100'000, std::vector<std::string>(500, "g.n")));
  const auto bytes = [&] {
    const struct stat info = StatOf(folder / "p");
    return static_cast<int64_t>(info.st_size);
  };
  while (bytes() < 100'000) SleepMs(1);
  g_held = false;
  g_hold = true;
  while (!g_held) SleepMs(1);
  SleepMs(100);  // meanwhile ten rows of 10 kB come in a millisecond
  // The deadline is over, and the writing thread keeps the output until its buffer is written. So the handler writes
  // nothing.
  t_written_bytes = 0;
  const int64_t crash_ms = MonotonicMs();
  profile->output().SendLast(crash_ms);
  CHECK_EQ(t_written_bytes, 0);
  g_hold = false;
  for (int i = 0; i < kChildLimitMs && t_written_bytes == 0 && MonotonicMs() - crash_ms < kSurvivedMs / 2; i++) {
    profile->output().SendLast(MonotonicMs());
    SleepMs(1);
  }
  const int64_t after = bytes();
  SleepMs(300);
  if (MonotonicMs() - crash_ms < kSurvivedMs) {  // later the process counts as survived
    CHECK(t_written_bytes > 0);
    CHECK(t_written_bytes < 200'000);
    CHECK_EQ(bytes(), after);  // the writing thread no longer uses the output
    CHECK_EQ(TextOf(folder / "p").back(), '\n');
  }
  CHECK(bench.profiler.Stop(profile).samples > 0);
}

}  // namespace
}  // namespace vmm

extern "C" ssize_t write(int fd, const void* bytes, size_t count) {
  char name[16] = {};
  while (vmm::g_hold && pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 &&
         std::strcmp(name, "vmm-samples-out") == 0) {
    vmm::g_held = true;
    vmm::SleepMs(1);
  }
  const ssize_t written = syscall(SYS_write, fd, bytes, count);
  if (written > 0) vmm::t_written_bytes += written;
  return written;
}
