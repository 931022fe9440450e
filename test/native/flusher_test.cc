// Flusher and Line: a line is whole, and counts as flushed once all of it is out; whatever the sink does, the deltas
// that were read and those that are pending are together what was added.

#include "flush/flusher.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "line_reader.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

StoreSpec Small() {
  return SchemaBuilder()
      .Group("g", {Inc("i"), Gauge("s")})
      .Group("logger", {Inc("missed")})
      .OnMissedFlush("logger.missed")
      .Build("");
}

// A line of some 9,000 bytes, which a pipe of one page takes in three parts.
StoreSpec Wide() {
  std::vector<Field> fields = {Inc("i")};
  for (int i = 0; i < 400; i++) fields.push_back(Inc("metric_number_" + std::to_string(i)));
  return SchemaBuilder().Group("g", fields).Group("logger", {Inc("missed")}).OnMissedFlush("logger.missed").Build("");
}

TEST("given no sink, when flushed, then not initialized, and nothing is committed or missed") {
  Rig rig(Small());
  rig.Add("g.i", 3);
  CHECK_EQ(rig.Flush(), FlushResult::kNotInitialized);
  CHECK_EQ(rig.commits(), 0);
  CHECK_EQ(rig.Pending("g.i"), 3);
  CHECK_EQ(rig.Total("logger.missed"), 0);
  CHECK(!rig.flusher.LastLine(MonotonicMs() + 100));
}

TEST("given a sink, when another is set, then kAlready, and lines go on to the first") {
  TemporaryFolder folder;
  Rig rig(Small());
  CHECK(rig.Init(folder / "first"));
  CHECK_EQ(rig.flusher.Init((folder / "second").c_str(), -1, &rig.status), InitResult::kAlready);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "first")).count(), 1);
  CHECK(access((folder / "second").c_str(), F_OK) != 0);
}

TEST("given a sink that cannot be opened, when it is set, then kFailed with the cause, and another may be set") {
  TemporaryFolder folder;
  Rig rig(Small());
  CHECK_EQ(rig.flusher.Init((folder / "no/such").c_str(), -1, &rig.status), InitResult::kFailed);
  CHECK_EQ(rig.status.code, Code::kOpen);
  CHECK_EQ(rig.status.error, ENOENT);
  CHECK_EQ(rig.flusher.Init(nullptr, -1, &rig.status), InitResult::kFailed);
  CHECK_EQ(rig.status.error, EBADF);
  CHECK_EQ(rig.Flush(), FlushResult::kNotInitialized);
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
}

TEST("given metrics, when flushed, then one line each time, with what came since, and pending begins anew") {
  TemporaryFolder folder;
  Rig rig(Small());
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

TEST("given a schema without a single entry, when flushed, then the line is an empty object") {
  TemporaryFolder folder;
  Rig rig(SchemaBuilder().PerDevice("d", {Inc("i")}, Aggregate::kNone).Build(""));
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  rig.AddDevice(0, "a");
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(TextOf(folder / "f"), "{}\n{\"d_a\":{\"i\":0}}\n");
}

TEST("given more and more devices, when flushed after each, then the line grows with them") {
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

// What another processor may see of an alloc and of an add right after it: first the add, then the device.
TEST("given cells whose device is not in its list yet, when flushed, then what is in them stays pending until it is") {
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

TEST("given a device that is full, when flushed, then kFailed, nothing is committed, and each failure is counted") {
  Rig rig(Small());
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
  CHECK(!rig.flusher.LastLine(MonotonicMs() + 100));
}

TEST("given a pipe that nobody reads, when lines no longer fit, then the tail of the one in it goes first, and nothing is lost") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(Wide());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 5);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);  // the first page of it is in the pipe
  CHECK_EQ(rig.status.error, EAGAIN);
  CHECK_EQ(rig.commits(), 0);
  CHECK_EQ(rig.Pending("g.i"), 5);

  rig.Add("g.i", 7);  // is not in the line that is on its way
  std::string text = fifo.Take();
  CHECK_EQ(text.size(), Fifo::kBytes);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  text += fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);  // the tail is out now, and the head of the second line behind it
  CHECK_EQ(rig.commits(), 1);
  CHECK_EQ(rig.Pending("g.i"), 7);

  text += fifo.Take();
  CHECK_EQ(Lines(text).count(), 1);
  CHECK_EQ(Lines(text).Sum("g.i"), 5);
  for (int i = 0; i < 9; i++) {
    rig.Flush();  // each begins the next line as soon as there is room
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

TEST("given a reader that takes any number of bytes, when all is read, then read and pending are what was added") {
  std::mt19937 random(7);
  for (int round = 0; round < 20; round++) {
    TemporaryFolder folder;
    Fifo fifo(folder / "fifo");
    Rig rig(Wide());
    CHECK(rig.Init(folder / "fifo"));
    std::string text;
    for (int step = 0; step < 60; step++) {
      rig.Add("g.i", random() % 1000);
      rig.Add("g.metric_number_399", 1);
      if (random() % 2 == 0) text += fifo.Take(1 + random() % Fifo::kBytes);
      rig.Flush();
    }
    for (std::string more; !(more = fifo.Take()).empty();) text += more;
    const Lines lines(text);
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), rig.commits());
    for (const char* path : {"g.i", "g.metric_number_399", "logger.missed"}) {
      CHECK_EQ(lines.Sum(path) + rig.Pending(path), rig.Total(path));
    }
  }
}

TEST("given a file that was renamed or removed, when flushed, then the next line begins a new file of that name") {
  TemporaryFolder folder;
  Rig rig(Small());
  CHECK(rig.Init(folder / "f"));
  rig.Add("g.i", 1);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
  rig.Add("g.i", 2);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f.1")).Sum("g.i"), 1);
  CHECK_EQ(Lines(TextOf(folder / "f")).Sum("g.i"), 2);
  CHECK_EQ(unlink((folder / "f").c_str()), 0);
  rig.Add("g.i", 4);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f")).Sum("g.i"), 4);
  // And another's file in its place is appended to.
  WriteText(folder / "other", "no newline");
  CHECK_EQ(rename((folder / "other").c_str(), (folder / "f").c_str()), 0);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f")).texts.front(), "no newline");
  CHECK_EQ(Lines(TextOf(folder / "f")).broken, 1);
}

TEST("given a file without a newline at its end, when flushed, then one goes first, once") {
  TemporaryFolder folder;
  WriteText(folder / "f", "{\"half\":");
  Rig rig(Small());
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.count(), 3);
  CHECK_EQ(lines.broken, 1);
  CHECK_EQ(lines.tail, "");

  WriteText(folder / "whole", "{\"g\":1}\n");
  Rig other(Small());
  CHECK(other.Init(folder / "whole"));
  CHECK_EQ(other.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "whole")).count(), 2);
}

// From here on, no file of this process may grow beyond that many bytes. The signal that the kernel sends with it would
// kill.
void LimitFileSize(rlim_t bytes) {
  rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes;
  CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST("given a file size limit amid a line, when flushed, then the process lives, and the tail goes first when it may") {
  CheckInChild([] {
    TemporaryFolder folder;
    Rig rig(Small());
    CHECK(rig.Init(folder / "f"));
    rig.Add("g.i", 5);
    LimitFileSize(10);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(rig.status.error, EFBIG);
    CHECK_EQ(TextOf(folder / "f").size(), 10);
    CHECK_EQ(rig.commits(), 0);
    CHECK(rig.flusher.HasUnflushed());
    rig.Add("g.i", 6);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(TextOf(folder / "f").size(), 10);
    LimitFileSize(RLIM_INFINITY);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(folder / "f"));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), 2);
    CHECK_EQ(lines.values[0].at("g.i"), 5);
    CHECK_EQ(lines.values[1].at("g.i"), 6);
    CHECK_EQ(lines.values[1].at("logger.missed"), 2);
  });
}

TEST("given a line half in a file that is then renamed, when flushed, then the new file begins with a line that has it all") {
  CheckInChild([] {
    TemporaryFolder folder;
    Rig rig(Small());
    CHECK(rig.Init(folder / "f"));
    rig.Add("g.i", 5);
    LimitFileSize(10);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    LimitFileSize(RLIM_INFINITY);
    CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
    rig.Add("g.i", 6);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(folder / "f"));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), 1);
    CHECK_EQ(lines.Sum("g.i"), 11);
  });
}

TEST("given a file where only the newline before the line fits, when flushed again, then the line follows without another") {
  CheckInChild([] {
    TemporaryFolder folder;
    WriteText(folder / "f", "abc");
    Rig rig(Small());
    CHECK(rig.Init(folder / "f"));
    rig.Add("g.i", 5);
    LimitFileSize(4);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(TextOf(folder / "f"), "abc\n");
    LimitFileSize(RLIM_INFINITY);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(folder / "f"));
    CHECK_EQ(lines.texts.front(), "abc");
    CHECK_EQ(lines.broken, 1);
    CHECK_EQ(lines.Sum("g.i"), 5);
  });
}

TEST("given a line that is out, when nothing came since, then there is no news, and an add or a set is news") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(Small());
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

TEST("given a line that says nothing new but is only half out, when asked, then its tail is news") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  StoreSpec spec = Wide();
  spec.missed_cell = Flusher::kNoCell;  // which would be news of its own
  Rig rig(std::move(spec));
  CHECK(rig.Init(folder / "fifo"));
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK(rig.flusher.HasUnflushed());
}

TEST("given a process about to die, when the last line is asked for, then it has what is pending, and no flush comes after it") {
  TemporaryFolder folder;
  Rig rig(Small());
  CHECK(rig.Init(folder / "f"));
  rig.Add("g.i", 1);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  rig.Add("g.i", 2);
  CHECK(rig.flusher.LastLine(MonotonicMs() + kChildLimitMs));
  CHECK_EQ(rig.Pending("g.i"), 0);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(rig.status.code, Code::kCrashing);
  CHECK(!rig.flusher.LastLine(MonotonicMs() + kChildLimitMs));
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.count(), 2);
  CHECK_EQ(lines.values[0].at("g.i"), 1);
  CHECK_EQ(lines.values[1].at("g.i"), 2);
}

TEST("given a file that was renamed, when the last line is asked for, then it is in a new file of that name") {
  TemporaryFolder folder;
  Rig rig(Small());
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
  CHECK(rig.flusher.LastLine(MonotonicMs() + kChildLimitMs));
  CHECK_EQ(TextOf(folder / "f.1"), "");
  CHECK_EQ(Lines(TextOf(folder / "f")).count(), 1);
}

TEST("given a half-sent line, when the last one is asked for and the pipe is read, then its tail goes first") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(Wide());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 5);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  rig.Add("g.i", 6);
  std::string text;
  const pid_t dying = StartChild([&] { CHECK(rig.flusher.LastLine(MonotonicMs() + kChildLimitMs)); });
  const Death death = Await(dying, kChildLimitMs, [&] { text += fifo.Take(); });
  CHECK_EQ(death.exit_code, 0);
  for (std::string more; !(more = fifo.Take()).empty();) text += more;
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
  Rig rig(Small());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 5);
  const int64_t deadline_ms = MonotonicMs() + 200;
  CHECK(!rig.flusher.LastLine(deadline_ms));
  CHECK(MonotonicMs() >= deadline_ms);
  CHECK_EQ(rig.Pending("g.i"), 5);
}

void AppendText(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  CHECK_EQ(write(fd, text.data(), text.size()), text.size());
  close(fd);
}

// What the header says of a line on its way.
const LineInFlight& Flight(Rig& rig) { return rig.cells.region().header().line; }

TEST("given lines that go out whole, when each is out, then none is in flight, and the record says where the last one went") {
  TemporaryFolder folder;
  WriteText(folder / "f", "half");
  Rig rig(Small());
  CHECK_EQ(Flight(rig).commit.load(), 0);
  CHECK(rig.Init(folder / "f"));
  for (const size_t newline : {1, 0, 0}) {
    if (newline == 0) AppendText(folder / "f", "somebody else's\n");
    const size_t before = TextOf(folder / "f").size();
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const size_t bytes = TextOf(folder / "f").size() - before;
    CHECK_EQ(Flight(rig).commit.load(), 0);
    CHECK_EQ(Flight(rig).offset, before);
    CHECK_EQ(Flight(rig).bytes, bytes);
    CHECK_EQ(Flight(rig).sent.load(), bytes);
    CHECK_EQ(Flight(rig).is_regular_file, 1);
    CHECK_EQ(TextOf(folder / "f")[before] == '\n', newline == 1);
    struct stat info;
    CHECK_EQ(stat((folder / "f").c_str(), &info), 0);
    CHECK_EQ(Flight(rig).inode, info.st_ino);
    CHECK_EQ(Flight(rig).device, info.st_dev);
  }
}

TEST("given a line of which nothing gets out, when it failed, then none is in flight") {
  Rig rig(Small());
  CHECK(rig.Init("/dev/full"));
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(Flight(rig).commit.load(), 0);
  CHECK(!rig.flusher.LastLine(MonotonicMs() + 100));
  CHECK_EQ(Flight(rig).commit.load(), 0);
}

TEST("given a line of which a pipe takes a part, when it is resumed, then the record says how much is out") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(Wide());
  CHECK(rig.Init(folder / "fifo"));
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(Flight(rig).commit.load(), 1 << 2 | 1);
  CHECK_EQ(Flight(rig).sent.load(), Fifo::kBytes);
  CHECK_EQ(Flight(rig).offset, 0);
  CHECK_EQ(Flight(rig).is_regular_file, 0);
  const uint64_t bytes = Flight(rig).bytes;
  CHECK(bytes > 2 * Fifo::kBytes);
  fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(Flight(rig).commit.load(), 1 << 2 | 1);
  CHECK_EQ(Flight(rig).sent.load(), 2 * Fifo::kBytes);
  CHECK_EQ(Flight(rig).bytes, bytes);
  fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);  // the rest, and the head of the next
  CHECK_EQ(rig.commits(), 1);
  CHECK_EQ(Flight(rig).commit.load(), 2 << 2 | 0);
}

TEST("given a file with half a line, when the rest and the next line follow, then the next one's record begins behind the rest") {
  CheckInChild([] {
    TemporaryFolder folder;
    Rig rig(Small());
    CHECK(rig.Init(folder / "f"));
    for (const bool crash : {false, true}) {
      const size_t before = TextOf(folder / "f").size();
      LimitFileSize(before + 10);
      CHECK_EQ(rig.Flush(), FlushResult::kFailed);
      CHECK_EQ(Flight(rig).commit.load() >> 2, rig.commits() + 1);
      CHECK_EQ(Flight(rig).offset, before);
      CHECK_EQ(Flight(rig).sent.load(), 10);
      LimitFileSize(RLIM_INFINITY);
      const size_t first_bytes = Flight(rig).bytes;
      if (crash) {
        CHECK(rig.flusher.LastLine(MonotonicMs() + kChildLimitMs));
      } else {
        CHECK_EQ(rig.Flush(), FlushResult::kOut);
      }
      CHECK_EQ(Flight(rig).offset, before + first_bytes);
      CHECK_EQ(Flight(rig).offset + Flight(rig).bytes, TextOf(folder / "f").size());
    }
  });
}

TEST("given half a line in a file that is then renamed, when the new one takes nothing, then none is in flight") {
  CheckInChild([] {
    TemporaryFolder folder;
    Rig rig(Small());
    CHECK(rig.Init(folder / "f"));
    LimitFileSize(10);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK(Flight(rig).commit.load() != 0);
    CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
    LimitFileSize(0);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(Flight(rig).commit.load(), 0);
  });
}

TEST("given a half-sent line and a process that survives its last one, when flushed again, then nothing counts twice") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(Wide());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 5);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  rig.Add("g.i", 6);
  std::string text;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) text += fifo.Take();
    for (std::string more; !(more = fifo.Take()).empty();) text += more;
  });
  CHECK(rig.flusher.LastLine(MonotonicMs() + kChildLimitMs));
  CHECK_EQ(rig.Pending("g.i"), 0);
  rig.flusher.Revive();
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

TEST("given a last line that a pipe takes only in part, when the process survives and flushes, then its tail goes first") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig rig(Wide());
  CHECK(rig.Init(folder / "fifo"));
  rig.Add("g.i", 5);
  CHECK(!rig.flusher.LastLine(MonotonicMs() + 20));
  CHECK_EQ(Flight(rig).commit.load(), 1 << 2 | kCrashBank);
  CHECK_EQ(Flight(rig).sent.load(), Fifo::kBytes);
  rig.flusher.Revive();
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
    TemporaryFolder folder;
    Rig rig(Small());
    CHECK(rig.Init(folder / "f"));
    rig.Add("g.i", 5);
    LimitFileSize(10);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    LimitFileSize(RLIM_INFINITY);
    CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
    CHECK(rig.flusher.LastLine(MonotonicMs() + kChildLimitMs));
    rig.flusher.Revive();
    rig.Add("g.i", 6);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(folder / "f"));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), 2);
    CHECK_EQ(lines.Sum("g.i"), 11);
  });
}

TEST("given two last lines without a flush between them, when the second is out, then it has what came after the first") {
  TemporaryFolder folder;
  Rig rig(Small());
  CHECK(rig.Init(folder / "f"));
  for (uint64_t n = 1; n <= 4; n++) {
    rig.Add("g.i", n);
    CHECK(rig.flusher.LastLine(MonotonicMs() + kChildLimitMs));
    rig.flusher.Revive();
    CHECK_EQ(Lines(TextOf(folder / "f")).values.back().at("g.i"), n);
  }
  CHECK_EQ(rig.Pending("g.i"), 0);
}

// Settles what docs/format.md says: which bank holds what was flushed, of a process that may have died between a line
// and its commit.
uint32_t SettledBank(Rig& rig, const std::string& text, uint64_t* lines) {
  const LineInFlight& flight = Flight(rig);
  const uint64_t commit = rig.cells.region().header().commit.load();
  *lines = commit >> 2;
  if (flight.commit.load() >> 2 != (commit >> 2) + 1) return commit & 3;
  if (text.size() < flight.offset + flight.bytes) return commit & 3;
  ++*lines;
  return flight.commit.load() & 3;
}

TEST("given a process that flushes on and on, when it is killed at any moment, then the header says which lines are out") {
  std::mt19937 random(11);
  for (int round = 0; round < 60; round++) {
    TemporaryFolder folder;
    Rig rig(Small());
    CHECK(rig.Init(folder / "f"));
    const pid_t child = StartChild([&] {
      for (;;) rig.Add("g.i", 1), rig.Flush();
    });
    const timespec moment = {0, static_cast<long>(random() % 4'000'000)};
    nanosleep(&moment, nullptr);
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
