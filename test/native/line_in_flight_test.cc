// LineInFlight: whenever the process is killed, the header of its region says which line was in flight.

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <random>
#include <string>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "half_line.h"
#include "line_reader.h"
#include "resource_limit.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST("given lines that go out whole, when each is out, then no line is in flight, and the record says where the last line went") {
  TemporaryFolder folder;
  WriteText(folder / "f", "half");
  Rig rig(SmallSchema());
  CHECK_EQ(rig.flight().commit.load(), 0);
  CHECK(rig.Init(folder / "f"));
  for (const size_t newline : {1, 0, 0}) {
    if (newline == 0) AppendText(folder / "f", "somebody else's\n");
    const size_t before = TextOf(folder / "f").size();
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const size_t bytes = TextOf(folder / "f").size() - before;
    CHECK_EQ(rig.flight().commit.load(), 0);
    CHECK_EQ(rig.flight().offset, before);
    CHECK_EQ(rig.flight().bytes, bytes);
    CHECK_EQ(rig.flight().sent.load(), bytes);
    CHECK_EQ(rig.flight().is_regular_file, 1);
    CHECK_EQ(TextOf(folder / "f")[before] == '\n', newline == 1);
    const struct stat info = StatOf(folder / "f");
    CHECK_EQ(rig.flight().inode, info.st_ino);
    CHECK_EQ(rig.flight().device, info.st_dev);
  }
}

TEST("given a line that fails before its first byte, when the record is read, then no line is in flight") {
  Rig rig(SmallSchema());
  CHECK(rig.Init("/dev/full"));
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(rig.flight().commit.load(), 0);
  CHECK(!rig.flusher.sender().LastLine(MonotonicMs() + 100));
  CHECK_EQ(rig.flight().commit.load(), 0);
}

TEST("given a line that a pipe takes in part, when it is resumed, then the record says how much is out") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(WideSchema());
  CHECK(rig.Init(folder / "fifo"));
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(rig.flight().commit.load(), 1 << 2 | 1);
  CHECK_EQ(rig.flight().sent.load(), Fifo::kBytes);
  CHECK_EQ(rig.flight().offset, 0);
  CHECK_EQ(rig.flight().is_regular_file, 0);
  const uint64_t bytes = rig.flight().bytes;
  CHECK(bytes > 2 * Fifo::kBytes);
  fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(rig.flight().commit.load(), 1 << 2 | 1);
  CHECK_EQ(rig.flight().sent.load(), 2 * Fifo::kBytes);
  CHECK_EQ(rig.flight().bytes, bytes);
  fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);  // the rest of the line, and the head of the next
  CHECK_EQ(rig.commits(), 1);
  CHECK_EQ(rig.flight().commit.load(), 2 << 2 | 0);
}

TEST("given a file with half a line, when the rest and the next line follow, then the next record begins after the rest") {
  CheckInChild([] {
    TemporaryFolder folder;
    Rig rig(SmallSchema());
    CHECK(rig.Init(folder / "f"));
    for (const bool crash : {false, true}) {
      const size_t before = TextOf(folder / "f").size();
      LimitResource(RLIMIT_FSIZE, before + 10);
      CHECK_EQ(rig.Flush(), FlushResult::kFailed);
      CHECK_EQ(rig.flight().commit.load() >> 2, rig.commits() + 1);
      CHECK_EQ(rig.flight().offset, before);
      CHECK_EQ(rig.flight().sent.load(), 10);
      LimitResource(RLIMIT_FSIZE, RLIM_INFINITY);
      const size_t first_bytes = rig.flight().bytes;
      if (crash) {
        CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
      } else {
        CHECK_EQ(rig.Flush(), FlushResult::kOut);
      }
      CHECK_EQ(rig.flight().offset, before + first_bytes);
      CHECK_EQ(rig.flight().offset + rig.flight().bytes, TextOf(folder / "f").size());
    }
  });
}

TEST("given half a line in a file that is then renamed, when the new file takes nothing, then no line is in flight") {
  CheckInChild([] {
    HalfLine half;
    Rig& rig = half.rig;
    CHECK(rig.flight().commit.load() != 0);
    half.Rename();
    LimitResource(RLIMIT_FSIZE, 0);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(rig.flight().commit.load(), 0);
  });
}

// Follows docs/format.md to find the bank with the flushed values after a process died, perhaps between a line and its
// commit.
uint32_t SettledBank(Rig& rig, const std::string& text, uint64_t* lines) {
  const LineInFlight& flight = rig.flight();
  const uint64_t commit = rig.cells.region().header().commit.load();
  *lines = commit >> 2;
  if (flight.commit.load() >> 2 != (commit >> 2) + 1) return commit & 3;
  if (text.size() < flight.offset + flight.bytes) return commit & 3;
  ++*lines;
  return flight.commit.load() & 3;
}

TEST("given a process that flushes all the time, when it is killed at any moment, then the header says which lines are out") {
  std::mt19937 random(11);
  for (int round = 0; round < 60; round++) {
    TemporaryFolder folder;
    Rig rig(SmallSchema());
    CHECK(rig.Init(folder / "f"));
    const pid_t child = StartChild([&] {
      for (;;) rig.Add("g.i", 1), rig.Flush();
    });
    SleepUs(static_cast<int64_t>(random() % 4'000));
    kill(child, SIGKILL);
    CHECK_EQ(Await(child, kChildLimitMs, [] {}).signal, SIGKILL);
    const std::string text = TextOf(folder / "f");
    const Lines out(text);
    uint64_t lines = 0;
    const uint32_t bank = SettledBank(rig, text, &lines);
    CHECK_EQ(out.count(), lines);
    CHECK_EQ(out.Sum("g.i"), Read(rig.cells.region().InBank(bank, CellOf(rig.spec, "g.i"))));
  }
}

}  // namespace
}  // namespace vmm
