// Recoveries: the last lines of earlier lives are sent whole, once, and before the store's own lines. A life is a
// process with the region.
//
// Invariant: the record of the line in the file of an earlier life is true at any moment.

#include "flush/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file_lock.h"
#include "check.h"
#include "child.h"
#include "line_reader.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

struct Record {
  uint64_t commit, device, inode, offset, bytes, sent;
  uint32_t is_regular_file, reserved;
};

// The header of a dead region. Native code reads nothing else of a dead region.
class DeadRegion {
 public:
  explicit DeadRegion(const std::string& path, const Record& in_flight = {}) : path_(path), before_(in_flight) {
    WriteText(path, std::string(sizeof(RegionHeader), '\0'));
    file_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
    CHECK_EQ(pwrite(file_, &before_, sizeof(before_), offsetof(RegionHeader, line)), sizeof(before_));
  }
  ~DeadRegion() { close(file_); }

  void AddTo(Recoveries* recoveries, const std::string& line, uint64_t commit = 4, const char* remove_path = "") const {
    bool is_ours = false;
    CHECK(LockFile(file_, &is_ours).ok() && is_ours);
    CHECK(recoveries->Add({file_, commit, line.data(), line.size(), &before_, before_.commit != 0, remove_path}).ok());
  }
  void Close() { close(std::exchange(file_, -1)); }

  Record record() const {
    Record record = {};
    const std::string text = TextOf(path_);
    memcpy(&record, text.data() + offsetof(RegionHeader, line), sizeof(record));
    return record;
  }
  uint64_t commit() const {
    uint64_t word = 0;
    const std::string text = TextOf(path_);
    memcpy(&word, text.data() + offsetof(RegionHeader, commit), sizeof(word));
    return word;
  }
  bool IsLocked() const {
    const int file = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    bool is_ours = false;
    CHECK(LockFile(file, &is_ours).ok());
    close(file);
    return !is_ours;
  }

 private:
  const std::string path_;
  const Record before_;
  int file_ = -1;
};

std::string LineOf(int i, size_t bytes = 0) {
  const std::string begin = "{\"g\":{\"i\":" + std::to_string(i) + "},\"pad", end = "\":{\"n\":1}}\n";
  const size_t rest = begin.size() + end.size();
  return begin + std::string(bytes > rest ? bytes - rest : 0, 'x') + end;
}

bool Init(Rig& rig, const std::string& path, Recoveries* recoveries) {
  return rig.flusher.Init(path.c_str(), -1, &rig.status, recoveries) == InitResult::kDone;
}

TEST(
    "given lines of earlier lives, when the sink takes them, then they go first, in order, are committed, and the locks are "
    "gone") {
  TemporaryFolder folder;
  DeadRegion oldest(folder / "r.previous.2"), newest(folder / "r.previous");
  Recoveries recoveries;
  oldest.AddTo(&recoveries, LineOf(1), 6, (folder / "r.previous.2").c_str());
  newest.AddTo(&recoveries, LineOf(2), 9);
  newest.Close();
  CHECK(newest.IsLocked());
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "f", &recoveries));
  CHECK(rig.flusher.Recover().ok());
  CHECK_EQ(TextOf(folder / "f"), LineOf(1) + LineOf(2));
  CHECK_EQ(newest.commit(), 9);
  CHECK(access((folder / "r.previous.2").c_str(), F_OK) != 0);
  CHECK(access((folder / "r.previous").c_str(), F_OK) == 0);
  CHECK(!newest.IsLocked());
  CHECK_EQ(rig.commits(), 0);
  rig.Add("g.i", 3);
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f")).Sum("g.i"), 6);
}

TEST("given a file to remove whose name another file has by now, when its line is out, then the other file stays") {
  TemporaryFolder folder;
  DeadRegion dead(folder / "r.previous.2");
  Recoveries recoveries;
  dead.AddTo(&recoveries, LineOf(1), 4, (folder / "r.previous.2").c_str());
  CHECK_EQ(rename((folder / "r.previous.2").c_str(), (folder / "r.previous.3").c_str()), 0);
  WriteText(folder / "r.previous.2", "another");
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "f", &recoveries));
  CHECK(rig.flusher.Recover().ok());
  CHECK_EQ(TextOf(folder / "r.previous.2"), "another");
  CHECK(access((folder / "r.previous.3").c_str(), F_OK) == 0);
}

TEST(
    "given a sink that is set already, when another one is set, then the recoveries prepared for it go nowhere, and their files "
    "are free") {
  TemporaryFolder folder;
  DeadRegion dead(folder / "r.previous");
  Rig rig(SmallSchema());
  CHECK(rig.Init(folder / "f"));
  {
    Recoveries recoveries;
    dead.AddTo(&recoveries, LineOf(1));
    dead.Close();
    CHECK_EQ(rig.flusher.Init((folder / "g").c_str(), -1, &rig.status, &recoveries), InitResult::kAlready);
    CHECK(dead.IsLocked());
  }
  CHECK(!dead.IsLocked());
  CHECK(rig.flusher.Recover().ok());
  CHECK_EQ(TextOf(folder / "f"), "");
}

TEST(
    "given a full pipe, when lines of earlier lives cannot go out, then nothing is in flight, no own line overtakes them, and "
    "they come later") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  fifo.Fill();
  // Half a line of the dead process is in the pipe. After a failed attempt, the record must still say so.
  const struct stat pipe = StatOf(folder / "fifo");
  DeadRegion dead(folder / "r.previous", {4, pipe.st_dev, pipe.st_ino, 0, 100, 50, 0, 0});
  Recoveries recoveries;
  dead.AddTo(&recoveries, LineOf(1));
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "fifo", &recoveries));
  CHECK_EQ(rig.flusher.Recover().error, EAGAIN);
  CHECK_EQ(dead.record().sent, 50);
  CHECK_EQ(dead.record().bytes, 100);
  rig.Add("g.i", 5);
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(rig.Total("logger.missed"), 1);
  CHECK_EQ(rig.commits(), 0);
  fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  const std::string text = fifo.Take();
  // A newline ends the half line.
  CHECK_EQ(text.substr(0, LineOf(1).size() + 1), "\n" + LineOf(1));
  CHECK_EQ(Lines(text.substr(1)).Sum("g.i"), 6);
  CHECK_EQ(dead.commit(), 4);
}

TEST(
    "given a pipe that takes a part of an earlier life's line, when it is read, then the rest goes first, and the record says "
    "so") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  DeadRegion dead(folder / "r.previous");
  Recoveries recoveries;
  const std::string line = LineOf(1, 9000);
  dead.AddTo(&recoveries, line);
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "fifo", &recoveries));
  rig.Add("g.i", 5);
  CHECK_EQ(rig.flusher.Recover().error, EAGAIN);
  CHECK_EQ(dead.record().commit, 4);
  CHECK_EQ(dead.record().bytes, line.size());
  CHECK_EQ(dead.record().sent, Fifo::kBytes);
  CHECK_EQ(dead.commit(), 0);
  std::string text = fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kFailed);
  CHECK_EQ(dead.record().sent, 2 * Fifo::kBytes);
  text += fifo.Take();
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  text += fifo.Take();
  CHECK_EQ(text.substr(0, line.size()), line);
  CHECK_EQ(dead.record().sent, line.size());
  CHECK_EQ(dead.commit(), 4);
  CHECK_EQ(Lines(text).count(), 2);
  CHECK_EQ(Lines(text).broken, 0);
}

TEST("given a line of an earlier life that is half out, when the process crashes, then it is finished before the last line") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  DeadRegion first(folder / "r.previous.2"), second(folder / "r.previous");
  Recoveries recoveries;
  const std::string line = LineOf(1, 6000);
  first.AddTo(&recoveries, line);
  second.AddTo(&recoveries, LineOf(2));
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "fifo", &recoveries));
  CHECK_EQ(rig.flusher.Recover().error, EAGAIN);
  rig.Add("g.i", 5);
  std::string text = fifo.Take();
  CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
  text += fifo.Take();
  CHECK_EQ(text.substr(0, line.size()), line);
  CHECK_EQ(first.commit(), 4);
  CHECK_EQ(second.commit(), 0);  // the second line waits for the next life
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.count(), 2);
  CHECK_EQ(lines.values[1].at("g.i"), 5);
}

TEST(
    "given a line of an earlier life that is half out, when the process crashes and nobody reads, then no last line is fused to "
    "it") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  DeadRegion dead(folder / "r.previous");
  Recoveries recoveries;
  dead.AddTo(&recoveries, LineOf(1, 6000));
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "fifo", &recoveries));
  CHECK_EQ(rig.flusher.Recover().error, EAGAIN);
  rig.Add("g.i", 5);
  CHECK(!rig.flusher.sender().LastLine(MonotonicMs() + 20));
  CHECK_EQ(fifo.Take() + fifo.Take(), LineOf(1, 6000).substr(0, Fifo::kBytes));
  CHECK_EQ(rig.Pending("g.i"), 5);
  CHECK_EQ(dead.commit(), 0);
}

// The record in the file of a life that was killed with half a line in the pipe.
Record HalfIn(const std::string& path, uint64_t sent, uint64_t bytes) {
  const struct stat info = StatOf(path);
  return {4, info.st_dev, info.st_ino, 0, bytes, sent, 0, 0};
}

TEST("given half a line of a newer life in a pipe, when the line of an older life goes first, then it begins on a new line") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  DeadRegion oldest(folder / "r.previous.2"), newest(folder / "r.previous", HalfIn(folder / "fifo", 10, LineOf(2).size()));
  Recoveries recoveries;
  oldest.AddTo(&recoveries, LineOf(1));
  newest.AddTo(&recoveries, LineOf(2));
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "fifo", &recoveries));
  CHECK(rig.flusher.Recover().ok());
  CHECK_EQ(fifo.Take(), "\n" + LineOf(1) + LineOf(2));  // one newline is enough for both lines
  CHECK_EQ(newest.commit(), 4);
}

TEST("given half a line of an earlier life in a pipe, when the process crashes, then its last line is not fused to it") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  DeadRegion dead(folder / "r.previous", HalfIn(folder / "fifo", 10, LineOf(1).size()));
  Recoveries recoveries;
  dead.AddTo(&recoveries, LineOf(1));
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "fifo", &recoveries));
  rig.Add("g.i", 5);
  CHECK(rig.flusher.sender().LastLine(MonotonicMs() + kChildLimitMs));
  const std::string text = fifo.Take();
  CHECK_EQ(text[0], '\n');
  CHECK_EQ(Lines(text.substr(1)).Sum("g.i"), 5);
  CHECK_EQ(dead.commit(), 0);
  CHECK_EQ(dead.record().commit, 4);  // the next life sends this line,
  CHECK_EQ(dead.record().sent, 0);    // and needs no other newline
}

// From now on a write kills the process, as a SIGKILL at this moment would.
bool DieOfWrite() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {static_cast<unsigned short>(sizeof(filter) / sizeof(filter[0])), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(
    "given half a line of an earlier life in a pipe, when the next process is killed before its write, then the record of the "
    "half line stays") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  DeadRegion dead(folder / "r.previous", HalfIn(folder / "fifo", 10, LineOf(1).size()));
  const Death death = Await(StartChild([&] {
                              Recoveries recoveries;
                              dead.AddTo(&recoveries, LineOf(1));
                              Rig rig(SmallSchema());
                              CHECK(Init(rig, folder / "fifo", &recoveries));
                              CHECK(DieOfWrite());
                              rig.flusher.Recover();
                            }),
                            kChildLimitMs, [] {});
  CHECK_EQ(death.signal, SIGSYS);
  CHECK_EQ(fifo.Take(), "");
  CHECK(dead.record().sent > 0 && dead.record().sent < dead.record().bytes);
}

TEST(
    "given a line of an earlier life that is half in a file, when the file is replaced, then the whole line goes to the new "
    "file") {
  TemporaryFolder folder;
  Fifo fifo(folder / "f");
  DeadRegion dead(folder / "r.previous");
  Recoveries recoveries;
  const std::string line = LineOf(1, 6000);
  dead.AddTo(&recoveries, line);
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "f", &recoveries));
  CHECK_EQ(rig.flusher.Recover().error, EAGAIN);
  CHECK_EQ(rename((folder / "f").c_str(), (folder / "g").c_str()), 0);
  WriteText(folder / "f", "");
  CHECK_EQ(rig.Flush(), FlushResult::kOut);
  CHECK_EQ(TextOf(folder / "f").substr(0, line.size()), line);
  CHECK_EQ(Lines(TextOf(folder / "f")).count(), 2);
  CHECK_EQ(dead.commit(), 4);
}

TEST("given lines of earlier lives, when the process forks, then the child holds none of their locks") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  fifo.Fill();
  DeadRegion dead(folder / "r.previous");
  Recoveries recoveries;
  dead.AddTo(&recoveries, LineOf(1));
  dead.Close();
  Rig rig(SmallSchema());
  CHECK(Init(rig, folder / "fifo", &recoveries));
  int ready[2];
  CHECK_EQ(pipe(ready), 0);
  const pid_t child = StartChild([&] {
    CHECK_EQ(write(ready[1], "!", 1), 1);
    SleepMs(kChildLimitMs);
  });
  char byte = 0;
  CHECK_EQ(read(ready[0], &byte, 1), 1);
  CHECK(dead.IsLocked());
  rig.flusher.Close();
  CHECK(!dead.IsLocked());
  kill(child, SIGKILL);
  Await(child, kChildLimitMs, [] {});
}

}  // namespace
}  // namespace vmm
