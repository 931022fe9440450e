// Profile and its output: a file, a pipe or a disk that takes nothing, or a write that never returns, holds up neither
// the sampling nor the end of a profile.
//
// Here write() is in the place of the C library's, so that one can hang as on a disk that is gone.

#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
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
#include "temporary_folder.h"

namespace vmm {
namespace {

// While it is set, a write of the thread that writes samples does not return; `g_held` says that one is there.
std::atomic<bool> g_hold{false}, g_held{false};

// What this thread wrote itself.
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
  while (EntriesIn("/proc/self/task") > threads) SleepMs(1);  // both end by themselves
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
  // At this interval the sampling thread leaves the processor by itself only to back off.
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
  CHECK(result.missed_ticks >= (result.back_offs - 1) * Sampler::kBackOffTicks);  // the last one may have been cut short
}

TEST("given a write that never returns, when the profile is stopped, then the stop ends, and the write may end later") {
  const TemporaryFolder folder;
  ProfileBench bench;
  g_hold = true;
  auto profile = bench.Start(bench.SpecOf(folder / "p", kMs));
  while (!g_held) SleepMs(1);
  const ProfileResult result = bench.profiler.Stop(profile);
  // A crash meanwhile waits for the output no longer than it may.
  profile->output().SendLast(MonotonicMs() + 100);
  // That write is still to come, and must not come into the midst of another profile's rows.
  const auto next = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK(next == nullptr);
  CHECK(bench.status.code == Code::kWrongFile && bench.status.error == EBUSY);
  g_hold = false;
  CHECK(result.status.code == Code::kWrite && result.status.error == ETIMEDOUT);
  const std::weak_ptr<Profile> left = profile;
  profile.reset();
  for (int i = 0; i < kChildLimitMs && !left.expired(); i++) SleepMs(1);
  CHECK(left.expired());  // the thread that was left behind has used what it owns, and let go of it
  RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n");
  const auto then = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK(then != nullptr);
  CHECK(bench.profiler.Stop(then).status.ok());
}

TEST("given a process that can make no thread, when a profile starts, then a status says so, and its output is untouched") {
  const TemporaryFolder folder;
  ProfileBench bench;
  std::ofstream(folder / "p") << "rows of yesterday\n";
  pthread_attr_t before, huge;
  CHECK_EQ(pthread_getattr_default_np(&before), 0);
  CHECK_EQ(pthread_attr_init(&huge), 0);
  CHECK_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 46), 0);  // of every new thread, from now on
  CHECK_EQ(pthread_setattr_default_np(&huge), 0);
  const auto refused = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK_EQ(pthread_setattr_default_np(&before), 0);
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&before);
  CHECK(refused == nullptr);
  CHECK(bench.status.code == Code::kThread);
  CHECK_EQ(TextOf(folder / "p"), "rows of yesterday\n");
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kHour));
  CHECK(profile != nullptr);
  CHECK(bench.profiler.Stop(profile).status.ok());
  CHECK_EQ(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size(), 1);
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
  SleepMs(100);  // while it is held, rows of 10 kB come, ten a millisecond
  // The deadline is over. The writing thread is at a buffer, and keeps the output until that is out: nothing to be had.
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
  if (MonotonicMs() - crash_ms < kSurvivedMs) {  // else the process counts as one that has survived
    CHECK(t_written_bytes > 0);
    CHECK(t_written_bytes < 200'000);
    CHECK_EQ(bytes(), after);  // the writing thread leaves the output to the handler
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
