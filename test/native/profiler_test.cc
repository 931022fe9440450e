// Profiler: one run at a time, started and stopped by any thread, and its threads leave nothing behind.

#include "profile/profiler.h"

#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "profile_bench.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST(
    "given a profile, when another one is started, then the other is refused, and its output is untouched; a stop without a "
    "profile does nothing") {
  const TemporaryFolder folder;
  ProfileBench bench;
  bench.profiler.Stop();
  WriteText(folder / "other", "kept");
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK(bench.Start(bench.SpecOf(folder / "other", kMs)) == nullptr);
  CHECK(bench.status.code == Code::kAlreadyRunning);
  CHECK_EQ(TextOf(folder / "other"), "kept");
  bench.profiler.Stop();
  bench.profiler.Stop();
  CHECK(bench.profiler.Stop(profile).samples > 0);
}

TEST("given a profile that is over, when it is stopped again, then the profile that runs by now goes on") {
  ProfileBench bench;
  const auto over = bench.Start(bench.SpecOf("/dev/null", kHour));
  bench.profiler.Stop(over);
  const auto running = bench.Start(bench.SpecOf("/dev/null", kHour));
  bench.profiler.Stop(over);
  CHECK(bench.Start(bench.SpecOf("/dev/null", kHour)) == nullptr);
  CHECK(bench.status.code == Code::kAlreadyRunning);
}

TEST("given a sampling thread that spins, when rows are written, then the writing thread stays off its processor") {
  cpu_set_t own, writing;
  if (sched_getaffinity(0, sizeof(own), &own) != 0 || CPU_COUNT(&own) < 2) return;  // there is no other processor
  ProfileBench bench;
  while (ThreadNamed("vmm-samples-out") != 0) SleepMs(1);  // of an earlier test
  const auto profile = bench.Start(bench.SpecOf("/dev/null", 10'000));
  int processors = 0;
  for (int i = 0; i < kChildLimitMs && processors != CPU_COUNT(&own) - 1; i++) {
    SleepMs(1);
    const pid_t thread = ThreadNamed("vmm-samples-out");
    if (thread != 0 && sched_getaffinity(thread, sizeof(writing), &writing) == 0) processors = CPU_COUNT(&writing);
  }
  CHECK_EQ(processors, CPU_COUNT(&own) - 1);
  bench.profiler.Stop(profile);
}

TEST(
    "given a profile, when it runs, then its threads block signals from outside, and take the faults that they cause "
    "themselves") {
  ProfileBench bench;
  while (ThreadNamed("vmm-samples-out") != 0) SleepMs(1);  // of an earlier test
  const auto profile = bench.Start(bench.SpecOf("/dev/null", kMs));
  for (const char* const name : {"vmm-sampling", "vmm-samples-out"}) {
    pid_t thread = 0;
    for (int i = 0; i < kChildLimitMs && (thread = ThreadNamed(name)) == 0; i++) SleepMs(1);
    const std::string status = TextOf("/proc/self/task/" + std::to_string(thread) + "/status");
    const uint64_t blocked = std::strtoull(status.c_str() + status.find("SigBlk:") + 7, nullptr, 16);
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGPIPE}) CHECK((blocked >> (signal - 1) & 1) == 1);
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT}) CHECK((blocked >> (signal - 1) & 1) == 0);
  }
  bench.profiler.Stop(profile);
}

TEST("given several threads, when all of them stop one profile at once, then all get the same figures") {
  const TemporaryFolder folder;
  ProfileBench bench;
  for (int round = 0; round < 20; round++) {
    const auto profile = bench.Start(bench.SpecOf(folder / "p", 100'000));
    SleepMs(2);
    ProfileResult results[4];
    std::vector<std::thread> threads;
    for (ProfileResult& result : results) threads.emplace_back([&] { result = bench.profiler.Stop(profile); });
    for (std::thread& thread : threads) thread.join();
    for (const ProfileResult& result : results) {
      CHECK(result.status.ok());
      CHECK_EQ(result.samples, results[0].samples);
      CHECK_EQ(result.late_ns_max, results[0].late_ns_max);
    }
    CHECK_EQ(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size(), results[0].samples);
  }
}

TEST("given a profile, when it is stopped and started again at once, 2000 times, then every run has its rows") {
  const TemporaryFolder folder;
  ProfileBench bench;
  int failed = 0;
  for (int round = 0; round < 2000; round++) {
    const auto profile = bench.Start(bench.SpecOf(folder / "p", 10'000));
    if (profile == nullptr) {
      failed++;
      continue;
    }
    const ProfileResult result = bench.profiler.Stop(profile);
    const std::string text = TextOf(folder / "p");
    if (!result.status.ok() || static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')) != result.samples + 1) failed++;
  }
  CHECK_EQ(failed, 0);
}

TEST("given threads that start and stop at once, when all are done, then each start was stopped or refused") {
  const TemporaryFolder folder;
  ProfileBench bench;
  std::atomic<int> started{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; i++) {
        std::shared_ptr<Profile> profile;
        const Status status = bench.profiler.Start(bench.SpecOf(folder / std::to_string(t), 50'000), &profile);
        if (status.ok()) {
          started++;
          if (bench.profiler.Stop(profile).samples == 0) wrong++;
        } else if (status.code != Code::kAlreadyRunning) {
          wrong++;
        }
        if (i % 10 == 0) bench.profiler.Stop();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(started > 0);
  CHECK_EQ(wrong.load(), 0);
  CHECK(bench.Start(bench.SpecOf(folder / "p", kMs)) != nullptr);
}

TEST("given a profile, when the process forks, then a stop in the child does nothing, and the profile goes on in the parent") {
  const TemporaryFolder folder;
  ProfileBench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kMs));
  AwaitRows(folder / "p", 1);  // the samples belong to the parent, not to the child
  CheckInChild([&] {
    bench.profiler.Stop();
    CHECK_EQ(bench.profiler.Stop(profile).samples, 0);
#ifndef __SANITIZE_THREAD__  // ThreadSanitizer lets no child of a process with threads start a thread
    const auto own = bench.Start(bench.SpecOf(folder / "child", kHour));
    CHECK(own != nullptr);
    CHECK_EQ(bench.profiler.Stop(own).samples, 1);
    CHECK_EQ(RowsOf(TextOf(folder / "child"), "Time (ns)\tg.n\n").size(), 1);
#endif
  });
  SleepMs(5);
  CHECK(bench.profiler.Stop(profile).status.ok());
  CHECK(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size() > 1);
}

TEST("given many profiles that are over, when they are kept for their figures, then their rows are not kept") {
  ProfileBench bench;
  std::vector<std::shared_ptr<Profile>> kept;
  const auto resident_kb = [] {
    const std::string text = TextOf("/proc/self/status");
    return std::strtol(text.c_str() + text.find("VmRSS:") + 6, nullptr, 10);
  };
  const long before_kb = resident_kb();
  for (int i = 0; i < 50; i++) {
    kept.push_back(bench.Start(bench.SpecOf("/dev/null", kMs, std::vector<std::string>(100, "g.n"))));
    bench.profiler.Stop(kept.back());
  }
  CHECK(resident_kb() - before_kb < 200'000);  // if the rows stayed: 50 times 13 MB
  CHECK(kept.front()->Stop().samples > 0);
}

TEST("given a profile, when it runs, then its threads leave no descriptor and no thread behind") {
  const TemporaryFolder folder;
  ProfileBench bench;
  const int descriptors = EntriesIn("/proc/self/fd"), threads = EntriesIn("/proc/self/task");
  for (int i = 0; i < 20; i++) bench.profiler.Stop(bench.Start(bench.SpecOf(folder / "p", kMs)));
  // A writing thread ends a moment after it has reported its end. The thread of an earlier test may still be there.
  for (int i = 0; i < kChildLimitMs && EntriesIn("/proc/self/task") > threads; i++) SleepMs(1);
  CHECK(EntriesIn("/proc/self/task") <= threads);
  CHECK_EQ(EntriesIn("/proc/self/fd"), descriptors);
}

}  // namespace
}  // namespace vmm
