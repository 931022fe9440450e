// Flusher with files that are renamed, removed or replaced, that have no newline at the end, or whose size limit cuts a
// line off.

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "check.h"
#include "child.h"
#include "half_line.h"
#include "line_reader.h"
#include "resource_limit.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

TEST("given a file that was renamed or removed, when it is flushed, then the next line begins a new file of that name") {
  TemporaryFolder folder;
  Rig rig(SmallSchema());
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
  // The flush appends to another program's file that has taken the path.
  WriteText(folder / "other", "no newline");
  CHECK_EQ(rename((folder / "other").c_str(), (folder / "f").c_str()), 0);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f")).texts.front(), "no newline");
  CHECK_EQ(Lines(TextOf(folder / "f")).broken, 1);
}

TEST("given a file without a newline at its end, when it is flushed to twice, then one newline goes first") {
  TemporaryFolder folder;
  WriteText(folder / "f", "{\"half\":");
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "f"));
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  const Lines lines(TextOf(folder / "f"));
  CHECK_EQ(lines.count(), 3);
  CHECK_EQ(lines.broken, 1);
  CHECK_EQ(lines.tail, "");

  WriteText(folder / "whole", "{\"g\":1}\n");
  Rig other(SmallSchema());
  CHECK(other.Init(folder / "whole"));
  CHECK_EQ(other.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "whole")).count(), 2);
}

TEST("given a file size limit within a line, when it is flushed, then the process survives, and the tail goes first later") {
  CheckInChild([] {
    HalfLine half;
    Rig& rig = half.rig;
    CHECK_EQ(TextOf(half.folder / "f").size(), HalfLine::kBytes);
    CHECK_EQ(rig.commits(), 0);
    CHECK(rig.flusher.HasUnflushed());
    rig.Add("g.i", 6);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(TextOf(half.folder / "f").size(), HalfLine::kBytes);
    half.Unlimit();
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(half.folder / "f"));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), 2);
    CHECK_EQ(lines.values[0].at("g.i"), 5);
    CHECK_EQ(lines.values[1].at("g.i"), 6);
    CHECK_EQ(lines.values[1].at("logger.missed"), 2);
  });
}

TEST(
    "given a line half in a file that is then renamed, when the next line is flushed, then the new file begins with a line that "
    "has all deltas") {
  CheckInChild([] {
    HalfLine half;
    Rig& rig = half.rig;
    half.Unlimit();
    half.Rename();
    rig.Add("g.i", 6);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(half.folder / "f"));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), 1);
    CHECK_EQ(lines.Sum("g.i"), 11);
  });
}

TEST(
    "given half a line in a file that is emptied and away during a flush, when it is back at the next flush, then the line is "
    "whole") {
  CheckInChild([] {
    HalfLine half;
    half.Unlimit();
    CHECK_EQ(truncate((half.folder / "f").c_str(), 0), 0);
    half.Rename();
    CHECK_EQ(mkdir((half.folder / "f").c_str(), 0700), 0);  // so that no new file can be made there
    CHECK_EQ(half.rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(half.rig.status.error, EISDIR);
    CHECK_EQ(rmdir((half.folder / "f").c_str()), 0);
    CHECK_EQ(rename((half.folder / "f.1").c_str(), (half.folder / "f").c_str()), 0);
    CHECK_EQ(half.rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(half.folder / "f"));
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), 1);
    CHECK_EQ(lines.Sum("g.i"), 5);
  });
}

TEST("given a file where only the newline before the line fits, when flushed again, then the line follows without another") {
  CheckInChild([] {
    TemporaryFolder folder;
    WriteText(folder / "f", "abc");
    Rig rig(SmallSchema());
    CHECK(rig.Init(folder / "f"));
    rig.Add("g.i", 5);
    LimitResource(RLIMIT_FSIZE, 4);
    CHECK_EQ(rig.Flush(), FlushResult::kFailed);
    CHECK_EQ(TextOf(folder / "f"), "abc\n");
    LimitResource(RLIMIT_FSIZE, RLIM_INFINITY);
    CHECK_EQ(rig.Flush(), FlushResult::kOut);
    const Lines lines(TextOf(folder / "f"));
    CHECK_EQ(lines.texts.front(), "abc");
    CHECK_EQ(lines.broken, 1);
    CHECK_EQ(lines.Sum("g.i"), 5);
  });
}

}  // namespace
}  // namespace vmm
