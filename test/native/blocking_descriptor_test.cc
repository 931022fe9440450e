// BlockingDescriptor, and a Sink with one: a pipe or terminal that blocks and cannot be opened once more. A write there
// never waits, whether or not others write there or anybody reads.

#include "flush/blocking_descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "child.h"
#include "flush/sink.h"
#include "opened_sink.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// Opens a sink over `fd` when the process has only `spare` descriptors left, so that with 0 the sink cannot open the
// pipe or terminal once more.
void OpenBlocking(OpenedSink& sink, int fd, int spare = 0) {
  rlimit before;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = dup(fd);
  close(next);
  const rlimit tight = {static_cast<rlim_t>(next + 1 + spare), before.rlim_max};
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  CHECK(sink.OpenDescriptor(fd).ok());
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// Hides /proc from this process, which must be a child. Returns false if the system does not allow that.
bool HideProc() {
  if (unshare(CLONE_NEWNS) != 0) return false;
  return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && mount("none", "/proc", "tmpfs", 0, nullptr) == 0;
}

struct Terminal {
  Terminal() {
    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
    name = ptsname(master);
    slave = open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(slave >= 0);
  }
  ~Terminal() {
    close(master);
    close(slave);
  }
  int master, slave;
  std::string name;
};

// Two sinks repeatedly write to one descriptor at the same time, and nobody reads meanwhile.
void CheckTwoWriters(int reader, int writer) {
  CHECK_EQ(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
  CHECK_EQ(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
  constexpr int kWriters = 2, kRounds = 1000;
  OpenedSink sinks[kWriters];
  for (OpenedSink& sink : sinks) CHECK(sink.OpenDescriptor(writer).ok());
  const std::string much(1 << 18, 'x');
  std::string taken(1 << 20, '\0');
  std::atomic<int> round{0}, arrived{0};
  std::atomic<size_t> written{0};
  std::vector<std::thread> threads;
  for (OpenedSink& sink : sinks) {
    threads.emplace_back([&] {
      for (int turn = 1; turn <= kRounds; turn++) {
        while (round < turn) sched_yield();
        written += sink.WriteText(much);
        CHECK_EQ(sink.status.error, EAGAIN);
        arrived++;
      }
    });
  }
  for (int turn = 1; turn <= kRounds; turn++) {
    written = 0;
    round = turn;
    while (arrived < kWriters * turn) sched_yield();
    CHECK(written > 0);
    CHECK_EQ(read(reader, taken.data(), taken.size()), written.load());
  }
  for (std::thread& thread : threads) thread.join();
}

TEST("given a pipe that cannot be opened once more, when two write there and nobody reads, then neither ever waits") {
  CheckInChild([] {
    if (!HideProc()) return (void)CHECK(true);
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CheckTwoWriters(ends[0], ends[1]);
  });
}

TEST("given a named pipe that cannot be opened once more, when two write there and nobody reads, then neither ever waits") {
  CheckInChild([] {
    TemporaryFolder folder;
    CHECK_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
    const int reader = open((folder / "fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const int writer = open((folder / "fifo").c_str(), O_WRONLY | O_CLOEXEC);
    if (!HideProc()) return (void)CHECK(true);
    CheckTwoWriters(reader, writer);
  });
}

TEST(
    "given a named pipe that cannot be opened once more, when it is full for a while, then what goes out is in order, and "
    "nothing twice") {
  CheckInChild([] {
    TemporaryFolder folder;
    CHECK_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
    const int reader = open((folder / "fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const int writer = open((folder / "fifo").c_str(), O_WRONLY | O_CLOEXEC);
    OpenedSink sink;
    OpenBlocking(sink, writer, 2);
    std::string expected;
    for (int i = 0; i < 30'000; i++) expected += std::to_string(i) + "\n";
    std::string text, taken(30'000, '\0');
    for (size_t sent = 0; sent < expected.size();) {
      sent += sink.WriteText(expected.substr(sent));
      const ssize_t count = read(reader, taken.data(), taken.size());
      if (count > 0) text.append(taken, 0, static_cast<size_t>(count));
    }
    for (ssize_t count; (count = read(reader, taken.data(), taken.size())) > 0;)
      text.append(taken, 0, static_cast<size_t>(count));
    CHECK(text == expected);
    close(reader);
    signal(SIGPIPE, SIG_IGN);
    CHECK_EQ(sink.WriteText("line\n"), 0);
    CHECK_EQ(sink.status.error, EPIPE);
  });
}

TEST("given a terminal that cannot be opened once more, when it is stopped or not read, then a write does not wait") {
  CheckInChild([] {
    Terminal terminal;
    OpenedSink sink;
    OpenBlocking(sink, terminal.slave);
    CHECK_EQ(fcntl(terminal.slave, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(tcflow(terminal.slave, TCOOFF), 0);
    CHECK_EQ(sink.WriteText("stopped\n"), 0);
    CHECK_EQ(sink.status.error, EAGAIN);
    CHECK_EQ(tcflow(terminal.slave, TCOON), 0);
    CHECK_EQ(sink.WriteText("line\n"), 5);
    const std::string much(1 << 20, 'x');
    const size_t written = sink.WriteText(much);
    CHECK(written > 0 && written < much.size());
    CHECK_EQ(sink.status.error, EAGAIN);
  });
}

TEST(
    "given no /proc, when a terminal is opened once more, then it is opened by its name, is the same terminal, and does not "
    "block") {
  CheckInChild([] {
    Terminal terminal;
    if (!HideProc()) return (void)CHECK(true);
    const int again = OpenAgain(terminal.slave, StatOf(terminal.slave));
    if (!CHECK(again >= 0)) return;
    CHECK((fcntl(again, F_GETFL) & O_NONBLOCK) != 0);
    CHECK_EQ(StatOf(again).st_ino, StatOf(terminal.slave).st_ino);
    CHECK_EQ(StatOf(again).st_rdev, StatOf(terminal.slave).st_rdev);
    // Another terminal has the name from here on.
    CHECK_EQ(mount("none", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"), 0);
    const int other = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(other >= 0);
    CHECK_EQ(OpenAgain(terminal.slave, StatOf(terminal.slave)), -1);
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_EQ(OpenAgain(ends[1], StatOf(ends[1])), -1);
  });
}

TEST("given a process that may not open its controlling terminal, when a sink opens it, then it is opened as /dev/tty") {
  CheckInChild([] {
    Terminal terminal;
    setsid();
    signal(SIGHUP, SIG_IGN);  // raised when the other end is closed
    CHECK_EQ(ioctl(terminal.slave, TIOCSCTTY, 0), 0);
    Terminal other;
    if (fchmod(terminal.slave, 0) != 0 || fchmod(other.slave, 0) != 0 || setgid(65534) != 0 || setuid(65534) != 0) {
      return (void)CHECK(true);
    }
    CHECK_EQ(open(terminal.name.c_str(), O_WRONLY), -1);
    const int again = OpenAgain(terminal.slave, StatOf(terminal.slave));
    if (!CHECK(again >= 0)) return;
    CHECK((fcntl(again, F_GETFL) & O_NONBLOCK) != 0);
    CHECK_EQ(write(again, "x", 1), 1);
    char byte = 0;
    CHECK_EQ(read(terminal.master, &byte, 1), 1);
    CHECK_EQ(OpenAgain(other.slave, StatOf(other.slave)), -1);
  });
}

}  // namespace
}  // namespace vmm
