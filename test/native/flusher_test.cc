// Flusher and Line: a line is whole, and counts as flushed once all of its bytes are out. Whatever the sink does, the
// sum of the deltas in the lines and the pending counts equals the sum of what was added.

#include "flush/flusher.h"

#include <errno.h>
#include <unistd.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "half_line.h"
#include "line_reader.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST("given no sink, when a flush is asked for, then it returns kNotInitialized, and nothing is committed or missed") {
  Rig rig(SmallSchema());
  rig.Add("g.i", 3);
  CHECK_EQ(rig.Flush(), FlushResult::kNotInitialized);
  CHECK_EQ(rig.commits(), 0);
  CHECK_EQ(rig.Pending("g.i"), 3);
  CHECK_EQ(rig.Total("logger.missed"), 0);
  CHECK(!rig.flusher.sender().LastLine(MonotonicMs() + 100));
}

TEST("given a sink, when another one is set, then kAlready, and lines still go to the first") {
  TemporaryFolder folder;
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "first"));
  CHECK_EQ(rig.flusher.Init((folder / "second").c_str(), -1, &rig.status), InitResult::kAlready);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "first")).count(), 1);
  CHECK(access((folder / "second").c_str(), F_OK) != 0);
}

TEST("given a sink that cannot be opened, when it is set, then kFailed with the cause, and another sink may be set") {
  TemporaryFolder folder;
  Rig rig(SmallSchema());
  CHECK_EQ(rig.flusher.Init((folder / "no/such").c_str(), -1, &rig.status), InitResult::kFailed);
  CHECK_EQ(rig.status.code, Code::kOpen);
  CHECK_EQ(rig.status.error, ENOENT);
  CHECK_EQ(rig.flusher.Init(nullptr, -1, &rig.status), InitResult::kFailed);
  CHECK_EQ(rig.status.error, EBADF);
  CHECK_EQ(rig.Flush(), FlushResult::kNotInitialized);
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
}

TEST("given metrics, when they are flushed, then each flush writes one line with what came since, and nothing is pending") {
  TemporaryFolder folder;
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  rig.Add("g.i", 3);
  Set(rig.At("g.s"), 9);
  CHECK_EQ(rig.Pending("g.i"), 3);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(rig.Pending("g.i"), 0);
  rig.Add("g.i", 4);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(TextOf(folder / "f"),
           "{\"g\":{\"i\":0,\"s\":0},\"logger\":{\"missed\":0}}\n"
           "{\"g\":{\"i\":3,\"s\":9},\"logger\":{\"missed\":0}}\n"
           "{\"g\":{\"i\":4,\"s\":9},\"logger\":{\"missed\":0}}\n");
  CHECK_EQ(rig.commits(), 3);
}

TEST("given a schema without entries, when it is flushed, then the line is an empty object") {
  TemporaryFolder folder;
  Rig rig(SchemaBuilder().PerDevice("d", {Inc("i")}, Aggregate::kNone).Build(""));
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  rig.AddDevice(0, "a");
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(TextOf(folder / "f"), "{}\n{\"d_a\":{\"i\":0}}\n");
}

TEST("given more and more devices, when a flush follows each, then the line grows with them") {
  TemporaryFolder folder;
  Rig rig(SchemaBuilder().PerDevice("d", {Inc("i"), Latency("l")}).Build(""));
  CHECK(rig.Init(folder / "f"));
  for (int i = 0; i < 200; i++) {
    const Device* device = rig.AddDevice(0, std::string(200, '"') + std::to_string(i));
    AddShared(rig.At(device, 0, "i"), 1);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
  }
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.values.back().size(), 201 * 4);
  CHECK_EQ(lines.Sum("d.i"), 200);
}

// Another processor may see an add to a new device before it sees the device.
TEST(
    "given cells whose device is not in the list yet, when a line is flushed, then their values stay pending until the device is "
    "listed") {
  TemporaryFolder folder;
  Rig rig(SchemaBuilder().PerDevice("d", {Inc("i")}).Build(""));
  CHECK(rig.Init(folder / "f"));
  CHECK(rig.flusher.Fit(2000).ok());
  uint32_t cell = 0;
  CHECK(rig.cells.Reserve(rig.spec.group_kinds[0].data(), 1, &cell).ok());
  AddShared(rig.cells.Shared(cell), 5);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  rig.devices.Add(0, "a", cell);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  rig.cells.Publish();
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f")).Sum("d.i"), 5);
}

TEST("given a full device, when it is flushed to, then the status is kFailed, nothing is committed, and the failure is counted") {
  Rig rig(SmallSchema());
  CHECK(rig.Init("/dev/full"));
  rig.Add("g.i", 3);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(rig.status.code, Code::kWrite);
    CHECK_EQ(rig.status.error, ENOSPC);
  }
  CHECK_EQ(rig.commits(), 0);
  CHECK_EQ(rig.Pending("g.i"), 3);
  CHECK_EQ(rig.Total("logger.missed"), 2);
  CHECK(rig.flusher.HasUnflushed());
  CHECK(!rig.flusher.sender().LastLine(MonotonicMs() + 100));
}

TEST("given a pipe that nobody reads, when lines no longer fit, then the tail of the half line goes first, and nothing is lost") {
  HalfSentLine half;
  Rig& rig = half.rig;
  Fifo& fifo = half.fifo;
  CHECK_EQ(rig.commits(), 0);  // only the first page of the line is in the pipe

  rig.Add("g.i", 7);  // not in the line in flight
  std::string text = fifo.Take();
  CHECK_EQ(text.size(), Fifo::kBytes);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  text += fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);  // the rest is out now, and then the head of the second line
  CHECK_EQ(rig.commits(), 1);
  CHECK_EQ(rig.Pending("g.i"), 7);

  text += fifo.Take();
  CHECK_EQ(Lines(text).count(), 1);
  CHECK_EQ(Lines(text).Sum("g.i"), 5);
  for (int i = 0; i < 9; i++) {
    rig.Flush();  // each flush begins the next line as soon as there is room
    text += fifo.Take();
  }
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK(lines.count() > 2);
  CHECK_EQ(lines.count(), rig.commits());
  CHECK_EQ(lines.Sum("g.i"), 12);
  CHECK_EQ(rig.Pending("g.i"), 0);
  CHECK_EQ(lines.Sum("logger.missed") + rig.Pending("logger.missed"), rig.Total("logger.missed"));
  CHECK(rig.Total("logger.missed") >= 3);
}

TEST("given a reader that takes any number of bytes, when all is read, then the lines and pending have every add") {
  std::mt19937 random(7);
  for (int round = 0; round < 20; round++) {
    TemporaryFolder folder;
    Fifo fifo(folder / "fifo");
    Rig rig(WideSchema());
    CHECK(rig.Init(folder / "fifo"));
    std::string text;
    for (int step = 0; step < 60; step++) {
      rig.Add("g.i", random() % 1000);
      rig.Add("g.metric_number_399", 1);
      if (random() % 2 == 0) text += fifo.Take(1 + random() % Fifo::kBytes);
      rig.Flush();
    }
    text += fifo.TakeAll();
    const Lines lines(text);
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), rig.commits());
    for (const char* path : {"g.i", "g.metric_number_399", "logger.missed"}) {
      CHECK_EQ(lines.Sum(path) + rig.Pending(path), rig.Total(path));
    }
  }
}

TEST("given a line that is out, when asked for unflushed values, then there are none until an add or a set") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(SmallSchema());
  CHECK(!rig.flusher.HasUnflushed());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 1);
  CHECK(rig.flusher.HasUnflushed());
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK(!rig.flusher.HasUnflushed());
  Set(rig.At("g.s"), 1);
  CHECK(rig.flusher.HasUnflushed());
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK(!rig.flusher.HasUnflushed());
}

TEST("given a line without news that is half out, when asked for unflushed values, then its tail counts as one") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  StoreSpec spec = WideSchema();
  spec.missed_cell = kNoCell;  // a missed flush would count as a change
  Rig rig(std::move(spec));
  CHECK(rig.Init(folder / "fifo"));
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK(rig.flusher.HasUnflushed());
}

}  // namespace
}  // namespace vmm
