// Profile and Profiler: what a run writes, and how it ends, whatever its output does.
//
// No test here measures how long something took: a machine under load is late. What would wait for an hour, or for
// ever, and ends, did not wait. Here write() is in the place of the C library's, so that one can hang as on a disk that
// is gone.

#include "profile/profile.h"

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "profile/profiler.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kHour = 3600 * 1000 * kMs;

StoreSpec Schema() {
  return SchemaBuilder().Group("g", {Inc("n"), Gauge("level"), Latency("time")}).PerDevice("d", {Inc("n")}).Build("profile");
}

struct Bench : Rig {
  Bench() : Rig(Schema()), profiler(cells) {}

  ProfileSpec SpecOf(const std::string& path, uint64_t interval_ns, std::vector<std::string> paths = {"g.n"}) {
    ProfileSpec made;
    made.header = "Time (ns)";
    for (const std::string& name : paths) {
      made.cells.push_back(CellOf(spec, name));
      made.header += "\t" + name;
    }
    made.header += "\n";
    made.interval_ns = interval_ns;
    made.path = path;
    return made;
  }
  std::shared_ptr<Profile> Start(ProfileSpec&& made) {
    std::shared_ptr<Profile> profile;
    status = profiler.Start(std::move(made), &profile);
    return profile;
  }

  Profiler profiler;
};

// Rows of numbers; a line that is none ends the test.
using Rows = std::vector<std::vector<uint64_t>>;
Rows RowsOf(const std::string& text, const std::string& header) {
  CHECK_EQ(text.substr(0, header.size()), header);
  CHECK(!text.empty() && text.back() == '\n');
  Rows rows;
  std::istringstream lines(text.substr(std::min(text.size(), header.size())));
  for (std::string line; std::getline(lines, line);) {
    std::vector<uint64_t> row;
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(std::strtoull(field.c_str(), nullptr, 10));
    rows.push_back(row);
  }
  return rows;
}

// While it is set, a write of the thread that writes samples does not return; `g_held` says that one is there.
std::atomic<bool> g_hold{false}, g_held{false};

// What this thread wrote itself.
thread_local int64_t t_written_bytes = 0;

pid_t ThreadNamed(const std::string& name) {
  pid_t found = 0;
  DIR* const listed = opendir("/proc/self/task");
  while (const dirent* const entry = readdir(listed)) {
    if (TextOf(std::string("/proc/self/task/") + entry->d_name + "/comm") == name + "\n") found = std::atoi(entry->d_name);
  }
  closedir(listed);
  return found;
}

int EntriesIn(const char* path) {
  int entries = 0;
  DIR* const listed = opendir(path);
  while (readdir(listed) != nullptr) entries++;
  closedir(listed);
  return entries;
}

// A busy machine may let the threads of a profile begin late.
void AwaitRows(const std::string& path, int rows) {
  const auto are_there = [&] {
    const std::string text = TextOf(path);
    return std::count(text.begin(), text.end(), '\n') > rows;  // and the header
  };
  for (int i = 0; i < kChildLimitMs && !are_there(); i++) SleepMs(1);
}

TEST(
    "given a profile, when it is stopped, then each row has its time and the values, and the last one what there is at the end") {
  const TemporaryFolder folder;
  Bench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kMs, {"g.n", "g.level"}));
  for (int i = 0; i < 50; i++) {
    bench.Add("g.n", 1);
    SleepMs(1);
  }
  AwaitRows(folder / "p", 6);
  Set(bench.At("g.level"), 7);
  const ProfileResult result = bench.profiler.Stop(profile);
  CHECK(result.status.ok());
  const Rows rows = RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\tg.level\n");
  CHECK_EQ(rows.size(), result.samples);
  CHECK(rows.size() > 5);
  for (size_t i = 0; i < rows.size(); i++) {
    CHECK_EQ(rows[i].size(), 3);
    CHECK(i == 0 || (rows[i][0] > rows[i - 1][0] && rows[i][1] >= rows[i - 1][1]));
  }
  CHECK(rows[0][0] >= kMs);  // the first tick is one interval from the start
  CHECK_EQ(rows.back()[1], 50);
  CHECK_EQ(rows.back()[2], 7);
  // Each tick was sampled or missed; the last sample has none.
  const uint64_t ticks = rows.back()[0] / kMs;
  const uint64_t accounted = result.samples - 1 + result.missed_ticks;
  CHECK(accounted == ticks || accounted + 1 == ticks);
  CHECK(result.late_ns_median <= result.late_ns_p99 && result.late_ns_p99 <= result.late_ns_max);
  CHECK(result.late_ns_max > 0);
}

TEST("given a profile, when it is stopped, then its lateness is that of its rows' times from their ticks") {
  constexpr uint64_t kIntervalNs = 20 * kMs;
  const TemporaryFolder folder;
  Bench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kIntervalNs));
  AwaitRows(folder / "p", 9);
  const ProfileResult result = bench.profiler.Stop(profile);
  if (result.late_ns_max >= kIntervalNs) return;  // on a machine this late a row's time does not tell its tick
  Rows rows = RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n");
  rows.pop_back();  // it has no tick
  std::vector<uint64_t> late_ns;
  for (const std::vector<uint64_t>& row : rows) late_ns.push_back(row[0] % kIntervalNs);
  std::sort(late_ns.begin(), late_ns.end());
  CHECK_EQ(result.late_ns_max, late_ns.back());
  const auto is_near = [&](uint64_t got, size_t percent) {
    const uint64_t expected = late_ns[(late_ns.size() * percent + 99) / 100 - 1];
    return got <= expected && expected - got <= expected / 32;
  };
  CHECK(is_near(result.late_ns_median, 50));
  CHECK(is_near(result.late_ns_p99, 99));
}

TEST("given values of every size and a latency, when sampled, then they are exact") {
  const TemporaryFolder folder;
  Bench bench;
  ProfileSpec spec = bench.SpecOf(folder / "p", kHour, {"g.n", "g.level"});
  const uint32_t time = CellOf(bench.spec, "g.time");
  spec.cells.insert(spec.cells.end(), {time, time + 1, time + 2});
  for (const uint64_t value : {uint64_t{0}, uint64_t{1'000'000'000'000'000'000}, uint64_t{1} << 63, ~uint64_t{0}}) {
    Set(bench.At("g.n"), value);
    Set(bench.At("g.level"), value);
    Set(bench.cells.Shared(time), ~value);  // the complement of the minimum
    Set(bench.cells.Shared(time + 1), value);
    Set(bench.cells.Shared(time + 2), value);
    bench.profiler.Stop(bench.Start(ProfileSpec(spec)));
    const Rows rows = RowsOf(TextOf(folder / "p"), spec.header);
    if (!CHECK_EQ(rows.size(), 1)) continue;
    for (size_t column = 1; column < 6; column++) CHECK_EQ(rows[0][column], value);
  }
}

TEST("given an interval of an hour, when stopped, then it ends, with the last sample alone") {
  const TemporaryFolder folder;
  Bench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kHour));
  SleepMs(5);
  const ProfileResult result = bench.profiler.Stop(profile);
  CHECK_EQ(result.samples, 1);
  CHECK_EQ(result.missed_ticks, 0);
  CHECK_EQ(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size(), 1);
}

TEST("given an interval far below what the machine can do, when it runs, then ticks are missed and counted") {
  const TemporaryFolder folder;
  Bench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", 1));
  AwaitRows(folder / "p", 1);
  const ProfileResult result = bench.profiler.Stop(profile);
  CHECK(result.samples > 1 && result.missed_ticks > result.samples);
  CHECK_EQ(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size(), result.samples);
}

TEST("given annotations, when stopped, then the first line has the start and the last one the figures") {
  const TemporaryFolder folder;
  Bench bench;
  ProfileSpec spec = bench.SpecOf(folder / "p", 2 * kMs);
  spec.annotate = true;
  spec.annotation = "\tinc count";
  const auto profile = bench.Start(std::move(spec));
  SleepMs(20);
  const ProfileResult result = bench.profiler.Stop(profile);
  const std::string text = TextOf(folder / "p");
  int year = 0, nanoseconds = -1, end = 0;
  std::sscanf(text.c_str(), "# start=%d-%*2d-%*2dT%*2d:%*2d:%*2d.%9dZ interval_ns=2000000\tinc count\nTime (ns)\tg.n\n%n", &year,
              &nanoseconds, &end);
  CHECK(year >= 2024 && nanoseconds >= 0 && end > 0);
  const std::string last =
      "# samples=" + std::to_string(result.samples) + " missed_ticks=" + std::to_string(result.missed_ticks) +
      " back_offs=0 late_ns_median=" + std::to_string(result.late_ns_median) +
      " late_ns_p99=" + std::to_string(result.late_ns_p99) + " late_ns_max=" + std::to_string(result.late_ns_max) + "\n";
  CHECK_EQ(text.substr(text.find_last_of('#')), last);
}

TEST(
    "given a file with something in it, when a profile starts, then it is emptied; a descriptor is not, and is the caller's "
    "own") {
  const TemporaryFolder folder;
  Bench bench;
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

TEST("given an output that cannot be had, when a profile starts, then it says so, and another one can start") {
  const TemporaryFolder folder;
  Bench bench;
  CHECK(bench.Start(bench.SpecOf(folder / "none/p", kMs)) == nullptr);
  CHECK(bench.status.code == Code::kOpen && bench.status.error == ENOENT);
  ProfileSpec spec = bench.SpecOf("", kMs);
  spec.descriptor = 4000;
  CHECK(bench.Start(std::move(spec)) == nullptr);
  CHECK(bench.status.code == Code::kOpen && bench.status.error == EBADF);
  CHECK(bench.Start(bench.SpecOf(folder / "p", kMs)) != nullptr);
}

TEST("given a profile, when another is started, then it is refused, and its output untouched; without one, a stop does nothing") {
  const TemporaryFolder folder;
  Bench bench;
  bench.profiler.Stop();
  WriteText(folder / "other", "kept");
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK(bench.Start(bench.SpecOf(folder / "other", kMs)) == nullptr);
  CHECK(bench.status.code == Code::kTaken);
  CHECK_EQ(TextOf(folder / "other"), "kept");
  bench.profiler.Stop();
  bench.profiler.Stop();
  CHECK(bench.profiler.Stop(profile).samples > 0);
}

TEST("given a full disk, when it runs, then the sampling ends, and the stop says why, each time") {
  Bench bench;
  while (ThreadNamed("vmm-samples-out") != 0) SleepMs(1);  // of an earlier test
  const int threads = EntriesIn("/proc/self/task");
  const auto profile = bench.Start(bench.SpecOf("/dev/full", kMs));
  while (EntriesIn("/proc/self/task") > threads) SleepMs(1);  // both end by themselves
  const ProfileResult first = bench.profiler.Stop(profile);
  CHECK(first.status.code == Code::kWrite && first.status.error == ENOSPC);
  CHECK_EQ(bench.profiler.Stop(profile).status.error, ENOSPC);
  CHECK(bench.Start(bench.SpecOf("/dev/null", kMs)) != nullptr);
}

TEST("given a pipe that nobody reads, when the profile is stopped, then it ends, and says that rows are lost") {
  const TemporaryFolder folder;
  Fifo fifo(folder / "pipe");
  fifo.Fill();
  Bench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "pipe", kMs));
  SleepMs(10);
  const ProfileResult result = bench.profiler.Stop(profile);
  CHECK(result.status.code == Code::kWrite && result.status.error == EAGAIN);
}

TEST("given a pipe that nobody reads, when all rows are full, then the sampling backs off, and what was sampled arrives whole") {
  const TemporaryFolder folder;
  Fifo fifo(folder / "pipe");
  Bench bench;
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
  CHECK(result.missed_ticks >= (result.back_offs - 1) * Profile::kBackOffTicks);  // the last one may have been cut short
}

TEST("given a write that never returns, when the profile is stopped, then it ends, and the write may end later") {
  const TemporaryFolder folder;
  Bench bench;
  g_hold = true;
  auto profile = bench.Start(bench.SpecOf(folder / "p", kMs));
  while (!g_held) SleepMs(1);
  const ProfileResult result = bench.profiler.Stop(profile);
  // A crash meanwhile waits for the output no longer than it may.
  profile->LastSamples(MonotonicMs() + 100);
  // That write is still to come, and must not come into the midst of another profile's rows.
  const auto next = bench.Start(bench.SpecOf(folder / "p", kMs));
  CHECK(next == nullptr);
  CHECK(bench.status.code == Code::kForeign && bench.status.error == EBUSY);
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

TEST("given no thread to be had, when a profile starts, then it says so, and what is in its output is there still") {
  const TemporaryFolder folder;
  Bench bench;
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

TEST("given more rows than can go out until the deadline, when the last ones are asked for, then some do, each whole") {
  const TemporaryFolder folder;
  Bench bench;
  bench.Add("g.n", 1'000'000'000'000'000'000);
  const auto profile = bench.Start(bench.SpecOf(folder / "p", 100'000, std::vector<std::string>(500, "g.n")));
  const auto bytes = [&] {
    struct stat info = {};
    CHECK_EQ(stat((folder / "p").c_str(), &info), 0);
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
  profile->LastSamples(crash_ms);
  CHECK_EQ(t_written_bytes, 0);
  g_hold = false;
  for (int i = 0; i < kChildLimitMs && t_written_bytes == 0 && MonotonicMs() - crash_ms < kSurvivedMs / 2; i++) {
    profile->LastSamples(MonotonicMs());
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

TEST("given a profile that is over, when it is stopped again, then the one that runs by now goes on") {
  Bench bench;
  const auto over = bench.Start(bench.SpecOf("/dev/null", kHour));
  bench.profiler.Stop(over);
  const auto running = bench.Start(bench.SpecOf("/dev/null", kHour));
  bench.profiler.Stop(over);
  CHECK(bench.Start(bench.SpecOf("/dev/null", kHour)) == nullptr);
  CHECK(bench.status.code == Code::kTaken);
}

TEST("given a sampling thread that spins, when rows go out, then the writing thread keeps off its processor") {
  cpu_set_t own, writing;
  if (sched_getaffinity(0, sizeof(own), &own) != 0 || CPU_COUNT(&own) < 2) return;  // there is nowhere to go
  Bench bench;
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

TEST("given a profile, when it runs, then its threads take no signal that somebody sends, and those of their own making") {
  Bench bench;
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

TEST("given a profile that goes on, when time goes by, then its samples are in the file") {
  const TemporaryFolder folder;
  Bench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", 10 * kMs));
  AwaitRows(folder / "p", 10);
  const std::string text = TextOf(folder / "p");
  CHECK(std::count(text.begin(), text.end(), '\n') > 10);
  bench.profiler.Stop(profile);
}

TEST("given several threads, when all stop one profile at once, then all get the same figures") {
  const TemporaryFolder folder;
  Bench bench;
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

TEST("given a stop, when started again at once, 2000 times, then every run has its rows") {
  const TemporaryFolder folder;
  Bench bench;
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
  Bench bench;
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
        } else if (status.code != Code::kTaken) {
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
  Bench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kMs));
  AwaitRows(folder / "p", 1);  // so that there are samples, which are not the child's
  CheckInChild([&] {
    bench.profiler.Stop();
    CHECK_EQ(bench.profiler.Stop(profile).samples, 0);
#ifndef __SANITIZE_THREAD__  // which lets no child of a process with threads start one
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

TEST("given many profiles that are over, when they are kept for their figures, then not their rows") {
  Bench bench;
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
  CHECK(resident_kb() - before_kb < 200'000);  // with rows, 50 times 13 MB
  CHECK(kept.front()->Stop().samples > 0);
}

TEST("given a profile, when it runs, then its threads leave no descriptor and no thread behind") {
  const TemporaryFolder folder;
  Bench bench;
  const int descriptors = EntriesIn("/proc/self/fd"), threads = EntriesIn("/proc/self/task");
  for (int i = 0; i < 20; i++) bench.profiler.Stop(bench.Start(bench.SpecOf(folder / "p", kMs)));
  // The writing thread is gone a moment after it said so, that of an earlier test too.
  for (int i = 0; i < kChildLimitMs && EntriesIn("/proc/self/task") > threads; i++) SleepMs(1);
  CHECK(EntriesIn("/proc/self/task") <= threads);
  CHECK_EQ(EntriesIn("/proc/self/fd"), descriptors);
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
