// A guarded region file: its memory may be lost at any moment, and a SIGBUS for other memory goes to the host.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "check.h"
#include "child.h"
#include "crash_scene.h"
#include "host_handler.h"
#include "line_reader.h"
#include "region/region_guard.h"
#include "schema_builder.h"
#include "store/store.h"
#include "temporary_folder.h"

namespace vmm {
namespace {

// The host loses memory of its own: a mapped file is cut.
volatile char* g_lost;
volatile sig_atomic_t g_host_calls;

void LoseMemory() {
  const int fd = memfd_create("lost", MFD_CLOEXEC);
  CHECK_EQ(ftruncate(fd, 4096), 0);
  g_lost = static_cast<volatile char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  CHECK_EQ(ftruncate(fd, 0), 0);
  close(fd);
}

void Report(int) {
  g_host_calls = g_host_calls + 1;
  if (write(2, "", 0) != 0 || g_host_calls > 3) _exit(77);
}

void Mend(int) {
  g_host_calls = g_host_calls + 1;
  mmap(const_cast<char*>(g_lost), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

// A store with a region file, in a child.
struct FileScene {
  FileScene() {
    StoreSpec spec = Schema("file");
    spec.file = folder / "r";
    OpenConflict conflict;
    CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
    Status status;
    CHECK_EQ(store->flusher().Init((folder / "f").c_str(), -1, &status), InitResult::kDone);
  }
  void Add(uint64_t n) { AddShared(store->cells().Shared(CellOf(store->spec(), "g.i")), n); }
  void Cut() { CHECK_EQ(truncate((folder / "r").c_str(), 0), 0); }
  FlushResult Flush() {
    Status status;
    return store->Flush(&status);
  }
  bool IsAtHome() { return store->cells().region().header().state.load() == static_cast<uint32_t>(RegionState::kRunning); }

  TemporaryFolder folder;
  Store* store = nullptr;
};

TEST(
    "given a host's handler installed to run once, when a file is guarded and the host's own memory is lost, then the handler "
    "runs once") {
  const Death death = InChild([] {
    InstallHandler(SIGBUS, Report, SA_RESETHAND);
    FileScene scene;
    LoseMemory();
    *g_lost = 1;
  });
  CHECK_EQ(death.signal, SIGBUS);
}

TEST("given a host's handler that repairs memory, when other memory is lost, then the handler repairs it, and the guard stays") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  for (const bool with_capture : {false, true}) {
    CheckInChild([&] {
      InstallHandler(SIGBUS, Mend, SA_NODEFER);
      FileScene scene;
      // The capture is for another signal and does not handle SIGBUS.
      if (with_capture) CHECK(scene.store->CaptureSignals({SetOf(SIGTERM)}).ok());
      LoseMemory();
      *g_lost = 1;
      CHECK_EQ(g_host_calls, 1);
      CHECK(scene.IsAtHome());
      CHECK_EQ(scene.store->cells().region().header().crash.signal.load(), 0);
      scene.Add(2);
      CHECK_EQ(scene.Flush(), FlushResult::kOut);
      scene.Cut();
      scene.Add(3);
      CHECK_EQ(g_host_calls, 1);
      CHECK_EQ(scene.Flush(), FlushResult::kOut);
      CHECK_EQ(Lines(TextOf(scene.folder / "f")).Sum("g.i"), 5);
      scene.store->Detach(false);
    });
  }
}

TEST("given a guarded file, when another store was captured and closed, then SIGBUS reaches the host's handler again") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  CheckInChild([] {
    InstallHandler(SIGBUS, Mend);
    FileScene scene;
    OpenConflict conflict;
    Store* other = nullptr;
    CHECK(Store::Open(Schema("other"), &other, &conflict).ok());
    CHECK(other->CaptureSignals().ok());
    other->Detach(false);
    LoseMemory();
    *g_lost = 1;
    CHECK_EQ(g_host_calls, 1);
    scene.Cut();
    scene.Add(1);
    CHECK(scene.store->cells().region().is_degraded());
    scene.store->Detach(false);
    LoseMemory();
    *g_lost = 1;
    CHECK_EQ(g_host_calls, 2);
    CHECK(ActionOf(SIGBUS).sa_handler == Mend);
  });
}

TEST(
    "given a file that is cut, when lines go out, then exactly one of them says so, and the file is free when the store is "
    "closed") {
  if (!kMayLoseMemory) return (void)CHECK(true);
  CheckInChild([] {
    TemporaryFolder folder;
    StoreSpec spec = Schema("degraded");
    spec.file = folder / "r";
    spec.error_cell = CellOf(spec, "signals.hup");
    const std::string file = spec.file;
    OpenConflict conflict;
    Store* store = nullptr;
    Status status;
    CHECK(Store::Open(std::move(spec), &store, &conflict).ok());
    CHECK_EQ(store->flusher().Init((folder / "f").c_str(), -1, &status), InitResult::kDone);
    Cell& added = store->cells().Shared(CellOf(store->spec(), "g.i"));
    AddShared(added, 7);
    CHECK_EQ(store->Flush(&status), FlushResult::kOut);
    CHECK_EQ(truncate(file.c_str(), 0), 0);
    for (int i = 0; i < 3; i++) {
      AddShared(added, 2);
      CHECK_EQ(store->Flush(&status), FlushResult::kOut);
    }
    const Lines lines(TextOf(folder / "f"));
    CHECK_EQ(lines.Sum("g.i"), 7 + 3 * 2);
    CHECK_EQ(lines.Sum("signals.hup"), 1);
    CHECK_EQ(lines.values[1].at("signals.hup"), 1);
    store->Retain();  // as an attachment of another addon does
    const int other = open(file.c_str(), O_RDWR | O_CLOEXEC);
    CHECK(flock(other, LOCK_EX | LOCK_NB) != 0);
    store->Detach(false);
    CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
    CHECK_EQ(store->cells().region().header().state.load(), static_cast<uint32_t>(RegionState::kExited));
    store->Unreference();
  });
}

TEST("given as many files as can be guarded, when another is opened, then the status is kTooManyFiles, until a file is closed") {
  CheckInChild([] {
    TemporaryFolder folder;
    std::vector<Store*> stores;
    const auto open_one = [&](int n, Store** store) {
      StoreSpec spec = Schema("s" + std::to_string(n));
      spec.file = folder / ("r" + std::to_string(n));
      OpenConflict conflict;
      return Store::Open(std::move(spec), store, &conflict).code;
    };
    for (int n = 0; n < kGuardedMax; n++) {
      stores.push_back(nullptr);
      CHECK_EQ(open_one(n, &stores.back()), Code::kOk);
    }
    Store* more = nullptr;
    CHECK_EQ(open_one(kGuardedMax, &more), Code::kTooManyFiles);
    CHECK(access((folder / ("r" + std::to_string(kGuardedMax))).c_str(), F_OK) != 0);
    stores.back()->Detach(false);
    stores.pop_back();
    CHECK_EQ(open_one(kGuardedMax, &more), Code::kOk);
    more->Detach(false);
    for (Store* store : stores) store->Detach(false);
  });
}

}  // namespace
}  // namespace vmm
