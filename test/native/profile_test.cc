// Profile: the rows that a run writes, their times, and its figures.
//
// No test here measures how long something took: a machine under load is late. Instead, some tests use waits of an hour
// or for ever: if such a test ends, it has not waited.

#include "profile/profile.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "check.h"
#include "child.h"
#include "profile_bench.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST(
    "given a profile, when it is stopped, then each row has its time and its values, and the last row has the values at the "
    "end") {
  const TemporaryFolder folder;
  ProfileBench bench;
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
  // Each tick was sampled or missed; the last sample has no tick.
  const uint64_t ticks = rows.back()[0] / kMs;
  const uint64_t accounted = result.samples - 1 + result.missed_ticks;
  CHECK(accounted == ticks || accounted + 1 == ticks);
  CHECK(result.late_ns_median <= result.late_ns_p99 && result.late_ns_p99 <= result.late_ns_max);
  CHECK(result.late_ns_max > 0);
}

TEST("given a profile, when it is stopped, then its lateness is how far the times of its rows are behind their ticks") {
  constexpr uint64_t kIntervalNs = 20 * kMs;
  const TemporaryFolder folder;
  ProfileBench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kIntervalNs));
  AwaitRows(folder / "p", 9);
  const ProfileResult result = bench.profiler.Stop(profile);
  if (result.late_ns_max >= kIntervalNs) return;  // on such a slow machine, the time of a row does not show its tick
  Rows rows = RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n");
  rows.pop_back();  // the last row has no tick
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

TEST("given values of every size and a latency, when they are sampled, then they are exact") {
  const TemporaryFolder folder;
  ProfileBench bench;
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

TEST("given an interval of an hour, when the profile is stopped, then it ends with the last sample alone") {
  const TemporaryFolder folder;
  ProfileBench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", kHour));
  SleepMs(5);
  const ProfileResult result = bench.profiler.Stop(profile);
  CHECK_EQ(result.samples, 1);
  CHECK_EQ(result.missed_ticks, 0);
  CHECK_EQ(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size(), 1);
}

TEST("given an interval far below what the machine can do, when a profile runs, then ticks are missed and counted") {
  const TemporaryFolder folder;
  ProfileBench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", 1));
  AwaitRows(folder / "p", 1);
  const ProfileResult result = bench.profiler.Stop(profile);
  CHECK(result.samples > 1 && result.missed_ticks > result.samples);
  CHECK_EQ(RowsOf(TextOf(folder / "p"), "Time (ns)\tg.n\n").size(), result.samples);
}

TEST("given annotations, when a profile is stopped, then the first line has the start, and the last line has the figures") {
  const TemporaryFolder folder;
  ProfileBench bench;
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

TEST("given a running profile, when time passes, then its samples are in the file") {
  const TemporaryFolder folder;
  ProfileBench bench;
  const auto profile = bench.Start(bench.SpecOf(folder / "p", 10 * kMs));
  AwaitRows(folder / "p", 10);
  const std::string text = TextOf(folder / "p");
  CHECK(std::count(text.begin(), text.end(), '\n') > 10);
  bench.profiler.Stop(profile);
}

}  // namespace
}  // namespace vmm
