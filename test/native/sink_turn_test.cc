// SinkTurn: if several stores write to one place, lines stay whole, however each store opened the place. No store waits
// for ever for another store.

#include "flush/sink_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "check.h"
#include "child.h"
#include "crash/capture.h"
#include "line_reader.h"
#include "rig.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// Two stores that share only the place that they write to.
struct Two {
  Two() : one(WideSchema()), other(WideSchema()) {}
  explicit Two(const std::string& path) : Two() { CHECK(one.Init(path) && other.Init(path)); }
  uint64_t Pending(const std::string& path) { return one.Pending(path) + other.Pending(path); }
  uint64_t Total(const std::string& path) { return one.Total(path) + other.Total(path); }
  uint64_t commits() const { return one.commits() + other.commits(); }
  void CheckExact(const Lines& lines) {
    CHECK_EQ(lines.broken, 0);
    CHECK_EQ(lines.count(), commits());
    for (const char* path : {"g.i", "logger.missed"}) CHECK_EQ(lines.Sum(path) + Pending(path), Total(path));
  }
  Rig one, other;
};

TEST("given half a line of one store in a pipe, when another store is flushed, then the tail goes first, and no line is broken") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Two stores(folder / "fifo");
  stores.one.Add("g.i", 5);
  stores.other.Add("g.i", 70);
  CHECK_EQ(stores.one.Flush(), FlushResult::kFailed);  // one page of the line is in the pipe
  CHECK_EQ(stores.other.Flush(), FlushResult::kFailed);
  CHECK_EQ(stores.other.status.error, EAGAIN);
  CHECK_EQ(stores.other.Total("logger.missed"), 1);
  std::string text = fifo.Take();
  // The first store does not flush any more.
  for (int i = 0; i < 20; i++) {
    stores.other.Flush();
    text += fifo.Take();
  }
  const Lines lines(text);
  stores.CheckExact(lines);
  CHECK_EQ(stores.one.commits(), 1);
  CHECK(stores.other.commits() >= 1);
  CHECK_EQ(lines.Sum("g.i"), 75);
}

TEST("given two stores and a reader that takes any number of bytes, when all is read, then no line is broken or lost") {
  std::mt19937 random(7);
  for (int round = 0; round < 20; round++) {
    TemporaryFolder folder;
    Fifo fifo(folder / "fifo");
    Two stores(folder / "fifo");
    std::string text;
    for (int step = 0; step < 100; step++) {
      Rig& store = random() % 2 == 0 ? stores.one : stores.other;
      store.Add("g.i", random() % 1000);
      if (random() % 2 == 0) text += fifo.Take(1 + random() % Fifo::kBytes);
      store.Flush();
    }
    text += fifo.TakeAll();
    stores.CheckExact(Lines(text));
  }
}

TEST("given two stores that flush on threads of their own, when a reader takes all, then no line is broken or lost") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Two stores(folder / "fifo");
  std::atomic<int> at_work{2};
  std::vector<std::thread> threads;
  for (Rig* store : {&stores.one, &stores.other}) {
    threads.emplace_back([store, &at_work] {
      while (store->commits() < 10) {
        store->Add("g.i", 1);
        store->Flush();
      }
      at_work--;
    });
  }
  std::string text;
  while (at_work > 0) text += fifo.Take();
  for (std::thread& thread : threads) thread.join();
  text += fifo.TakeAll();
  stores.CheckExact(Lines(text));
}

TEST(
    "given one sink reached in different ways, when it holds half a line, then a second store waits; at /dev/null no store "
    "does") {
  const auto is_shared = [](const std::string& first, int first_fd, const std::string& second, int second_fd) {
    Two stores;
    const auto init = [](Rig& rig, const std::string& path, int fd) {
      return rig.flusher.Init(path.empty() ? nullptr : path.c_str(), fd, &rig.status) == InitResult::kDone;
    };
    if (!CHECK(init(stores.one, first, first_fd)) || !CHECK(init(stores.other, second, second_fd))) return false;
    // This turn stands for a store that never ends its turn.
    SinkTurn turn;
    struct stat info;
    CHECK_EQ(first.empty() ? fstat(first_fd, &info) : stat(first.c_str(), &info), 0);
    turn.Register([](void*) {}, nullptr);
    turn.Join(info);
    CHECK(turn.Take());
    turn.Pass(true, false);
    const bool waits[] = {stores.one.flusher.sender().WaitsForTurn(), stores.other.flusher.sender().WaitsForTurn()};
    turn.Leave(true);
    turn.Unregister();
    CHECK_EQ(waits[0], first != "/dev/null");
    return waits[1];
  };
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  WriteText(folder / "file", "");
  CHECK_EQ(link((folder / "file").c_str(), (folder / "hard").c_str()), 0);
  CHECK_EQ(symlink((folder / "file").c_str(), (folder / "soft").c_str()), 0);
  int ends[2], sockets[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  const int duplicate = dup(ends[1]), file = open((folder / "file").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  CHECK(grantpt(terminal) == 0 && unlockpt(terminal) == 0);
  const std::string slave = ptsname(terminal);

  CHECK(is_shared(folder / "fifo", -1, folder / "fifo", -1));
  CHECK(is_shared("", ends[1], "", duplicate));
  CHECK(is_shared("", ends[1], "/proc/self/fd/" + std::to_string(duplicate), -1));
  CHECK(is_shared("", sockets[0], "", sockets[0]));
  CHECK(is_shared(folder / "file", -1, folder / "hard", -1));
  CHECK(is_shared(folder / "soft", -1, "", file));
  CHECK(is_shared(slave, -1, slave, -1));
  CHECK(!is_shared("", sockets[0], "", sockets[1]));
  CHECK(!is_shared(folder / "file", -1, folder / "other", -1));
  CHECK(!is_shared("/dev/null", -1, "/dev/null", -1));
  CheckInChild([&] {
    setsid();
    const int controlling = open(slave.c_str(), O_RDWR | O_CLOEXEC);
    if (!CHECK(controlling >= 0)) return;
    CHECK_EQ(ioctl(controlling, TIOCSCTTY, 0), 0);
    CHECK(is_shared(slave, -1, "/dev/tty", -1));
  });
  for (const int fd : {ends[0], ends[1], duplicate, file, sockets[0], sockets[1], terminal}) close(fd);
}

TEST("given half a line of a closed store, when another store is flushed, then the line of the other begins on a new line") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Two stores(folder / "fifo");
  stores.one.Flush();
  std::string text = fifo.Take();
  stores.one.flusher.Close();
  stores.other.Add("g.i", 3);
  for (int i = 0; i < 12; i++) {
    stores.other.Flush();
    text += fifo.Take();
  }
  const Lines lines(text);
  CHECK_EQ(lines.broken, 1);  // the half line
  CHECK_EQ(lines.count(), 1 + stores.other.commits());
  CHECK_EQ(lines.Sum("g.i"), 3);
}

TEST("given two stores on one file that is renamed, when both are flushed, then both write to the new file") {
  TemporaryFolder folder;
  Two stores(folder / "f");
  CHECK_EQ(stores.one.Flush(), FlushResult::kOut);
  CHECK_EQ(rename((folder / "f").c_str(), (folder / "f.1").c_str()), 0);
  CHECK_EQ(stores.other.Flush(), FlushResult::kOut);
  CHECK_EQ(stores.one.Flush(), FlushResult::kOut);
  CHECK_EQ(Lines(TextOf(folder / "f.1")).count(), 1);
  CHECK_EQ(Lines(TextOf(folder / "f")).count(), 2);
  // Each header has the place of its store's last line.
  CHECK_EQ(stores.other.cells.region().header().line.offset, 0);
  CHECK_EQ(stores.one.cells.region().header().line.offset, stores.other.cells.region().header().line.bytes);
}

TEST("given two stores on one file, when the other wrote meanwhile, then the record of a line has the offset of that line") {
  TemporaryFolder folder;
  WriteText(folder / "f", "");
  Two stores;
  const int fd = open((folder / "f").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  CHECK_EQ(stores.one.flusher.Init(nullptr, fd, &stores.one.status), InitResult::kDone);
  CHECK(stores.other.Init(folder / "f"));
  uint64_t end = 0;
  for (int i = 0; i < 4; i++) {
    Rig& store = i % 2 == 0 ? stores.one : stores.other;
    CHECK_EQ(store.Flush(), FlushResult::kOut);
    const LineInFlight& line = store.flight();
    CHECK_EQ(line.offset, end);
    end += line.bytes;
  }
  close(fd);
}

struct Turn : SinkTurn {
  explicit Turn(
      const struct stat& info, FinishLine finish = [](void*) {}) {
    Register(finish, this);
    Join(info);
  }
  ~Turn() {
    Leave();
    Unregister();
  }
};

TEST(
    "given a thread in the middle of a write, when its own handler takes another store's turn, then it gets the turn, on a new "
    "line") {
  TemporaryFolder folder;
  WriteText(folder / "f", "");
  Turn one(StatOf(folder / "f")), other(StatOf(folder / "f"));
  CHECK(one.Take());
  CHECK(other.Take());
  CHECK(other.needs_newline());
  other.Pass(true, true);
  CHECK(!other.needs_newline());
  CHECK(one.Take());
  one.Pass(true, true);
}

TEST("given a thread in the middle of a write, when another thread wants the turn, then the other waits, but not for ever") {
  TemporaryFolder folder;
  WriteText(folder / "f", "");
  Turn one(StatOf(folder / "f")), other(StatOf(folder / "f"));
  CHECK(one.Take());
  std::thread([&] { CHECK(!other.Take()); }).join();
  std::atomic<bool> waits{false};
  std::thread waiting([&] {
    waits = true;
    while (!other.Take()) {
    }
    CHECK(!other.needs_newline());
    other.Pass(true, true);
  });
  while (!waits) {
  }
  one.Pass(true, true);
  waiting.join();
}

TEST("given more sinks than the table of turns has room for, when stores write to them, then they write without turns") {
  TemporaryFolder folder;
  std::vector<std::unique_ptr<Turn>> turns;
  for (int i = 0; i < 200; i++) {
    WriteText(folder / std::to_string(i), "");
    turns.push_back(std::make_unique<Turn>(StatOf(folder / std::to_string(i))));
  }
  for (const auto& turn : turns) {
    CHECK(turn->Take());
    turn->Pass(true, false);
  }
  turns.clear();
  Turn again(StatOf(folder / "0")), shares(StatOf(folder / "0"));
  CHECK(again.is_shared());
}

TEST(
    "given half a line of a parent, when a forked child opens a store on the same pipe, then the child does not wait for the "
    "parent") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  Rig parents(WideSchema());
  CHECK(parents.Init(folder / "fifo"));
  CHECK_EQ(parents.Flush(), FlushResult::kFailed);
  fifo.Take();
  CheckInChild([&] {
    Rig childs(WideSchema());
    CHECK(childs.Init(folder / "fifo"));
    CHECK(!childs.flusher.sender().WaitsForTurn());
    childs.Flush();
    CHECK(childs.flusher.HasUnflushed());
    CHECK(fifo.Take().size() > 0);
  });
}

TEST(
    "given two captured stores and half a line of the second, when the process dies, then the half line and both last lines are "
    "whole") {
  TemporaryFolder folder;
  Fifo fifo(folder / "fifo");
  std::string text;
  const pid_t child = StartChild([&] {
    Two stores(folder / "fifo");
    CaptureTarget targets[2] = {};
    for (int i = 0; i < 2; i++) {
      Rig& store = i == 0 ? stores.one : stores.other;
      targets[i].cells = &store.cells;
      targets[i].sender = &store.flusher.sender();
      CHECK(Capture(&targets[i], {0, false, 20'000}).ok());
    }
    stores.other.Add("g.i", 5);
    CHECK_EQ(stores.other.Flush(), FlushResult::kFailed);
    stores.one.Add("g.i", 70);
    stores.other.Add("g.i", 600);
    raise(SIGTERM);
  });
  const Death death = Await(child, kChildLimitMs, [&] { text += fifo.Take(); });
  CHECK_EQ(death.signal, SIGTERM);
  const Lines lines(text);
  CHECK_EQ(lines.broken, 0);
  CHECK_EQ(lines.count(), 3);
  CHECK_EQ(lines.Sum("g.i"), 675);
}

}  // namespace
}  // namespace vmm
