// RegionFile: what happens to an existing file, and what happens when many processes open one path. Exactly one of them
// gets the file, even when some are killed meanwhile.
//
// Invariant: the file of a living process keeps its name until that process lets go of it.

#include "region/region_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/file_lock.h"
#include "check.h"
#include "child.h"
#include "region/region.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// Opens a region file as a store does. The destructor unlocks and closes the file.
struct Opened {
  Opened(const std::string& path, Previous previous = Previous::kKeep) : file(path, previous) {
    int descriptor = -1;
    status = file.Make(&descriptor);
    if (!status.ok()) return;
    CHECK(region.Create({1, "{}", 2, descriptor}).ok());
    const struct stat info = StatOf(descriptor);
    inode = info.st_ino;
    status = file.Publish();
  }

  RegionFile file;
  Region region;
  Status status;
  ino_t inode = 0;
};

ino_t InodeOf(const std::string& path) {
  struct stat info = {};
  return lstat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

std::vector<std::string> NamesIn(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  DIR* entries = opendir((folder / "").c_str());
  while (const dirent* entry = entries == nullptr ? nullptr : readdir(entries)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (entries != nullptr) closedir(entries);
  std::sort(names.begin(), names.end());
  return names;
}
using Names = std::vector<std::string>;

// Whether the folder contains only the file and the files that were kept.
bool NamesOfGenerations(const TemporaryFolder& folder) {
  const Names names = NamesIn(folder);
  return std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return name == "r" || name == "r.previous" ||
           (name.rfind("r.previous.", 0) == 0 && name.find_first_not_of("0123456789", 11) == std::string::npos);
  });
}

TEST("given a path where nothing is, when it is opened, then a whole file of mode 0600 is there, and nothing beside it") {
  TemporaryFolder folder;
  for (const mode_t mask : {0, 0777}) {
    const mode_t before = umask(mask);
    Opened opened(folder / "r", Previous::kDiscard);
    umask(before);
    CHECK(opened.status.ok());
    CHECK_EQ(InodeOf(folder / "r"), opened.inode);
    const struct stat info = StatOf(folder / "r");
    CHECK_EQ(info.st_mode & 07777, 0600);
    CHECK_EQ(TextOf(folder / "r").substr(0, 8), "VMTRICS1");
    CHECK(NamesIn(folder) == Names{"r"});
  }
}

TEST("given a file that was made and not published, when it is closed, then no file is left") {
  TemporaryFolder folder;
  {
    RegionFile file(folder / "r", Previous::kKeep);
    int descriptor = -1;
    CHECK(file.Make(&descriptor).ok());
    CHECK_EQ(NamesIn(folder).size(), 1);
    CHECK_EQ(InodeOf(folder / "r"), 0);
    close(descriptor);
  }
  CHECK(NamesIn(folder).empty());
}

TEST("given the file of a dead process, when it is opened, then the policy decides what becomes of it") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  const ino_t first = std::make_unique<Opened>(path)->inode;
  CHECK(std::make_unique<Opened>(path, Previous::kRefuse)->status.code == Code::kWrongFile);
  CHECK_EQ(InodeOf(path), first);
  CHECK(NamesIn(folder) == Names{"r"});

  const ino_t second = std::make_unique<Opened>(path, Previous::kKeep)->inode;
  CHECK_EQ(InodeOf(path), second);
  CHECK_EQ(InodeOf(path + ".previous"), first);

  const ino_t third = std::make_unique<Opened>(path, Previous::kDiscard)->inode;
  CHECK_EQ(InodeOf(path), third);
  CHECK_EQ(InodeOf(path + ".previous"), first);

  const ino_t fourth = std::make_unique<Opened>(path, Previous::kKeep)->inode;
  CHECK_EQ(InodeOf(path), fourth);
  CHECK_EQ(InodeOf(path + ".previous"), third);
  CHECK_EQ(InodeOf(path + ".previous.2"), first);
  CHECK(NamesIn(folder) == (Names{"r", "r.previous", "r.previous.2"}));
}

TEST("given several kept regions, when the file is opened again, then each gets the next name, up to a name that is free") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  std::vector<ino_t> lives;
  for (int i = 0; i < 5; i++) lives.push_back(std::make_unique<Opened>(path)->inode);
  // r, .previous, .previous.2, .previous.3, .previous.4
  CHECK_EQ(unlink((path + ".previous.2").c_str()), 0);
  const ino_t last = std::make_unique<Opened>(path)->inode;
  CHECK_EQ(InodeOf(path), last);
  CHECK_EQ(InodeOf(path + ".previous"), lives[4]);
  CHECK_EQ(InodeOf(path + ".previous.2"), lives[3]);
  CHECK_EQ(InodeOf(path + ".previous.3"), lives[1]);
  CHECK_EQ(InodeOf(path + ".previous.4"), lives[0]);
  CHECK_EQ(NamesIn(folder).size(), 5);
}

TEST("given as many kept regions as there are names, when the file is opened again, then the oldest is removed") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  std::vector<ino_t> lives;
  for (int i = 0; i < kGenerationNames + 3; i++) lives.push_back(std::make_unique<Opened>(path)->inode);
  CHECK_EQ(NamesIn(folder).size(), kGenerationNames + 1);
  CHECK_EQ(InodeOf(path + ".previous"), lives[kGenerationNames + 1]);
  CHECK_EQ(InodeOf(path + ".previous." + std::to_string(kGenerationNames)), lives[2]);
}

TEST(
    "given a kept region whose last line another process is sending, when the file is opened again, then the region is renamed "
    "all the same") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  std::make_unique<Opened>(path).reset();
  std::make_unique<Opened>(path).reset();
  const int fd = open((path + ".previous").c_str(), O_RDWR | O_CLOEXEC);
  bool is_ours = false;
  CHECK(LockFile(fd, &is_ours).ok() && is_ours);
  const struct stat info = StatOf(fd);
  CHECK(Opened(path).status.ok());
  CHECK_EQ(InodeOf(path + ".previous.2"), info.st_ino);
  close(fd);
}

TEST(
    "given a file that a process holds, when it is opened, then kBusy names the holder, whatever the policy, until the holder "
    "lets go") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  auto holder = std::make_unique<Opened>(path);
  for (const Previous previous : {Previous::kKeep, Previous::kDiscard, Previous::kRefuse}) {
    Opened other(path, previous);
    CHECK_EQ(other.status.code, Code::kBusy);
    CHECK_EQ(other.file.holder(), getpid());
    CHECK_EQ(InodeOf(path), holder->inode);
  }
  CHECK(NamesIn(folder) == Names{"r"});
  holder->region.Unlock();
  Opened next(path);
  CHECK(next.status.ok());
  CHECK_EQ(InodeOf(path + ".previous"), holder->inode);
  CHECK_EQ(holder->region.header().magic, kMagic);  // the holder still has its memory
}

TEST("given a dead file that appears between Make and Publish, when the policy is to refuse, then it stays") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  RegionFile file(path, Previous::kRefuse);
  int descriptor = -1;
  CHECK(file.Make(&descriptor).ok());
  const ino_t inode = std::make_unique<Opened>(path)->inode;
  CHECK_EQ(file.Publish().code, Code::kWrongFile);
  CHECK_EQ(InodeOf(path), inode);
  close(descriptor);
}

TEST(
    "given a file that appears between Make and Publish, when the region is published, then that file is not lost, whether it is "
    "held or not") {
  for (const bool is_held : {false, true}) {
    TemporaryFolder folder;
    const std::string path = folder / "r";
    RegionFile file(path, Previous::kKeep);
    int descriptor = -1;
    CHECK(file.Make(&descriptor).ok());
    Region region;
    CHECK(region.Create({1, "", 0, descriptor}).ok());
    auto faster = std::make_unique<Opened>(path);
    const ino_t inode = faster->inode;
    if (!is_held) faster.reset();
    CHECK_EQ(file.Publish().code, is_held ? Code::kBusy : Code::kOk);
    CHECK_EQ(InodeOf(is_held ? path : path + ".previous"), inode);
  }
}

TEST("given a reader that holds a lock for a moment, when the file is opened, then the open waits for the reader") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  std::make_unique<Opened>(path).reset();
  // On a busy machine, a short lock may last longer than the wait for it. One success in ten tries is enough.
  bool is_waited_for = false;
  for (int i = 0; i < 10 && !is_waited_for; i++) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    CHECK_EQ(flock(fd, LOCK_SH | LOCK_NB), 0);
    std::thread reader([&] {
      SleepMs(10);
      close(fd);
    });
    is_waited_for = Opened(path).status.ok();
    reader.join();
  }
  CHECK(is_waited_for);
}

TEST("given something at the path that is no region, when it is opened, then it is refused and untouched") {
  const struct {
    const char* what;
    void (*make)(const std::string& path);
  } kKinds[] = {
      {"is not a region file", [](const std::string& path) { WriteText(path, "mine"); }},
      {"is not a region file", [](const std::string& path) { WriteText(path, ""); }},
      {"is not a region file", [](const std::string& path) { WriteText(path, "VMTRICS2........"); }},
      {"is not a regular file", [](const std::string& path) { CHECK_EQ(mkfifo(path.c_str(), 0600), 0); }},
      {"is a symbolic link", [](const std::string& path) { CHECK_EQ(symlink("/nowhere", path.c_str()), 0); }},
  };
  for (const auto& kind : kKinds) {
    TemporaryFolder folder;
    kind.make(folder / "r");
    const ino_t inode = InodeOf(folder / "r");
    for (const Previous previous : {Previous::kKeep, Previous::kDiscard, Previous::kRefuse}) {
      Opened opened(folder / "r", previous);
      CHECK_EQ(opened.status.code, Code::kWrongFile);
      CHECK_EQ(std::string(opened.status.reason), kind.what);
    }
    CHECK_EQ(InodeOf(folder / "r"), inode);
    CHECK(NamesIn(folder) == Names{"r"});
  }
}

TEST("given something at .previous that is no dead region, when the file would be renamed to that, then nothing is changed") {
  for (int kind = 0; kind < 3; kind++) {
    TemporaryFolder folder;
    const std::string path = folder / "r";
    std::make_unique<Opened>(path).reset();
    std::unique_ptr<Opened> holder;
    if (kind == 0) holder = std::make_unique<Opened>(path + ".previous");
    if (kind == 1) WriteText(path + ".previous", "mine");
    if (kind == 2) CHECK_EQ(symlink("/nowhere", (path + ".previous").c_str()), 0);
    const ino_t first = InodeOf(path), older = InodeOf(path + ".previous");
    Opened opened(path);
    CHECK_EQ(opened.status.code, Code::kWrongFile);
    CHECK_EQ(InodeOf(path), first);
    CHECK_EQ(InodeOf(path + ".previous"), older);
    CHECK(Opened(path, Previous::kDiscard).status.ok());
    CHECK_EQ(InodeOf(path + ".previous"), older);
  }
}

TEST("given temporary files, when a region is opened beside them, then those of killed processes are removed") {
  TemporaryFolder folder;
  const std::string path = folder / "r";
  RegionFile living(path, Previous::kKeep);
  int descriptor = -1;
  CHECK(living.Make(&descriptor).ok());
  const Names before = NamesIn(folder);
  const std::string own = "." + std::string("r.") + std::to_string(getpid()) + "-";
  for (const char* name : {".r.1-0.tmp", ".r.77-5.tmp"}) WriteText(folder / name, "");
  WriteText(folder / ".r.3-0.tmp", "VMTRICS1 and so on");
  const Names kStay = {".r.4-0.tmp", ".r.x-0.tmp", ".r.5.6-0.tmp", ".s.1-0.tmp", ".r..tmp", ".r.1-0.tmp2", "r.1-0.tmp"};
  for (const std::string& name : kStay) WriteText(folder / name, "mine and more");
  // The names that this process would take next.
  for (int i = 0; i < 150; i++) WriteText(folder / (own + std::to_string(1000 + i) + ".tmp"), "");
  {
    Opened opened(path);
    CHECK(opened.status.ok());
  }
  Names expected = kStay;
  expected.insert(expected.end(), before.begin(), before.end());
  expected.push_back("r");
  std::sort(expected.begin(), expected.end());
  CHECK(NamesIn(folder) == expected);
  close(descriptor);
}

// A value that a test shares with its children.
struct Board {
  static constexpr int kProcesses = 5;
  std::atomic<int> inside;
  std::atomic<int> opened;
  std::atomic<int> busy;
  std::atomic<int32_t> processes[kProcesses];
};

TEST(
    "given many processes that open one path over and over, when one of them has it, then no other has, and each is told which "
    "one") {
  for (const Previous previous : {Previous::kKeep, Previous::kDiscard}) {
    TemporaryFolder folder;
    const std::string path = folder / "r";
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Board& board = *new (memory) Board{};
    pid_t children[Board::kProcesses];
    for (int p = 0; p < Board::kProcesses; p++) {
      children[p] = StartChild([&] {
        board.processes[p] = getpid();
        const auto is_one_of_us = [&](int32_t id) {
          return std::any_of(board.processes, board.processes + Board::kProcesses, [&](auto& process) { return process == id; });
        };
        for (int i = 0; i < 40; i++) {
          Opened opened(path, previous);
          if (opened.status.ok()) {
            CHECK_EQ(board.inside.fetch_add(1), 0);
            CHECK_EQ(InodeOf(path), opened.inode);
            SleepMs(1);
            CHECK_EQ(InodeOf(path), opened.inode);
            board.inside--;
            board.opened++;
          } else {
            CHECK_EQ(opened.status.code, Code::kBusy);
            CHECK(is_one_of_us(opened.file.holder()));
            board.busy++;
          }
        }
      });
    }
    for (const pid_t child : children) {
      const Death death = Await(child, kChildLimitMs, [] {});
      CHECK_EQ(death.signal, 0);
      CHECK_EQ(death.exit_code, 0);
    }
    CHECK_EQ(board.opened + board.busy, 40 * Board::kProcesses);
    CHECK(board.opened > 0);
    const size_t kept = std::min<size_t>(static_cast<size_t>(board.opened - 1), kGenerationNames);
    CHECK_EQ(NamesIn(folder).size(), previous == Previous::kKeep ? 1 + kept : 1);
    if (previous == Previous::kKeep) CHECK(NamesOfGenerations(folder));
    munmap(memory, sizeof(Board));
  }
}

TEST("given a process that is killed at any moment of an opening, when the path is opened next, then the opening succeeds") {
  std::mt19937 random(5);
  TemporaryFolder folder;
  const std::string path = folder / "r";
  std::make_unique<Opened>(path).reset();
  for (int round = 0; round < 60; round++) {
    const pid_t child = StartChild([&] {
      for (;;) Opened(path, Previous::kKeep);
    });
    SleepUs(static_cast<int64_t>(500 + random() % 2'000));
    kill(child, SIGKILL);
    CHECK_EQ(Await(child, kChildLimitMs, [] {}).signal, SIGKILL);
    CHECK(InodeOf(path) != 0 || InodeOf(path + ".previous") != 0);
    if (InodeOf(path) != 0) CHECK_EQ(TextOf(path).substr(0, 8), "VMTRICS1");
    Opened opened(path);
    CHECK(opened.status.ok());
    CHECK_EQ(InodeOf(path), opened.inode);
    CHECK(NamesOfGenerations(folder));
  }
}

TEST("given a name so long that the temporary name does not fit, when the file is opened, then a status says so") {
  TemporaryFolder folder;
  Opened opened(folder / std::string(255, 'x'));
  CHECK_EQ(opened.status.code, Code::kRegion);
  CHECK_EQ(opened.status.error, ENAMETOOLONG);
  CHECK(NamesIn(folder).empty());
}

}  // namespace
}  // namespace vmm
