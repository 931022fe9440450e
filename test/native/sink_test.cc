// Sink: files, pipes, sockets and descriptors; how each is opened, and that a write neither blocks nor kills.

#include "flush/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/clock.h"
#include "base/signal_mask.h"
#include "check.h"
#include "child.h"
#include "opened_sink.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// The two ends of a pipe. A test may close either end.
struct Pipe {
  Pipe() { CHECK_EQ(pipe2(ends, O_CLOEXEC), 0); }
  ~Pipe() {
    for (int which = 0; which < 2; which++) Close(which);
  }
  void Close(int which) {
    if (ends[which] >= 0) close(ends[which]);
    ends[which] = -1;
  }
  int ends[2];
};

int ModeOf(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<int>(info.st_mode & 0777) : -1;
}

TEST(
    "given a path, when a sink opens it, then a new file is its owner's alone, and an existing file keeps its mode and content") {
  TemporaryFolder folder;
  OpenedSink made;
  CHECK(made.OpenPath((folder / "new").c_str()).ok());
  CHECK_EQ(ModeOf(folder / "new"), 0600);
  WriteText(folder / "old", "first\n");
  CHECK_EQ(chmod((folder / "old").c_str(), 0640), 0);
  OpenedSink old;
  CHECK(old.OpenPath((folder / "old").c_str()).ok());
  CHECK_EQ(ModeOf(folder / "old"), 0640);
  CHECK(!old.needs_newline());
  CHECK_EQ(old.WriteText("second\n"), 7);
  CHECK_EQ(TextOf(folder / "old"), "first\nsecond\n");
}

TEST("given something that cannot be a sink, when it is opened, then a status gives the cause, and nothing is open") {
  TemporaryFolder folder;
  OpenedSink sink;
  CHECK_EQ(sink.OpenPath((folder / "").c_str()).error, EISDIR);
  CHECK_EQ(sink.OpenPath(std::string(PATH_MAX, 'a').c_str()).error, ENAMETOOLONG);
  CHECK_EQ(sink.OpenPath((folder / "no/such").c_str()).error, ENOENT);
  CHECK_EQ(sink.OpenPath("").error, ENOENT);
  CHECK_EQ(sink.OpenDescriptor(-1).error, EBADF);
  Pipe pipe;
  CHECK_EQ(sink.OpenDescriptor(pipe.ends[0]).error, EBADF);  // the read end
  const int directory = open((folder / "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK(!sink.OpenDescriptor(directory).ok());
  close(directory);
  CHECK(!sink.is_open());
}

TEST("given a descriptor, when it is opened and closed as a sink, then the caller's descriptor is still open, with its flags") {
  Pipe pipe;
  const int flags = fcntl(pipe.ends[1], F_GETFL);
  {
    OpenedSink sink;
    CHECK(sink.OpenDescriptor(pipe.ends[1]).ok());
    CHECK_EQ(sink.WriteText("line\n"), 5);
    CHECK_EQ(fcntl(pipe.ends[1], F_GETFL), flags);
  }
  CHECK_EQ(fcntl(pipe.ends[1], F_GETFL), flags);
  char buffer[16];
  CHECK_EQ(read(pipe.ends[0], buffer, sizeof(buffer)), 5);
}

TEST(
    "given a descriptor of a file, when a sink writes to it, then it writes at the caller's position, and knows whether a "
    "newline is missing") {
  TemporaryFolder folder;
  WriteText(folder / "f", "abc");
  const int fd = open((folder / "f").c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
  OpenedSink sink;
  CHECK(sink.OpenDescriptor(fd).ok());
  CHECK(sink.needs_newline());
  CHECK_EQ(sink.WriteText("\nline\n"), 6);
  CHECK(!sink.needs_newline());
  CHECK_EQ(TextOf(folder / "f"), "abc\nline\n");
  close(fd);
  bool replaced = true;
  CHECK_EQ(unlink((folder / "f").c_str()), 0);  // a sink with a descriptor has no path to follow
  CHECK(sink.ReopenIfReplaced(&replaced).ok());
  CHECK(!replaced);
}

TEST(
    "given blocking descriptors that nobody reads, when more is written than they take, then the write stops short with EAGAIN") {
  const std::string much(4 << 20, 'x');
  Pipe pipe;
  OpenedSink to_pipe;
  CHECK(to_pipe.OpenDescriptor(pipe.ends[1]).ok());
  const size_t in_pipe = to_pipe.WriteText(much);
  CHECK(in_pipe > 0 && in_pipe < much.size());
  CHECK_EQ(to_pipe.status.error, EAGAIN);
  CHECK(!to_pipe.WaitWritable(20));

  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  OpenedSink to_socket;
  CHECK(to_socket.OpenDescriptor(ends[1]).ok());
  const size_t in_socket = to_socket.WriteText(much);
  CHECK(in_socket > 0 && in_socket < much.size());
  CHECK_EQ(to_socket.status.error, EAGAIN);
  close(ends[0]);
  close(ends[1]);
}

TEST("given a reader that is gone, when a sink writes, then EPIPE, and its signal can be discarded; a socket raises none") {
  CheckInChild([] {
    signal(SIGPIPE, SIG_DFL);
    Pipe pipe;
    OpenedSink sink;
    CHECK(sink.OpenDescriptor(pipe.ends[1]).ok());
    pipe.Close(0);
    {
      SignalMask mask;
      CHECK_EQ(sink.WriteText("line\n"), 0);
      CHECK_EQ(sink.status.error, EPIPE);
      SignalMask::Discard(sink.status.error);
    }
    OpenedSink late;  // opened while there is no reader
    CHECK(late.OpenDescriptor(pipe.ends[1]).ok());
    {
      SignalMask mask;
      CHECK_EQ(late.WriteText("line\n"), 0);
      CHECK_EQ(late.status.error, EPIPE);
      SignalMask::Discard(late.status.error);
    }
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    OpenedSink to_socket;
    CHECK(to_socket.OpenDescriptor(ends[1]).ok());
    close(ends[0]);
    CHECK_EQ(to_socket.WriteText("line\n"), 0);
    CHECK_EQ(to_socket.status.error, EPIPE);
    close(ends[1]);
  });
}

TEST("given a blocking pipe that cannot be opened once more, when more is written than it takes, then it does not block") {
  CheckInChild([] {
    signal(SIGPIPE, SIG_IGN);
    TemporaryFolder folder;
    CHECK_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
    int reader = open((folder / "fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const int writer = open((folder / "fifo").c_str(), O_WRONLY | O_CLOEXEC);
    CHECK(reader >= 0 && writer >= 0);
    close(reader);
    OpenedSink sink;  // there is no reader, so the sink cannot open the pipe once more
    CHECK(sink.OpenDescriptor(writer).ok());
    reader = open((folder / "fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a reader that does not read
    const std::string much(1 << 20, 'x');
    const size_t written = sink.WriteText(much);
    CHECK(written > 0 && written < much.size());
    CHECK_EQ(sink.status.error, EAGAIN);
    close(reader);
    close(writer);
  });
}

TEST("given a text that does not fit into a pipe, when a reader takes it in pieces, then all of it is out before the deadline") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  OpenedSink sink;
  CHECK(sink.OpenPath((folder / "fifo").c_str()).ok());
  std::string text;
  while (text.size() < 20 * Fifo::kBytes) text += std::to_string(text.size()) + "\n";
  std::string read;
  std::thread reading([&] {
    for (int i = 0; i < kChildLimitMs && read.size() < text.size(); i++) {
      SleepMs(1);
      read += fifo.Take(1000);
    }
  });
  CHECK_EQ(sink.WriteBy(text.data(), text.size(), MonotonicMs() + kChildLimitMs, &sink.status), text.size());
  reading.join();
  CHECK(sink.status.ok());
  CHECK(read == text);
}

TEST(
    "given a pipe that nobody reads, when the deadline passes, then the write ends with EAGAIN, and the part that fitted is "
    "out") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  OpenedSink sink;
  CHECK(sink.OpenPath((folder / "fifo").c_str()).ok());
  const std::string text(3 * Fifo::kBytes, 'x');
  CHECK_EQ(sink.WriteBy(text.data(), text.size(), MonotonicMs() + 20, &sink.status), Fifo::kBytes);
  CHECK_EQ(sink.status.error, EAGAIN);
  CHECK(fifo.Take(text.size()) == text.substr(0, Fifo::kBytes));
  // After the deadline, a write that does not wait is still allowed.
  CHECK_EQ(sink.WriteBy("line\n", 5, MonotonicMs() - 1, &sink.status), 5);
  CHECK(sink.status.ok());
}

TEST(
    "given an hour until the deadline, when the sink fails for good, then the write ends at once with the cause, and without a "
    "signal") {
  CheckInChild([] {
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    const int64_t in_an_hour_ms = MonotonicMs() + 3'600'000;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, nullptr, &before);
    Pipe pipe;
    OpenedSink to_pipe;
    CHECK(to_pipe.OpenDescriptor(pipe.ends[1]).ok());
    pipe.Close(0);
    CHECK_EQ(to_pipe.WriteBy("line\n", 5, in_an_hour_ms, &to_pipe.status), 0);
    CHECK_EQ(to_pipe.status.error, EPIPE);

    TemporaryFolder folder;
    OpenedSink to_file;
    CHECK(to_file.OpenPath((folder / "f").c_str()).ok());
    const rlimit limit = {3, 3};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_EQ(to_file.WriteBy("line\n", 5, in_an_hour_ms, &to_file.status), 3);
    CHECK_EQ(to_file.status.error, EFBIG);

    pthread_sigmask(SIG_BLOCK, nullptr, &after);
    for (const int signal : {SIGPIPE, SIGXFSZ, SIGTERM}) CHECK_EQ(sigismember(&after, signal), sigismember(&before, signal));
  });
}

TEST("given a named pipe without a reader, when a sink opens it and writes, then a reader that comes later finds the text") {
  TemporaryFolder folder;
  CHECK_EQ(mkfifo((folder / "fifo").c_str(), 0620), 0);
  OpenedSink sink;
  CHECK(sink.OpenPath((folder / "fifo").c_str()).ok());
  CHECK_EQ(sink.WriteText("line\n"), 5);
  CHECK(sink.WaitWritable(0));
  const int reader = open((folder / "fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  char buffer[16];
  CHECK_EQ(read(reader, buffer, sizeof(buffer)), 5);
  close(reader);
  CHECK_EQ(sink.WriteText("line\n"), 5);  // the reader is gone again
}

TEST(
    "given a path that names another file now, when the sink reopens it, then it has the other file, and a path that cannot be "
    "made is an error") {
  TemporaryFolder folder;
  OpenedSink sink;
  bool replaced = true;
  CHECK(sink.OpenPath((folder / "f").c_str()).ok());
  CHECK(sink.ReopenIfReplaced(&replaced).ok());
  CHECK(!replaced);
  CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
  CHECK(sink.ReopenIfReplaced(&replaced).ok());
  CHECK(replaced);
  CHECK_EQ(sink.WriteText("new\n"), 4);
  CHECK_EQ(TextOf(folder / "f"), "new\n");
  CHECK_EQ(TextOf(folder / "f.1"), "");

  CHECK_EQ(unlink((folder / "f").c_str()), 0);
  CHECK_EQ(mkdir((folder / "f").c_str(), 0700), 0);
  const Status status = sink.ReopenIfReplaced(&replaced);
  CHECK_EQ(status.code, Code::kWrite);
  CHECK_EQ(status.error, EISDIR);
  CHECK(!replaced);
  CHECK(sink.is_open());
  CHECK_EQ(rmdir((folder / "f").c_str()), 0);
  CHECK(sink.ReopenIfReplaced(&replaced).ok());
  CHECK(replaced);
}

TEST("given a sink, when the process executes a child, then the child inherits none of the sink's descriptors") {
  TemporaryFolder folder;
  Pipe pipe;
  const auto is_open = [](int fd) { return fcntl(fd, F_GETFD) >= 0; };
  bool before[100];
  for (int fd = 0; fd < 100; fd++) before[fd] = is_open(fd);
  OpenedSink file, piped;
  CHECK(file.OpenPath((folder / "f").c_str()).ok());
  CHECK(piped.OpenDescriptor(pipe.ends[1]).ok());
  int opened = 0;
  for (int fd = 0; fd < 100; fd++) {
    if (before[fd] || !is_open(fd)) continue;
    opened++;
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK_EQ(opened, 2);
}

}  // namespace
}  // namespace vmm
