// Flusher in a dying process: the last line has all pending counts. If the process survives, it goes on flushing, and
// nothing counts twice.

#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "half_line.h"
#include "line_reader.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST("given a dying process, when the last line is requested, then it has all pending counts, and no flush follows it") {
  TemporaryFolder folder;
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "f"));
  rig.Add("g.i", 1);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  rig.Add("g.i", 2);
  CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
  CHECK_EQ(rig.Pending("g.i"), 0);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(rig.status.code, Code::kCrashing);
  CHECK(!rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.count(), 2);
  CHECK_EQ(lines.values[0].at("g.i"), 1);
  CHECK_EQ(lines.values[1].at("g.i"), 2);
}

TEST("given a file that was renamed, when the last line is requested, then it is in a new file of that name") {
  TemporaryFolder folder;
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
  CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
  CHECK_EQ(TextOf(folder / "f.1"), "");
  CHECK_EQ(Lines(TextOf(folder / "f")).count(), 1);
}

TEST("given a half-sent line, when the last line is sent and the pipe is read, then the tail goes first") {
  HalfSentLine half;
  Rig& rig = half.rig;
  Fifo& fifo = half.fifo;
  rig.Add("g.i", 6);
  std::string text;
  const pid_t dying = StartChild([&] { CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs)); });
  const Death death = Await(dying, kChildLimitMs, [&] { text += fifo.Take(); });
  CHECK_EQ(death.exit_code, 0);
  text += fifo.TakeAll();
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.tail, "");
  CHECK_EQ(lines.count(), 2);
  CHECK_EQ(lines.values[0].at("g.i"), 5);
  CHECK_EQ(lines.values[1].at("g.i"), 6);
  GoByHeader(rig.cells.region());  // the region is shared with the child
  CHECK_EQ(rig.Pending("g.i"), 0);
}

TEST(
    "given a pipe that stays full, when the last line is asked for, then it is given up at its deadline, and nothing is "
    "committed") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  fifo.Fill();
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 5);
  const int64_t deadline_ms = MonotonicMs() + 200;
  CHECK(!rig.flusher.sender().LastLine(deadline_ms));
  CHECK(MonotonicMs() >= deadline_ms);
  CHECK_EQ(rig.Pending("g.i"), 5);
}

TEST("given a half-sent line and a process that survives its last line, when it flushes again, then nothing counts twice") {
  HalfSentLine half;
  Rig& rig = half.rig;
  Fifo& fifo = half.fifo;
  rig.Add("g.i", 6);
  std::string text;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) text += fifo.Take();
    text += fifo.TakeAll();
  });
  CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
  CHECK_EQ(rig.Pending("g.i"), 0);
  rig.flusher.sender().Revive();
  rig.Add("g.i", 7);
  for (int i = 0; i < kChildLimitMs && rig.Flush() != FlushResult::kOut; i++) SleepMs(1);
  CHECK_EQ(rig.Pending("g.i"), 0);
  done = true;
  reader.join();
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.Sum("g.i"), 18);
  CHECK_EQ(lines.count(), rig.commits());
}

TEST("given work that follows upon work, when a last line waits, then it waits for the work that is under way, and no other") {
  CheckInChild([] {
    TemporaryFolder folder;
    Rig rig(SmallSchema());
    CHECK(rig.Init(folder / "f"));
    std::atomic<int> works{0};
    std::thread worker([&] {
      // As long as nothing waits, each piece of work is followed by another one at once.
      const auto work = [](void* count) {
        (*static_cast<std::atomic<int>*>(count))++;
        SleepMs(2);
      };
      while (works < 1'000 && rig.flusher.TryQuiet(work, &works)) {
      }
    });
    while (works == 0) SleepMs(1);
    const int before = works;
    CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
    CHECK(works <= before + 2);
    worker.join();
  });
}

TEST("given a last line that a pipe takes only in part, when the process survives and flushes, then its tail goes first") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(WideSchema());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 5);
  CHECK(!rig.flusher.sender().LastLine(MonotonicMs() + 20));
  CHECK_EQ(rig.flight().commit.load(), 1 << 2 | kCrashBank);
  CHECK_EQ(rig.flight().sent.load(), Fifo::kBytes);
  rig.flusher.sender().Revive();
  CHECK(rig.flusher.HasUnflushed());
  rig.Add("g.i", 6);
  std::string text = fifo.Take();
  for (int i = 0; i < 9; i++) {
    rig.Flush();
    text += fifo.Take();
  }
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.count(), rig.commits());
  CHECK_EQ(lines.values[0].at("g.i"), 5);
  CHECK_EQ(lines.Sum("g.i"), 11);
}

TEST("given a half-sent line in a file that was replaced, when the process survives its last line, then the tail goes nowhere") {
  CheckInChild([] {
    HalfLine half;
    Rig& rig = half.rig;
    half.Unlimit();
    half.Rename();
    CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
    rig.flusher.sender().Revive();
    rig.Add("g.i", 6);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(half.folder / "f"));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), 2);
    CHECK_EQ(lines.Sum("g.i"), 11);
  });
}

TEST("given two last lines without a flush between them, when the second is written, then it has only the later counts") {
  TemporaryFolder folder;
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "f"));
  for (uint64_t n = 1; n <= 4; n++) {
    rig.Add("g.i", n);
    CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
    rig.flusher.sender().Revive();
    CHECK_EQ(Lines(TextOf(folder / "f")).values.back().at("g.i"), n);
  }
  CHECK_EQ(rig.Pending("g.i"), 0);
}

}  // namespace
}  // namespace vmm
